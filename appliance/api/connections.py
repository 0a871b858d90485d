"""What the connections of one process share: sockets, peers, limits, the clock of deadlines, and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import structlog

from appliance.api.connection import Connection
from appliance.api.messages import Request, Response
from appliance.api.problems import problem_response
from appliance.calls.sockets import peer_of
from appliance.errors import CinnabarError

SWEEP_SECONDS: Final = 0.5
BACKLOG_SECONDS: Final = 0.2
"""For connections that were made before another process took over the sockets' paths."""
STOP_SECONDS: Final = 10.0
"""For requests in flight when the process is told to stop; the supervisor waits 15 s."""
UNREAD_BYTES: Final = 128 * 1024 * 1024
"""Of answers in one process's memory that peers have still to read."""

log = structlog.get_logger("http")


class Connections(ABC):
    """The connections of one process; each knows it as appliance.api.connection.Hub."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, in_flight: int, held_bytes: int, connections: int) -> None:
        self.loop = loop
        self.now = loop.time()
        self.date = b""
        self.stopping = False
        self.leaving = False
        self.in_flight = 0
        self.in_flight_limit = in_flight
        self.held = 0
        self.held_limit = held_bytes
        self.unread = 0
        self.unread_limit = UNREAD_BYTES
        self.strangers = 0
        """Connections refused for their user."""
        self._most = connections
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self._paths: list[tuple[Path, int]] = []
        """Each with its inode: another process may have taken over a path."""
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    @abstractmethod
    def may_connect(self, user: int, listener: str) -> bool:
        """Whether processes of this numeric user may speak on this listener."""

    @abstractmethod
    def route(self, request: Request) -> int:
        """Find the endpoint, or set the refusal; the largest body to take, in bytes."""

    @abstractmethod
    def answer(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Answers the request; raises nothing, and awaits futures only."""

    @abstractmethod
    def answered(self, request: Request, status: int) -> None:
        """An answer has left."""

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def listen_on(self, listener: socket.socket, name: str, path: Path) -> None:
        """Accept on a listening socket; its path is removed at the stop."""
        self._servers.append(await self.loop.create_unix_server(lambda: Connection(self, name), sock=listener))
        self._paths.append((path, path.stat().st_ino))

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Whether the peer may speak to us: its user at the time of connecting, and room for it."""
        user = peer_of(transport.get_extra_info("socket")).user
        if not self.may_connect(user, connection.listener):
            self.strangers += 1
            log.warning("stranger-on-socket", control="CHANNEL", user=user)
            return False
        if len(self._connections) >= self._most or self.stopping:
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def let_go(self, request: Request) -> None:
        """The request's body has left this process's memory."""
        self.held -= request.held
        request.held = 0

    def cut_off_readers(self) -> None:
        """Peers have left more unread than the process holds: cut off those that have read for the longest."""
        reading = [one.writer for one in self._connections if one.writer is not None and one.writer.unread]
        reading.sort(key=lambda writer: writer.since)
        for writer in reading[:-1]:
            if self.unread <= self.unread_limit:
                return
            writer.cut_off()

    def refuse(self, error: CinnabarError) -> Response:
        return problem_response(error)

    def _tick(self) -> None:
        self.now = self.loop.time()
        self.date = b"date: %s\r\n" % formatdate(time.time(), usegmt=True).encode()
        for connection in list(self._connections):
            connection.sweep(self.now)
        self._timer = self.loop.call_later(SWEEP_SECONDS, self._tick)

    async def leave(self) -> None:
        """Hand over to a process that has taken over the paths: answer what comes on the connections that stand, and
        ask for each to be closed. Returns when none is left.

        No idle connection is closed from here: the front may send a request on it at that moment, which it could
        neither take back nor send again. It closes them itself (appliance.box.front)."""
        self.leaving = True
        await asyncio.sleep(BACKLOG_SECONDS)
        for server in self._servers:
            server.close()
        while self._connections:
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop accepting, answer what was asked, close."""
        self.stopping = True
        for server in self._servers:
            server.close()
        for path, inode in self._paths:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()
        deadline = self.loop.time() + STOP_SECONDS
        while self._connections and self.loop.time() < deadline:
            for connection in list(self._connections):
                connection.stop()
            await asyncio.sleep(0.01)
        if self._connections:
            log.warning("connections-cut-off", count=len(self._connections))
            for connection in list(self._connections):
                connection.abort()
            await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
