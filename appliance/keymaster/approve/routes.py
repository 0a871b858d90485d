"""From paths to pages, files and the service's values; every answer with the headers that keep other sites out.

Sources: CSP level 3, Fetch metadata, Permissions Policy, OWASP ASVS 5 chapter 3. There are no cookies and no sessions:
a request has the authority of the evidence in it and no other.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.resources
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
import structlog

from appliance.api.errors import MethodNotAllowed, UnknownPath, UnsupportedMediaType
from appliance.api.messages import JSON, Request, Response
from appliance.api.problems import problem_response
from appliance.ceremonies import StatementRefused
from appliance.errors import BadRequest, CinnabarError, InvalidMember, NotAuthorised, NotFound
from appliance.keymaster.approve.drafts import DraftAsked, DraftWords
from appliance.keymaster.approve.rates import CODE, STATEMENT, Rate, Rates
from appliance.keymaster.approve.registration import Registration
from appliance.keymaster.approve.service import ApprovalService, Said, words_table
from appliance.keymaster.errors import CodeRefused

BODY_BYTES: Final = 256 * 1024
"""Largest request."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src blob:",  # a seal's picture, which the page takes from the text that it has checked
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_SECURITY: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), "
    "microphone=(), geolocation=(), clipboard-read=(), payment=(), usb=(), serial=(), hid=()",
}
HEADERS: Final = "".join(f"{name}: {value}\r\n" for name, value in _SECURITY.items()).encode()
_NO_STORE: Final = HEADERS + b"cache-control: no-store\r\n"

_PAGES: Final = {
    re.compile(r"/", re.ASCII): "index.html",
    re.compile(r"/enrol/[0-9a-f]{32}", re.ASCII): "enrol.html",
    re.compile(r"/candidates/[0-9a-f]{16}", re.ASCII): "enrol.html",
    re.compile(r"/proposals/[0-9a-f]{64}", re.ASCII): "proposal.html",
    re.compile(r"/drafts/[0-9a-f]{64}", re.ASCII): "draft.html",
}
_TYPES: Final = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "json": JSON,
}

log = structlog.get_logger("keymaster")
_Body = TypeVar("_Body")
Handler = Callable[[Request, str], Awaitable[object]]


class ElsewhereRefused(NotAuthorised):
    """A request that another site's page made."""

    code = "another-site"
    title = "Requests come from these pages only"
    control = "QUORUM"


