"""Letters checked by anybody who holds one (验真): by the code on its page and a second field, as JSON and as a page.

What is told is what the kind makes public, and the letter's state. A wrong code, a wrong second field and a kind that
is not public are answered alike (control CHANNEL): 128 random bits are not tried out, and a code alone tells nothing.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from appliance.api.letters.public_pages import STYLE, answer_page, form_page, unknown_page
from appliance.api.letters.views import open_view
from appliance.api.messages import NO_STORE, Request, Response
from appliance.errors import CinnabarError, NotFound
from appliance.letters.effects import value_of
from appliance.letters.event import LetterId
from appliance.letters.kind import Bilingual, Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import normalised

if TYPE_CHECKING:
    from appliance.api.worker import Worker

MEDIA_HTML: Final = "text/html"
MEDIA_FORM: Final = "application/x-www-form-urlencoded"
LONGEST_SECOND: Final = 200
_encode = msgspec.json.Encoder().encode
_HTML: Final = b"text/html; charset=utf-8"
_PAGE_HEADERS: Final = NO_STORE + (
    b"content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    b"base-uri 'none'\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n"
)


class CheckRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A letter's code and its second field."""

    code: LetterId
    """Of the letter's page, behind its QR."""
    second: str
    """The field that the kind asks for beside the code, as the letter has it."""


class CheckedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that the kind makes public."""

    name: str
    label: Bilingual
    value: Any


class CheckedLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody who holds the letter is told."""

    code: LetterId
    issuer: str
    """Who sealed it, by the name that the box's officers registered."""
    title: Bilingual
    state: Bilingual
    final: bool
    """Nothing more happens to it."""
    fields: list[CheckedField]
    changed: str
    """Time of its newest event, RFC 3339."""
    rehearsal: bool
    """The box is a rehearsal: the letter is of no effect."""


class NoSuchLetter(NotFound):
    """The code or the second field is not right, or the letter is not for the public."""

    code = "no-such-letter"
    title = "There is no letter with this code and this field"


async def check(worker: Worker, request: Request) -> Response:
    """POST /v1/check"""
    asked: CheckRequest = request.document
    return Response(_encode(await _checked(worker, asked.code, asked.second)))


async def check_page(worker: Worker, request: Request) -> Response:
    """GET /letters/{code}"""
    return Response(form_page(request.arguments["code"], worker.settings.rehearsal), _HTML, headers=_PAGE_HEADERS)


async def check_form(worker: Worker, request: Request) -> Response:
    """POST /letters/{code}"""
    code = request.arguments["code"]
    try:
        given = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=4)
    except ValueError:
        given = {}
    try:
        found = await _checked(worker, code, given.get("second", [""])[0])
    except NoSuchLetter:
        return Response(unknown_page(code, worker.settings.rehearsal), _HTML, 404, _PAGE_HEADERS)
    return Response(answer_page(found), _HTML, headers=_PAGE_HEADERS)


async def check_style(_worker: Worker, _request: Request) -> Response:
    """GET /letters/style.css"""
    return Response(STYLE, b"text/css; charset=utf-8", headers=b"cache-control: max-age=3600\r\n")


async def _checked(worker: Worker, code: str, second: str) -> CheckedLetter:
    tenants = sorted(worker.ciphers)
    found = await worker.recorder.query("letter_of_any", tenants, bytes.fromhex(code))
    if found is not None:
        tenant, view = found
        state = open_view(worker.cipher_of(tenant), bytes.fromhex(code), view)
        kind = worker.kinds.by_digest(tenant, state.kind.digest).kind
        issuer = next((one.organisation for one in worker.settings.tenants if one.name == tenant), None) or tenant
        if _is_second(kind, state, second):
            return _told(kind, state, issuer, worker.settings.rehearsal)
    raise NoSuchLetter("Look at the code and at the field once more.")


def _is_second(kind: Kind, state: LetterState, given: str) -> bool:
    """Written as people write it: blanks, width and case of letters do not matter."""
    value = value_of(state, kind.second) if kind.second is not None else None
    if isinstance(value, dict):
        return any(_same(one, given) for one in value.values() if isinstance(one, str))  # a party's name or its id
    return _same(str(value) if isinstance(value, int) else value, given)


def _same(value: Any, given: str) -> bool:
    if not isinstance(value, str) or not given or len(given) > LONGEST_SECOND:
        return False
    try:
        return hmac.compare_digest(normalised(value).encode(), normalised(given).encode())
    except (ValueError, CinnabarError):
        return False


def _told(kind: Kind, state: LetterState, issuer: str, rehearsal: bool) -> CheckedLetter:
    return CheckedLetter(
        code=state.letter,
        issuer=issuer,
        title=kind.title,
        state=kind.states[state.state].title,
        final=kind.states[state.state].final,
        fields=[
            CheckedField(name=name, label=kind.fields[name].label, value=state.fields[name])
            for name in kind.public
            if name in state.fields
        ],
        changed=state.changed,
        rehearsal=rehearsal,
    )
