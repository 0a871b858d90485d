"""A request as a handler sees it and the response that it gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from appliance.api.callers import Caller
    from appliance.api.endpoints import Endpoint

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"

_REASONS: Final = {
    200: b"OK",
    202: b"Accepted",
    204: b"No Content",
    206: b"Partial Content",
    304: b"Not Modified",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
}
_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %s\r\ncontent-type: " % (status, reason) for status, reason in _REASONS.items()
}
NO_STORE: Final = b"cache-control: no-store\r\n"


class Request:
    """One HTTP request, wholly received. Header names are lower-case; names and values are bytes as received."""

    __slots__ = (
        "arguments",
        "body",
        "caller",
        "document",
        "endpoint",
        "headers",
        "held",
        "keep_alive",
        "listener",
        "media_type",
        "method",
        "path",
        "pieces",
        "query",
        "refusal",
    )

    def __init__(self, listener: str, method: str, path: str, query: str, headers: dict[bytes, bytes]) -> None:
        self.listener = listener
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.pieces: list[bytes] = []
        """The body as it arrived, where the endpoint does not read it; `body` is then empty."""
        self.keep_alive = True
        self.held = 0
        self.refusal: Exception | None = None
        """What is wrong with the request itself, answered in its turn."""
        self.endpoint: Endpoint | None = None
        self.arguments: dict[str, str] = {}
        """Parameters of the path, percent-decoded."""
        self.caller: Caller | None = None
        self.media_type = ""
        """Content-Type without parameters, lower-case."""
        self.document: Any = None
        """The body, decoded by the endpoint's schema for its media type; None where that is plain bytes."""

    @property
    def known_caller(self) -> Caller:
        """The caller, for a handler whose endpoint needs one."""
        assert self.caller is not None  # noqa: S101 - routing has seen to it
        return self.caller


class Response:
    """A response. `headers` are whole lines, each ending with CRLF."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(self, body: bytes, media_type: bytes = JSON, status: int = 200, headers: bytes = NO_STORE) -> None:
        self.body = body
        self.media_type = media_type
        self.status = status
        self.headers = headers

    def render(self, date: bytes, close: bool, head_only: bool) -> bytes:
        """The response on the wire. `date` is a whole Date header line."""
        return b"%s%s\r\ncontent-length: %d\r\n%s%s%s\r\n%s" % (
            _STATUS_LINES.get(self.status) or b"HTTP/1.1 %d \r\ncontent-type: " % self.status,
            self.media_type,
            len(self.body),
            date,
            self.headers,
            b"connection: close\r\n" if close else b"",
            b"" if head_only else self.body,
        )
