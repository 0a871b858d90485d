"""The hub of one API worker: who may connect, and what becomes of requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from appliance.api.application import Application
from appliance.api.connections import Connections
from appliance.api.messages import Request, Response
from appliance.box.settings import BoxSettings
from appliance.calls.sockets import private_listener

CONNECTIONS: Final = 8_192
HELD_BYTES: Final = 64 * 1024 * 1024
"""Of request bodies in one worker's memory; a request beyond it is answered busy."""


def allowed_peers(settings: BoxSettings) -> frozenset[int]:
    """Numeric users that may connect: the front where processes have users of their own, else ours; and root."""
    users = settings.users
    separate = users.front is not None and users.worker == os.geteuid()
    return frozenset((0, users.front if separate and users.front is not None else os.geteuid()))


def allowed_watchers(settings: BoxSettings) -> frozenset[int]:
    """Numeric users that may connect to the metrics besides: the management service, which shows them to officers."""
    users = settings.users
    separate = users.management is not None and users.worker == os.geteuid()
    return frozenset((users.management,) if separate and users.management is not None else ())


class Hub(Connections):
    """See the module; connections know it by appliance.api.connection.Hub."""

    def __init__(self, application: Application, settings: BoxSettings, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, in_flight=settings.limits.in_flight, held_bytes=HELD_BYTES, connections=CONNECTIONS)
        self.answers: dict[tuple[str, int], int] = {}
        """Answers by endpoint and status, for /metrics."""
        self._application = application
        self._peers = allowed_peers(settings)
        self._watchers = allowed_watchers(settings)

    async def listen(self, path: Path, listener: str) -> None:
        """Open a listener's socket."""
        await self.listen_on(private_listener(path), listener, path)

    def may_connect(self, user: int, listener: str) -> bool:
        return user in self._peers or (listener == "metrics" and user in self._watchers)

    def route(self, request: Request) -> int:
        return self._application.route(request)

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]:
        return self._application.answer(request)

    def answered(self, request: Request, status: int) -> None:
        """Count an answer."""
        endpoint = request.endpoint
        place = ("none" if endpoint is None else endpoint.path, status)
        self.answers[place] = self.answers.get(place, 0) + 1
