"""One HTTP/1.1 connection on a unix socket: httptools parses, requests run one after another, answers leave in order.

Nothing that a peer sends can make a connection hold more than the endpoint's size limit, or hold it for longer than the
deadlines below. The cost of a request matters here (docs/decisions/0004-http-server.md), so the code is dense: handlers
are coroutines that are stepped by hand, without a task of their own, and await futures only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol, cast

import httptools

from appliance.api.errors import (
    AddressTooLong,
    BadCertificateHeader,
    Busy,
    HeadersTooLarge,
    RequestTimeout,
    TooLarge,
    UnsupportedVersion,
)
from appliance.api.messages import Request, Response
from appliance.errors import BadRequest, CinnabarError

HEAD_SECONDS: Final = 15.0
"""From the first byte of a request to the end of its header section."""
IDLE_SECONDS: Final = 75.0
"""Between requests; the front's own keep-alive is no longer."""
BODY_SECONDS: Final = 15.0
"""For a body, plus one second for each BODY_BYTES_A_SECOND of it."""
BODY_BYTES_A_SECOND: Final = 64 * 1024
WRITE_SECONDS: Final = 30.0
"""A peer that takes none of its answer for so long is cut off."""

LINGER_SECONDS: Final = 2.0
"""After a refusal, for a peer that is still sending to read it."""

ADDRESS_BYTES: Final = 4 * 1024
HEAD_BYTES: Final = 32 * 1024
"""Of the whole header section: an escaped certificate with an ML-DSA-87 key takes 14 kB."""
PIPELINE: Final = 16
"""Requests that wait on one connection before it stops reading."""
LARGE_BYTES: Final = 64 * 1024
"""Bodies beyond it leave a quarter of the worker's room to smaller ones, such as those of stamps."""
FRAMING_ALLOWANCE: Final = 8
"""Bytes on the wire for each byte of body that chunked coding may cost before it counts as an attack."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CERTIFICATE_HEADER: Final = b"x-cinnabar-client-certificate"
_LISTS: Final = frozenset((b"accept", b"accept-language", b"prefer", b"connection", b"te", b"via", b"cookie"))


class Hub(Protocol):
    """What a connection needs of the worker that holds it."""

    now: float
    """The loop's time, a second coarse."""
    date: bytes
    stopping: bool
    in_flight: int
    in_flight_limit: int
    held: int
    """Bytes of request bodies in memory."""
    held_limit: int
    loop: asyncio.AbstractEventLoop

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool: ...
    def forget(self, connection: Connection) -> None: ...
    def route(self, request: Request) -> int:
        """Find the endpoint, or set the refusal; the largest body to take, in bytes."""

    def answer(self, request: Request) -> Coroutine[Any, Any, Response]: ...
    def answered(self, request: Request, status: int) -> None: ...
    def refuse(self, error: CinnabarError) -> Response: ...


