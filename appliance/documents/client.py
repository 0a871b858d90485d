"""The API workers' side: a document goes into a memory file, its descriptor over the socket, the answer comes back.

When the connection is lost (the keeper died or restarts), the client connects again and sends what is unanswered once
more: tasks are pure, so doing one twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.calls.framing import FrameReader, FrameTooLong, frame
from appliance.documents.contracts import Contract, Request, Result
from appliance.documents.errors import DocumentsBusy, DocumentsUnavailable, DocumentWorkerFailed, from_code
from appliance.documents.memory_files import memory_file
from appliance.documents.messages import Answer, Ask, Hello, Refused
from appliance.errors import CinnabarError

RECEIVE_BYTES = 256 * 1024
RETRY_SECONDS = 0.1
ABSENT_SECONDS = 5.0
"""Without a connection for so long, tasks are refused at once."""
INLINE_BYTES = 128 * 1024
"""A larger request is copied by a thread, so that the loop goes on."""
RESENDS = 2
"""Times that a task is sent again; one that outlives no keeper is not tried for ever."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


@dataclass(eq=False)
class _Flight:
    """One task that is not answered."""

    ask: Ask
    descriptor: int
    size: int
    future: asyncio.Future[bytes]
    errors: tuple[type[CinnabarError], ...]
    timer: asyncio.TimerHandle | None = None
    sends: int = 0


