"""A call server in a loop of its own, and sockets that speak as they should not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from appliance.calls.client import CallClient
from appliance.calls.pace import Pace
from appliance.calls.server import CallServer, Method

US = frozenset({os.geteuid()})


class Served:
    """Serves methods from a loop in a thread."""

    def __init__(
        self,
        path: Path,
        methods: Mapping[str, Method],
        users: frozenset[int] = US,
        groups: frozenset[int] = frozenset(),
        request_limit: int = 64 * 1024,
        pace: Pace | None = None,
    ) -> None:
        self.path = path
        self._server = CallServer("tests", methods, users, groups, request_limit, pace)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(self.path, 0o666), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(10)

    def client(self) -> CallClient:
        return CallClient(self.path, 10)

    def connect(self) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(10)
        connected.connect(str(self.path))
        return connected


class Impostor:
    """Listens in a server's place; what it does with a connection is the test's."""

    def __init__(self, path: Path, talk: Callable[[socket.socket], None]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._talk = talk
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        accepted, _ = self._listener.accept()
        with accepted:
            self._talk(accepted)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()
