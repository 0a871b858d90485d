"""What arrives on one connection: httptools parses, limits and deadlines hold, whole requests are handed on.

Nothing that a peer sends can make a connection hold more than the endpoint's size limit, or hold it for longer than the
deadlines below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from appliance.api.messages import Request
from appliance.errors import BadRequest, CinnabarError

if TYPE_CHECKING:
    from appliance.api.connection import Connection, Hub

HEAD_SECONDS: Final = 15.0
"""From the first byte of a request to the end of its header section."""
IDLE_SECONDS: Final = 75.0
"""Between requests; the front's own keep-alive is no longer."""
BODY_SECONDS: Final = 15.0
"""For a body, plus one second for each BODY_BYTES_A_SECOND of it."""
BODY_BYTES_A_SECOND: Final = 64 * 1024
REFUSED_SECONDS: Final = 30.0
"""For what was asked before a refusal to be answered."""
LINGER_SECONDS: Final = 2.0
"""After a refusal, between pieces of what a peer still sends before it reads it."""
LONGEST_LINGER_SECONDS: Final = 30.0
"""For all of it. The front reads an answer only after it has sent the whole body, or as it finds it."""

ADDRESS_BYTES: Final = 4 * 1024
HEAD_BYTES: Final = 32 * 1024
"""Of the whole header section: an escaped certificate with an ML-DSA-87 key takes 14 kB."""
LARGE_BYTES: Final = 64 * 1024
"""Bodies beyond it leave a quarter of the worker's room to smaller ones, such as those of stamps."""
FRAMING_ALLOWANCE: Final = 8
"""Bytes on the wire for each byte of body that chunked coding may cost before it counts as an attack."""

CERTIFICATE_HEADER: Final = b"x-cinnabar-client-certificate"
_LISTS: Final = frozenset((b"accept", b"accept-language", b"prefer", b"connection", b"te", b"via", b"cookie"))


class RequestReader:
    """The reading side of a connection. Errors are kept and told to it, not raised: the parser would wrap them."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_body_limit",
        "_connection",
        "_head_bytes",
        "_headers",
        "_hub",
        "_in_head",
        "_linger_ends",
        "_parser",
        "_request",
        "_url",
        "_wire_bytes",
        "deadline",
        "ended",
        "in_message",
    )

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._request: Request | None = None
        self._headers: dict[bytes, bytes] = {}
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._body_limit = 0
        self._head_bytes = 0
        self._wire_bytes = 0
        self._in_head = False
        self._linger_ends = 0.0
        self.in_message = False
        """Part of a request has come."""
        self.ended = False
        """Nothing more is taken."""
        self.deadline = hub.now + IDLE_SECONDS
        """Of the loop's clock, for what is to come next; 0 while nothing has to."""

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.ended:
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request itself is complete and is answered; what follows would be another protocol's.
            self.ended = True
            self._connection.close_when_answered()
        except httptools.HttpParserError as error:
            if not self.ended:
                self._refuse(BadRequest(f"This is not HTTP/1.1: {error}."))
        if self.in_message and not self.ended:
            self._check_framing()

    def forget(self) -> None:
        """Let go of a request that has only come in part."""
        request = self._request
        self._request = None
        self._body = []
        if request is not None and request.held:
            self._hub.let_go(request)

    def linger(self) -> None:
        """Read on for a while, and take nothing."""
        self.in_message = False
        self._linger_ends = self._hub.now + LONGEST_LINGER_SECONDS
        self.drain()

    def drain(self) -> None:
        """Something more came meanwhile: it is forgotten."""
        self.deadline = min(self._hub.now + LINGER_SECONDS, self._linger_ends)

    def idle(self) -> None:
        """All is answered: wait for the next request."""
        if not self.in_message:
            self.deadline = self._hub.now + IDLE_SECONDS

    def time_out(self) -> None:
        """The request did not arrive in time."""
        self._refuse(RequestTimeout("The request did not arrive in time."))

    def _refuse(self, error: CinnabarError) -> None:
        """What follows on the wire cannot be trusted."""
        if self.ended:
            return
        self.ended = True
        self.deadline = self._hub.now + REFUSED_SECONDS
        self.forget()
        self._connection.refuse(error)

    def _check_framing(self) -> None:
        if self._in_head:
            if self._wire_bytes > HEAD_BYTES + ADDRESS_BYTES:
                self._refuse(HeadersTooLarge(f"A header section has at most {HEAD_BYTES} bytes."))
        elif self._wire_bytes > FRAMING_ALLOWANCE * self._body_bytes + HEAD_BYTES + ADDRESS_BYTES:
            self._refuse(BadRequest("The body's coding is far larger than the body."))

    # The parser's calls.

    def on_message_begin(self) -> None:
        self._headers = {}
        self._url = b""
        self._body = []
        self._body_bytes = self._head_bytes = self._wire_bytes = 0
        self._in_head = self.in_message = True
        self.deadline = self._hub.now + HEAD_SECONDS

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
        if self.ended:
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
            self._connection.listener,
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
            self.deadline = self._hub.now + BODY_SECONDS + length / BODY_BYTES_A_SECOND
        else:
            self.deadline = self._hub.now + BODY_SECONDS + limit / BODY_BYTES_A_SECOND
        if headers.get(b"expect", b"").lower() == b"100-continue":
            self._connection.meet_expectation()

    def on_body(self, body: bytes) -> None:
        if self.ended:
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
        if self.ended:
            return
        request = self._request
        assert request is not None  # noqa: S101 - on_headers_complete made it or ended the connection
        self._request = None
        self.in_message = False
        self.deadline = 0.0
        body = self._body
        if body:
            if request.endpoint is None or request.endpoint.reads_body:
                request.body = body[0] if len(body) == 1 else b"".join(body)
            else:
                request.pieces = body
            self._body = []
        if not request.keep_alive:
            self.ended = True
        self._connection.take(request)
