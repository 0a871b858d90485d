"""One HTTP/1.1 connection on a unix socket: requests run one after another, answers leave in order.

What arrives is appliance.api.request_reader's, what leaves appliance.api.answer_writer's. The cost of a request matters
here (docs/decisions/0004-http-server.md), so the code is dense: handlers are coroutines that are stepped by hand,
without a task of their own, and await futures only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, Protocol, cast

from appliance.api.answer_writer import AnswerWriter
from appliance.api.errors import Busy
from appliance.api.messages import Request, Response
from appliance.api.request_reader import RequestReader
from appliance.errors import CinnabarError

PIPELINE: Final = 16
"""Requests that wait on one connection before it stops reading."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Hub(Protocol):
    """What a connection needs of the worker that holds it."""

    now: float
    """The loop's time, a second coarse."""
    date: bytes
    stopping: bool
    leaving: bool
    """Another process has taken over: every answer is the last of its connection."""
    in_flight: int
    in_flight_limit: int
    held: int
    """Bytes of request bodies in memory."""
    held_limit: int
    unread: int
    """Bytes of answers in memory that peers have still to read."""
    unread_limit: int
    loop: asyncio.AbstractEventLoop

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool: ...
    def forget(self, connection: Connection) -> None: ...
    def let_go(self, request: Request) -> None: ...
    def cut_off_readers(self) -> None:
        """Peers have left more unread than the process holds: cut some off."""

    def route(self, request: Request) -> int:
        """Find the endpoint, or set the refusal; the largest body to take, in bytes."""

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]: ...
    def answered(self, request: Request, status: int) -> None: ...
    def refuse(self, error: CinnabarError) -> Response: ...


