"""The approval pages' server: HTTP on the keymaster's own socket, for the front alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from appliance.api.connections import Connections
from appliance.api.messages import Request, Response
from appliance.box.settings import BoxSettings
from appliance.calls.sockets import unix_listener
from appliance.keymaster.approve.drafts import DraftWords
from appliance.keymaster.approve.routes import Routes, largest_body
from appliance.keymaster.approve.service import ApprovalService
from appliance.keymaster.engine import Engine
from appliance.keymaster.execution import Executions

IN_FLIGHT: Final = 64
CONNECTIONS: Final = 512
HELD_BYTES: Final = 16 * 1024 * 1024


def allowed_peers(settings: BoxSettings) -> frozenset[int]:
    """Numeric users that may connect: root and the front; ourselves only where users are not separate, for a token can
    force workers under the keymaster's user, never under its group."""
    users = settings.users
    if users.keymaster is not None and os.getegid() == users.keymaster and users.front is not None:
        return frozenset((0, users.front))
    return frozenset((0, os.geteuid()))


class ApprovalServer(Connections):
    """Serves the approval origin until it is stopped."""

    def __init__(self, routes: Routes, settings: BoxSettings, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, in_flight=IN_FLIGHT, held_bytes=HELD_BYTES, connections=CONNECTIONS)
        self._routes = routes
        self._peers = allowed_peers(settings)

    async def listen(self, path: Path) -> None:
        """Open the socket. Its directory is open to those whom other sockets of the keymaster serve, so anybody may
        connect, and who it is decides (SO_PEERCRED)."""
        await self.listen_on(unix_listener(path, 0o666), "approvals", path)

    def may_connect(self, user: int, listener: str) -> bool:  # noqa: ARG002 - there is one listener
        return user in self._peers

    def route(self, request: Request) -> int:
        return largest_body(request)

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]:
        return self._routes.answer(request)

    def answered(self, request: Request, status: int) -> None:
        """Nothing is counted."""


def approval_server(engine: Engine, executions: Executions) -> ApprovalServer:
    """The server of the approval origin, in the running loop; it does not listen yet."""
    routes = Routes(ApprovalService(engine, executions), DraftWords(engine.room.home, engine.room.settings))
    return ApprovalServer(routes, engine.room.settings, asyncio.get_running_loop())