class DocumentsClient:
    """One process's connection to the document workers. Not for several threads. Make it inside a running loop."""

    def __init__(
        self, path: Path, *, patience: float = 70.0, in_flight: int = 256, in_flight_bytes: int = 256 * 1024 * 1024
    ) -> None:
        """`patience`: seconds that a task may take in all. Beyond `in_flight` tasks, or `in_flight_bytes` of requests,
        of which one tenant gets half, DocumentsBusy is raised."""
        self._path = path
        self._patience = patience
        self._limit = in_flight
        self._bytes_limit = in_flight_bytes
        self._loop = asyncio.get_running_loop()
        self._ticket = 0
        self._flights: dict[int, _Flight] = {}
        self._held: dict[str, int] = {}
        """Bytes of requests by tenant."""
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._socket: socket.socket | None = None
        self._frames = FrameReader()
        self._lost = self._loop.time()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self.hello: Hello | None = None
        """What the keeper says of its workers; None while there is no connection."""
        self._connect()

    @property
    def connected(self) -> bool:
        return self.hello is not None

    @property
    def in_flight(self) -> int:
        """Tasks that are not answered yet."""
        return len(self._flights)

    async def call(self, contract: Contract[Request, Result], tenant: str, request: Request) -> Result:
        """Have a task done. Raises the contract's errors, and those of appliance.documents.errors."""
        answer = await self.call_encoded(contract, tenant, [contract.encoder()(request)])
        try:
            return contract.decode_answer(answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise DocumentWorkerFailed("The document's worker gave an answer that it does not have.") from None

    async def call_encoded(
        self,
        contract: Contract[Any, Any],
        tenant: str,
        request: list[bytes],
        copied: Callable[[], None] | None = None,
    ) -> bytes:
        """As `call`, of a request already encoded, in pieces, giving the answer as it is encoded.

        Once the pieces are copied they are taken out of the list, and `copied` is called.
        """
        size = sum(map(len, request))
        self._admit(tenant, size)
        try:
            if size <= INLINE_BYTES:
                descriptor = memory_file(request)
            else:
                descriptor = await self._loop.run_in_executor(None, memory_file, request)
        except OSError as error:
            self._release(tenant, size)
            raise DocumentsUnavailable(f"No memory for the document: {error.strerror}.") from None
        except BaseException:
            self._release(tenant, size)
            raise
        request.clear()
        if copied is not None:
            copied()
        self._ticket = ticket = self._ticket + 1
        future: asyncio.Future[bytes] = self._loop.create_future()
        flight = _Flight(Ask(ticket, contract.name, tenant), descriptor, size, future, contract.errors)
        flight.timer = self._loop.call_later(self._patience, self._give_up, flight)
        self._flights[ticket] = flight
        if self._closed:
            self._fail(flight, DocumentsUnavailable("This worker is stopping."))
        elif self._socket is not None:
            self._send(flight)
        return await future

    async def close(self) -> None:
        """Fail what is unanswered and close."""
        self._closed = True
        self._disconnect()
        if self._retry is not None:
            self._retry.cancel()
        for flight in list(self._flights.values()):
            self._fail(flight, DocumentsUnavailable("This worker is stopping."))
        await asyncio.sleep(0)

    # What is held

    def _admit(self, tenant: str, size: int) -> None:
        if self._closed or (self._socket is None and self._loop.time() - self._lost > ABSENT_SECONDS):
            raise DocumentsUnavailable("The document workers do not answer.")
        own = self._held.get(tenant, 0)
        if (
            len(self._flights) >= self._limit
            or sum(self._held.values()) + size > self._bytes_limit
            or (own and own + size > self._bytes_limit // 2)
        ):
            raise DocumentsBusy("Too many documents wait.")
        self._held[tenant] = own + size

    def _release(self, tenant: str, size: int) -> None:
        left = self._held.get(tenant, 0) - size
        if left > 0:
            self._held[tenant] = left
        else:
            self._held.pop(tenant, None)

    def _finish(self, flight: _Flight) -> None:
        self._flights.pop(flight.ask.ticket, None)
        if flight.timer is not None:
            flight.timer.cancel()
        self._unsent = deque(one for one in self._unsent if one[1] != flight.descriptor)
        os.close(flight.descriptor)
        self._release(flight.ask.tenant, flight.size)

    def _give_up(self, flight: _Flight) -> None:
        if flight.sends:
            self._fail(flight, DocumentWorkerFailed("The document workers did not answer in time."))
        else:
            self._fail(flight, DocumentsUnavailable("The document workers do not answer."))

    def _fail(self, flight: _Flight, error: CinnabarError) -> None:
        self._finish(flight)
        if not flight.future.done():
            flight.future.set_exception(error)

    # Travel

    def _send(self, flight: _Flight) -> None:
        if flight.sends > RESENDS:
            self._fail(flight, DocumentWorkerFailed("The document workers ended while they had this document."))
            return
        flight.sends += 1
        self._unsent.append((frame(_encode(flight.ask)), flight.descriptor))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        connected, unsent = self._socket, self._unsent
        if connected is None:
            return
        try:
            while unsent:
                data, descriptor = unsent[0]
                sent = socket.send_fds(connected, [data], [] if descriptor is None else [descriptor])
                unsent.popleft()
                if sent < len(data):  # the descriptor went with the first byte
                    unsent.appendleft((data[sent:], None))
        except BlockingIOError:
            self._loop.add_writer(connected, self._flush)
        except OSError:
            self._disconnect()
        else:
            self._loop.remove_writer(connected)

    def _receive(self) -> None:
        connected = self._socket
        if connected is None:
            return
        try:
            data = connected.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()
            return
        try:
            for payload in self._frames.take(data):
                self._take(_decode(payload))
        except (FrameTooLong, msgspec.DecodeError, UnicodeDecodeError):
            self._disconnect()

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Hello):
            self.hello = answer
            return
        flight = self._flights.get(answer.ticket)
        if flight is None:
            return
        if isinstance(answer, Refused):
            self._fail(flight, from_code(answer.code, answer.detail, flight.errors))
            return
        self._finish(flight)
        if not flight.future.done():
            flight.future.set_result(answer.answer)

    # Connection

    def _connect(self) -> None:
        self._retry = None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            made.connect(str(self._path))
        except OSError:
            made.close()
            self._retry = self._loop.call_later(RETRY_SECONDS, self._connect)
            if self._loop.time() - self._lost > ABSENT_SECONDS:
                for flight in list(self._flights.values()):
                    self._fail(flight, DocumentsUnavailable("The document workers do not answer."))
            return
        self._socket = made
        self._frames = FrameReader()
        self._loop.add_reader(made, self._receive)
        for flight in list(self._flights.values()):
            self._send(flight)

    def _disconnect(self) -> None:
        connected, self._socket = self._socket, None
        if connected is None:
            return
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(connected)
            self._loop.remove_writer(connected)
        connected.close()
        self.hello = None
        self._unsent.clear()
        self._lost = self._loop.time()
        if not self._closed:
            self._retry = self._loop.call_later(RETRY_SECONDS, self._connect)