class Connection(asyncio.Protocol):
    """See the module. `listener` is the name of the socket that the peer came in by; nothing a peer says changes it."""

    __slots__ = (
        "_close_after",
        "_hub",
        "_linger",
        "_lingering",
        "_paused_reading",
        "_queue",
        "_reader",
        "_running",
        "_transport",
        "listener",
        "writer",
    )

    def __init__(self, hub: Hub, listener: str) -> None:
        self._hub = hub
        self.listener = listener
        self._reader = RequestReader(hub, self)
        self.writer: AnswerWriter | None = None
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Request | Response] = deque()
        self._running: Request | None = None
        self._close_after = False
        self._linger = False
        self._lingering = False
        self._paused_reading = False

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._transport = stream
        self.writer = AnswerWriter(self._hub, stream)
        if not self._hub.admit(self, stream):
            self._reader.ended = True
            stream.abort()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._reader.drain()
            return
        self._reader.feed(data)
        if self._running is None:
            self._next()

    def eof_received(self) -> bool:
        """A peer that only half-closes still gets the answers it waits for."""
        self._reader.ended = self._close_after = True
        self._linger = False
        return self._running is not None or bool(self._queue)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._reader.ended = True
        self._reader.forget()
        if self.writer is not None:
            self.writer.forget()
        self._transport = self.writer = None
        for waiting in self._queue:
            if isinstance(waiting, Request):
                self._release(waiting)
        self._queue.clear()
        self._hub.forget(self)

    def pause_writing(self) -> None:
        if self.writer is not None:
            self._pause_reading()
            self.writer.pause()

    def resume_writing(self) -> None:
        if self.writer is not None:
            self.writer.resume()
        if self._running is None:
            self._next()

    # The reader's side.

    def take(self, request: Request) -> None:
        """A request has come whole: start it, or let it wait for its turn."""
        if not request.keep_alive:
            self._close_after = True
        if self._running is None and not self._queue and self.writer is not None and not self.writer.paused:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= PIPELINE:
                self._pause_reading()

    def refuse(self, error: CinnabarError) -> None:
        """Answer an error after what was asked before it, and close."""
        self._close_after = self._linger = True
        self._queue.append(self._hub.refuse(error))

    def meet_expectation(self) -> None:
        """A peer waits to be told to send its body (RFC 9110, section 10.1.1)."""
        if self._running is None and not self._queue:
            self._write(CONTINUE)

    def close_when_answered(self) -> None:
        """Nothing more will be taken."""
        self._close_after = True

    # Requests.

    def _next(self) -> None:
        """Answer what waits, in order; close when nothing more will come."""
        turns = PIPELINE
        while self._queue and self._running is None and not self._writing_paused:
            turns -= 1
            if turns < 0:  # a long pipeline of quick answers must not keep others from the loop
                self._hub.loop.call_soon(self._continue)
                return
            waiting = self._queue.popleft()
            if isinstance(waiting, Response):
                self._close_after = True
                self._write(waiting.render(self._hub.date, True, False))
                self._queue.clear()
            else:
                self._start(waiting)
        if self._running is not None or self._queue or self._transport is None or self._transport.is_closing():
            return
        if self._close_after or self._hub.stopping:
            self._reader.ended = True
            if self._linger and not self._hub.stopping:
                self._hang_up()
            else:
                self._transport.close()
            return
        if self._paused_reading and not self._writing_paused:
            self._paused_reading = False
            self._transport.resume_reading()
        self._reader.idle()

    def _continue(self) -> None:
        if self._running is None:
            self._next()

    def _start(self, request: Request) -> None:
        hub = self._hub
        if hub.in_flight >= hub.in_flight_limit:
            self._running = request
            hub.in_flight += 1
            self._finish(request, hub.refuse(Busy("The worker holds as many requests as it takes.")))
            return
        self._running = request
        hub.in_flight += 1
        self._advance(request, hub.answer(request))

    def _advance(self, request: Request, coroutine: Coroutine[Any, Any, Response]) -> None:
        """Run the handler up to its next wait. `Hub.answer` raises nothing; it ends with a Response."""
        try:
            waits_for = coroutine.send(None)
        except StopIteration as end:
            self._finish(request, end.value)
            return
        if waits_for is None:  # asyncio.sleep(0)
            self._hub.loop.call_soon(self._resume, request, coroutine)
        else:
            waits_for._asyncio_future_blocking = False
            waits_for.add_done_callback(partial(self._resume_done, request, coroutine))

    def _resume_done(self, request: Request, coroutine: Coroutine[Any, Any, Response], _: object) -> None:
        self._resume(request, coroutine)

    def _resume(self, request: Request, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._advance(request, coroutine)
        if self._running is None:
            self._next()

    def _finish(self, request: Request, response: Response) -> None:
        self._running = None
        self._hub.in_flight -= 1
        self._hub.answered(request, response.status)
        self._release(request)
        if self._transport is None:
            return
        close = self._hub.stopping or ((self._close_after or self._hub.leaving) and not self._queue)
        self._write(response.render(self._hub.date, close, request.method == "HEAD"))
        if close:
            self._reader.ended = self._close_after = True

    def _hang_up(self) -> None:
        """Say that nothing more comes, and read on for a while: closing at once would take the answer from a peer that
        is still sending (RFC 9112, section 9.6)."""
        assert self._transport is not None  # noqa: S101 - its caller looked
        self._linger, self._lingering = False, True
        self._reader.linger()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused_reading:
            self._paused_reading = False
            self._transport.resume_reading()

    # Deadlines and flow.

    @property
    def _writing_paused(self) -> bool:
        return self.writer is not None and self.writer.paused

    def sweep(self, now: float) -> None:
        """Called about once a second: cut off a peer that is too slow."""
        transport, writer, reader = self._transport, self.writer, self._reader
        if transport is None or writer is None:
            return
        if writer.paused:
            writer.check(now)
        elif reader.deadline and now > reader.deadline and self._running is None and not self._paused_reading:
            if reader.in_message and not reader.ended:
                reader.time_out()
                self._next()
            else:
                transport.close()

    def stop(self) -> None:
        """Close as soon as what was asked has been answered."""
        self._close_after = True
        if self._running is None and not self._queue and self._transport is not None and not self._reader.in_message:
            self._reader.ended = True
            self._transport.close()

    def abort(self) -> None:
        """Cut the peer off."""
        if self._transport is not None:
            self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self.writer is not None:
            self.writer.write(data)

    def _release(self, request: Request) -> None:
        if request.held:
            self._hub.let_go(request)