class Connection(asyncio.Protocol):
    """See the module. `listener` is the name of the socket that the peer came in by; nothing a peer says changes it."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_body_limit",
        "_close_after",
        "_ended",
        "_head_bytes",
        "_headers",
        "_hub",
        "_in_head",
        "_in_message",
        "_linger",
        "_listener",
        "_parser",
        "_paused_reading",
        "_paused_writing",
        "_queue",
        "_read_deadline",
        "_request",
        "_running",
        "_transport",
        "_url",
        "_wire_bytes",
        "_write_deadline",
    )

    @property
    def listener(self) -> str:
        """Name of the socket that the peer came in by."""
        return self._listener

    def __init__(self, hub: Hub, listener: str) -> None:
        self._hub = hub
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Request | Response] = deque()
        self._running: Request | None = None
        self._request: Request | None = None
        self._headers: dict[bytes, bytes] = {}
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_limit = 0
        self._head_bytes = 0
        self._wire_bytes = 0
        self._in_head = False
        self._in_message = False
        self._ended = False
        self._close_after = False
        self._linger = False
        self._paused_reading = False
        self._paused_writing = False
        self._read_deadline = hub.now + IDLE_SECONDS
        self._write_deadline = 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._transport = stream
        if not self._hub.admit(self, stream):
            self._ended = True
            stream.abort()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request itself is complete and is answered; what follows would be another protocol's.
            self._ended = self._close_after = True
        except httptools.HttpParserError as error:
            if not self._ended:
                self._refuse(BadRequest(f"This is not HTTP/1.1: {error}."))
        if self._in_message and not self._ended:
            self._check_framing()
        if self._running is None:
            self._next()

    def eof_received(self) -> bool:
        """A peer that only half-closes still gets the answers it waits for."""
        self._ended = self._close_after = True
        self._linger = False
        return self._running is not None or bool(self._queue)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._ended = True
        self._transport = None
        self._release(self._request)
        self._request = None
        for waiting in self._queue:
            if isinstance(waiting, Request):
                self._release(waiting)
        self._queue.clear()
        self._hub.forget(self)

    def pause_writing(self) -> None:
        self._paused_writing = True
        self._write_deadline = self._hub.now + WRITE_SECONDS
        self._pause_reading()

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._running is None:
            self._next()

    # The parser's side. Errors are kept, not raised: the parser would wrap them.

    def on_message_begin(self) -> None:
        self._headers = {}
        self._url = b""
        self._body = []
        self._body_bytes = self._head_bytes = self._wire_bytes = 0
        self._in_head = self._in_message = True
        self._read_deadline = self._hub.now + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > ADDRESS_BYTES:
            self._refuse(AddressTooLong(f"An address has at most {ADDRESS_BYTES} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # trailers say nothing here, and can never say who the caller is
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            self._refuse(HeadersTooLarge(f"A header section has at most {HEAD_BYTES} bytes."))
            return
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name == CERTIFICATE_HEADER:
                self._refuse(BadCertificateHeader("The header stands there twice."))
            elif name in _LISTS:
                headers[name] += b", " + value
            else:
                self._refuse(BadRequest("A header that may stand once stands there twice."))
            return
        headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._ended:
            return
        parser, headers = self._parser, self._headers
        version = parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            self._refuse(UnsupportedVersion("Workers speak HTTP/1.1."))
            return
        if b"host" not in headers and version == "1.1":
            self._refuse(BadRequest("HTTP/1.1 requires a Host header (RFC 9112, section 3.2)."))
            return
        path, _, query = self._url.partition(b"?")
        if path[:1] != b"/":  # absolute form (RFC 9112, section 3.2.2); CONNECT and OPTIONS * match no endpoint
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        request = Request(
            self._listener,
            parser.get_method().decode("ascii"),
            path.decode("latin-1"),
            query.decode("latin-1"),
            headers,
        )
        request.keep_alive = parser.should_keep_alive()
        self._request = request
        self._body_limit = limit = self._hub.route(request)
        declared = headers.get(b"content-length")
        if declared is not None:
            length = int(declared)
            if length > limit:
                self._refuse(TooLarge(f"The body has {length} bytes; this endpoint takes {limit}."))
                return
            self._read_deadline = self._hub.now + BODY_SECONDS + length / BODY_BYTES_A_SECOND
        else:
            self._read_deadline = self._hub.now + BODY_SECONDS + limit / BODY_BYTES_A_SECOND
        if headers.get(b"expect", b"").lower() == b"100-continue" and self._running is None and not self._queue:
            self._write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._ended:
            return
        request, hub = self._request, self._hub
        size = len(body)
        self._body_bytes += size
        if self._body_bytes > self._body_limit:
            self._refuse(TooLarge(f"This endpoint takes a body of at most {self._body_limit} bytes."))
            return
        if request is not None:
            request.held += size
            hub.held += size
            if hub.held > hub.held_limit - (hub.held_limit // 4 if request.held > LARGE_BYTES else 0):
                self._refuse(Busy("The worker holds as many bytes of requests as it takes."))
                return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._ended:
            return
        request = self._request
        assert request is not None  # noqa: S101 - on_headers_complete made it or ended the connection
        self._request = None
        self._in_message = False
        self._read_deadline = 0.0
        body = self._body
        if body:
            if request.endpoint is None or request.endpoint.reads_body:
                request.body = body[0] if len(body) == 1 else b"".join(body)
            else:
                request.pieces = body
            self._body = []
        if not request.keep_alive:
            self._ended = self._close_after = True
        if self._running is None and not self._queue and not self._paused_writing:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= PIPELINE:
                self._pause_reading()

    # Requests.

    def _next(self) -> None:
        """Answer what waits, in order; close when nothing more will come."""
        turns = PIPELINE
        while self._queue and self._running is None and not self._paused_writing:
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
            self._ended = True
            if self._linger and not self._hub.stopping:
                self._hang_up()
            else:
                self._transport.close()
            return
        if self._paused_reading and not self._paused_writing:
            self._paused_reading = False
            self._transport.resume_reading()
        if not self._in_message:
            self._read_deadline = self._hub.now + IDLE_SECONDS

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
        close = self._hub.stopping or (self._close_after and not self._queue)
        self._write(response.render(self._hub.date, close, request.method == "HEAD"))
        if close:
            self._ended = self._close_after = True

    def _hang_up(self) -> None:
        """Say that nothing more comes, and read on for a while: closing at once would take the answer from a peer that
        is still sending (RFC 9112, section 9.6)."""
        assert self._transport is not None  # noqa: S101 - its caller looked
        self._linger = False
        self._in_message = False
        self._read_deadline = self._hub.now + LINGER_SECONDS
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused_reading:
            self._paused_reading = False
            self._transport.resume_reading()

    # Refusals, deadlines, flow.

    def _refuse(self, error: CinnabarError) -> None:
        """Answer an error after what was asked before it, and close: what follows on the wire cannot be trusted."""
        if self._ended:
            return
        self._ended = self._close_after = self._linger = True
        self._read_deadline = self._hub.now + WRITE_SECONDS
        self._release(self._request)
        self._request = None
        self._body = []
        self._queue.append(self._hub.refuse(error))

    def _check_framing(self) -> None:
        if self._in_head:
            if self._wire_bytes > HEAD_BYTES + ADDRESS_BYTES:
                self._refuse(HeadersTooLarge(f"A header section has at most {HEAD_BYTES} bytes."))
        elif self._wire_bytes > FRAMING_ALLOWANCE * self._body_bytes + HEAD_BYTES + ADDRESS_BYTES:
            self._refuse(BadRequest("The body's coding is far larger than the body."))

    def sweep(self, now: float) -> None:
        """Called about once a second: cut off a peer that is too slow."""
        if self._transport is None:
            return
        if self._paused_writing:
            if now > self._write_deadline:
                self._transport.abort()
        elif self._read_deadline and now > self._read_deadline and self._running is None and not self._paused_reading:
            if self._in_message and not self._ended:
                self._refuse(RequestTimeout("The request did not arrive in time."))
                self._next()
            else:
                self._transport.close()

    def stop(self) -> None:
        """Close as soon as what was asked has been answered."""
        self._close_after = True
        if self._running is None and not self._queue and self._transport is not None and not self._in_message:
            self._ended = True
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
        if self._transport is not None:
            self._transport.write(data)

    def _release(self, request: Request | None) -> None:
        if request is not None and request.held:
            self._hub.held -= request.held
            request.held = 0


ConnectionFactory = Callable[[], Connection]