class _Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class Routes:
    """Answers requests. `answer` raises nothing and awaits futures only, as its connection requires."""

    def __init__(self, service: ApprovalService, drafts: DraftWords, rates: Rates | None = None) -> None:
        self._service = service
        self._drafts = drafts
        self._rates = rates or Rates()
        self._files = _load_files()
        self._handlers: tuple[tuple[str, re.Pattern[str], Rate, Handler], ...] = (
            ("GET", re.compile(r"/api/invitations/([0-9a-f]{32})", re.ASCII), CODE, self._invitation),
            ("POST", re.compile(r"/api/invitations/([0-9a-f]{32})/passkey", re.ASCII), CODE, self._register),
            ("GET", re.compile(r"/api/candidates/([0-9a-f]{16})", re.ASCII), CODE, self._candidate),
            ("POST", re.compile(r"/api/candidates/([0-9a-f]{16})/confirmation", re.ASCII), CODE, self._confirm),
            ("GET", re.compile(r"/api/proposals/([0-9a-f]{64})", re.ASCII), CODE, self._proposal),
            ("POST", re.compile(r"/api/proposals/([0-9a-f]{64})/statements", re.ASCII), STATEMENT, self._state),
            ("POST", re.compile(r"/api/statements", re.ASCII), STATEMENT, self._state_whole),
            ("POST", re.compile(r"/api/draft-words", re.ASCII), CODE, self._draft_words),
        )

    async def answer(self, request: Request) -> Response:
        """The response to a request."""
        try:
            # A task of its own: handlers use what needs one, such as timeouts.
            return await asyncio.ensure_future(self._answer(request))
        except CinnabarError as error:
            return _secured(problem_response(error))
        except Exception:
            log.exception("approval-request-failed", path=request.path.partition("/")[0])
            return _secured(problem_response(CinnabarError("The box logged what happened.")))

    async def _answer(self, request: Request) -> Response:
        if request.refusal is not None:
            raise request.refusal
        if request.path.startswith("/api/"):
            return await self._value(request)
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed("GET, HEAD")
        name = next((file for path, file in _PAGES.items() if path.fullmatch(request.path)), None)
        if name is None and request.path.startswith("/static/"):
            name = request.path.removeprefix("/static/")
            if name.endswith(".html"):
                name = None
        found = self._files.get(name or "")
        if found is None:
            raise UnknownPath("There is no such page.")
        return _file(request, *found)

    async def _value(self, request: Request) -> Response:
        allowed: list[str] = []
        for method, path, rate, handler in self._handlers:
            match = path.fullmatch(request.path)
            if match is None:
                continue
            if method != request.method:
                allowed.append(method)
                continue
            if method == "POST":
                _check_site(request)
            value = await self._limited(request, rate, match[1] if path.groups else "", handler)
            return Response(msgspec.json.encode(value), JSON, 200, _NO_STORE)
        if allowed:
            raise MethodNotAllowed(", ".join(allowed))
        raise UnknownPath("There is no such address.")

    async def _limited(self, request: Request, rate: Rate, key: str, handler: Handler) -> object:
        address = request.headers.get(b"x-cinnabar-address", b"").decode("latin-1")
        if rate is not STATEMENT:
            self._rates.check(rate, address, key)
        try:
            return await handler(request, key)
        except (NotFound, CodeRefused, StatementRefused):
            self._rates.check(rate, address, key)
            self._rates.failed(rate, address, key)
            raise

    async def _invitation(self, _: Request, code: str) -> object:
        return await self._service.invitation(code)

    async def _register(self, request: Request, code: str) -> object:
        return await self._service.register(code, _body(request, Registration))

    async def _candidate(self, _: Request, identifier: str) -> object:
        return await self._service.candidate(identifier)

    async def _confirm(self, request: Request, identifier: str) -> object:
        return await self._service.confirm(identifier, _body(request, _Code).code)

    async def _proposal(self, _: Request, digest: str) -> object:
        return await self._service.proposal(digest)

    async def _state(self, request: Request, digest: str) -> object:
        return await self._service.state(digest, _body(request, Said))

    async def _state_whole(self, request: Request, _: str) -> object:
        return await self._service.state_whole(request.body)

    async def _draft_words(self, request: Request, _: str) -> object:
        return await self._drafts.words(_body(request, DraftAsked))


def _check_site(request: Request) -> None:
    """Browsers say where a request comes from (Fetch metadata); who is no browser needs not lie."""
    if request.headers.get(b"sec-fetch-site", b"") not in (b"", b"same-origin"):
        raise ElsewhereRefused("the request was made by another site's page")


def _body(request: Request, form: type[_Body]) -> _Body:
    if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("This address takes application/json.")
    try:
        return msgspec.json.decode(request.body, type=form)
    except msgspec.ValidationError as error:
        raise InvalidMember(f"{error}.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadRequest("The body is not JSON.") from None


def _secured(response: Response) -> Response:
    response.headers = HEADERS + response.headers
    return response


def _load_files() -> dict[str, tuple[bytes, bytes, bytes]]:
    """Name to content, media type and entity tag."""
    directory = importlib.resources.files("appliance.keymaster.approve") / "static"
    found = {entry.name: entry.read_bytes() for entry in directory.iterdir() if entry.is_file()}
    found["words.json"] = msgspec.json.encode(words_table())
    return {
        name: (data, _TYPES[name.rpartition(".")[2]], b'"%s"' % hashlib.sha256(data).hexdigest()[:32].encode())
        for name, data in found.items()
    }


def _file(request: Request, data: bytes, media_type: bytes, tag: bytes) -> Response:
    headers = HEADERS + b"cache-control: no-cache\r\netag: %s\r\n" % tag
    if request.headers.get(b"if-none-match") == tag:
        return Response(b"", media_type, 304, headers)
    return Response(data, media_type, 200, headers)


def largest_body(request: Request) -> int:
    """Bytes that a request may have."""
    return BODY_BYTES if request.method == "POST" else 0
