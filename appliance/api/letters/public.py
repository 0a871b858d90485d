"""Letters checked by anybody who holds one (验真): by the code on its page and a second field, by a pair of fields, by
its PDF or its evidence file; as JSON and as a page.

What is told is what the kind makes public, and the letter's state. A wrong code, a wrong second field and a kind that
is not public are answered alike (control CHANNEL): 128 random bits are not tried out, and a code alone tells nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from appliance.api.application import query_of
from appliance.api.letters.finds import look_up
from appliance.api.letters.multipart import file_within
from appliance.api.letters.public_pages import (
    STYLE,
    PairLabels,
    answer_page,
    find_form,
    form_page,
    found_page,
    no_code_page,
    not_found,
    start_page,
    unknown_page,
)
from appliance.api.letters.schemas import KindId
from appliance.api.letters.views import open_view
from appliance.api.messages import NO_STORE, Request, Response
from appliance.asic.container import FIRST_BYTES
from appliance.documents import LETTER_FILE, DocumentTooCostly, LetterFileRequest
from appliance.errors import CinnabarError, NotFound
from appliance.letters.effects import value_of
from appliance.letters.errors import FieldRefused, KindUnknown
from appliance.letters.event import LetterId
from appliance.letters.finding import FILE, PAIR, file_of, is_pair
from appliance.letters.kind import Bilingual, Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import normalised

if TYPE_CHECKING:
    from appliance.api.worker import Worker

FILE_BYTES: Final = 4 * 1024 * 1024
"""Largest file that anybody may have looked up."""
MEDIA_MULTIPART: Final = "multipart/form-data"
MEDIA_HTML: Final = "text/html"
MEDIA_FORM: Final = "application/x-www-form-urlencoded"
LONGEST_SECOND: Final = 200
ANYBODY: Final = "@anybody"
"""Whose turn files that strangers bring take among documents: no tenant can be called so."""
_NOT_FOUND: Final = "Look at both fields, or at the file, once more."
_WRITTEN: Final = re.compile(r"[0-9a-f]{32}")
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


class PairRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two fields of a letter of a kind, as the letter has them."""

    kind: KindId
    first: str
    """The first field of the kind's pair."""
    second: str
    """The second one."""


class FoundLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody is told of a letter."""

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


class FoundLetters(msgspec.Struct, frozen=True, kw_only=True):
    """Letters, the newest first of each institution. Their codes are not told."""

    letters: list[FoundLetter]


class CheckedLetter(FoundLetter, frozen=True, kw_only=True):
    """What anybody who holds the letter is told."""

    code: LetterId


class NoSuchLetter(NotFound):
    """The code or the second field is not right, or the letter is not for the public."""

    code = "no-such-letter"
    title = "There is no letter with this code and this field"


async def check(worker: Worker, request: Request) -> Response:
    """POST /v1/check"""
    asked: CheckRequest = request.document
    return Response(_encode(await _checked(worker, asked.code, asked.second)))


async def landing_page(worker: Worker, request: Request) -> Response:
    """GET /"""
    return _page_of(worker, query_of(request).get("code", ""))


async def check_page(worker: Worker, request: Request) -> Response:
    """GET /letters/{code}"""
    return _page_of(worker, request.arguments["code"])


def _page_of(worker: Worker, typed: str) -> Response:
    """Where a letter's code was typed, the page that asks for the second field."""
    rehearsal = worker.settings.rehearsal
    if not typed.strip():
        return Response(start_page(_findable(worker), rehearsal), _HTML, headers=_PAGE_HEADERS)
    code = _code(typed)
    if code is None:
        return Response(no_code_page(rehearsal), _HTML, 404, _PAGE_HEADERS)
    return Response(form_page(code, rehearsal), _HTML, headers=_PAGE_HEADERS)


def _code(typed: str) -> str | None:
    """A code typed by people: blanks, width and case of letters do not matter. None: no letter has such a one."""
    code = "".join(unicodedata.normalize("NFKC", typed).split()).lower()
    return code if _WRITTEN.fullmatch(code) else None


async def check_form(worker: Worker, request: Request) -> Response:
    """POST /letters/{code}"""
    code = _code(request.arguments["code"])
    if code is None:
        return Response(no_code_page(worker.settings.rehearsal), _HTML, 404, _PAGE_HEADERS)
    try:
        found = await _checked(worker, code, _form(request.body).get("second", ""))
    except NoSuchLetter:
        return Response(unknown_page(code, worker.settings.rehearsal), _HTML, 404, _PAGE_HEADERS)
    return Response(answer_page(found), _HTML, headers=_PAGE_HEADERS)


async def check_pair(worker: Worker, request: Request) -> Response:
    """POST /v1/check/pair"""
    asked: PairRequest = request.document
    return Response(_encode(FoundLetters(letters=await _by_pair(worker, asked.kind, (asked.first, asked.second)))))


async def check_file(worker: Worker, request: Request) -> Response:
    """POST /v1/check/file"""
    return Response(_encode(FoundLetters(letters=await _by_file(worker, request.body))))


async def find_page(worker: Worker, request: Request) -> Response:
    """GET /letters/find"""
    kind = query_of(request).get("kind")
    page = find_form(None if kind is None else _pair_labels(worker, kind), worker.settings.rehearsal)
    return Response(page, _HTML, headers=_PAGE_HEADERS)


async def find_answer(worker: Worker, request: Request) -> Response:
    """POST /letters/find"""
    given = _form(request.body)
    kind = given.get("kind", "")
    try:
        found = await _by_pair(worker, kind, (given.get("first", ""), given.get("second", "")))
    except NoSuchLetter:
        page = not_found(_pair_labels(worker, kind), worker.settings.rehearsal)
        return Response(page, _HTML, 404, _PAGE_HEADERS)
    return Response(found_page(found, worker.settings.rehearsal), _HTML, headers=_PAGE_HEADERS)


async def file_answer(worker: Worker, request: Request) -> Response:
    """POST /letters/file"""
    try:
        found = await _by_file(worker, file_within(request.body))
    except NoSuchLetter:
        return Response(not_found(None, worker.settings.rehearsal), _HTML, 404, _PAGE_HEADERS)
    return Response(found_page(found, worker.settings.rehearsal), _HTML, headers=_PAGE_HEADERS)


async def check_style(_worker: Worker, _request: Request) -> Response:
    """GET /letters/style.css"""
    return Response(STYLE, b"text/css; charset=utf-8", headers=b"cache-control: max-age=3600\r\n")


def _form(body: bytes) -> dict[str, str]:
    try:
        given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in given.items()}


def _pair_labels(worker: Worker, kind: str) -> PairLabels | None:
    """How the fields of a kind's pair are called, where any tenant of the box has such a kind."""
    for tenant in sorted(worker.ciphers):
        with contextlib.suppress(KindUnknown):
            found = worker.kinds.newest(tenant, kind).kind
            if found.pair is not None:
                first, second = (found.fields[name.partition(".")[0]].label for name in found.pair.fields)
                return PairLabels(kind, found.title, first, second)
    return None


def _findable(worker: Worker) -> list[tuple[str, Bilingual]]:
    """Kinds of the box's tenants that have a pair and make something public, each once: (id, title)."""
    found: dict[str, Bilingual] = {}
    for tenant in sorted(worker.ciphers):
        for one in worker.kinds.all_newest(tenant):
            if one.kind.pair is not None and one.kind.public:
                found.setdefault(one.kind.id, one.kind.title)
    return sorted(found.items())


async def _by_pair(worker: Worker, kind: str, given: tuple[str, str]) -> list[FoundLetter]:
    """Raises NoSuchLetter."""
    now_us = worker.clock.read().time_us
    if max(map(len, given)) > LONGEST_SECOND:
        raise NoSuchLetter(_NOT_FOUND)
    try:
        found = await look_up(worker, PAIR, (kind, *given))
    except FieldRefused:
        found = []
    return _found(worker, [one for one in found if is_pair(_kind(worker, *one), one[1], given, now_us)])


async def _by_file(worker: Worker, content: bytes) -> list[FoundLetter]:
    """Raises NoSuchLetter: the file was not made by this box, or its kind is not for the public."""
    if content.startswith(FIRST_BYTES):
        found = await _by_evidence(worker, content)
    else:
        found = await look_up(worker, FILE, file_of(content))
    return _found(worker, [one for one in found if _kind(worker, *one).public])


async def _by_evidence(worker: Worker, content: bytes) -> list[tuple[str, LetterState]]:
    """The letter that an evidence file is of, as it stands now. No file that does not pass wholly is of any."""
    try:
        answer = await worker.documents.call(LETTER_FILE, ANYBODY, LetterFileRequest(content=content))
    except DocumentTooCostly:
        return []
    if answer.held is None:
        return []
    letter = bytes.fromhex(answer.held.letter)
    tenants = sorted({answer.held.tenant} & worker.ciphers.keys())
    found = await worker.recorder.query("letter_of_any", tenants, letter)
    return [] if found is None else [(found[0], open_view(worker.cipher_of(found[0]), letter, found[1]))]


def _found(worker: Worker, letters: list[tuple[str, LetterState]]) -> list[FoundLetter]:
    if not letters:
        raise NoSuchLetter(_NOT_FOUND)
    rehearsal = worker.settings.rehearsal
    return [_told(_kind(worker, *one), one[1], _issuer(worker, one[0]), rehearsal) for one in letters]


def _kind(worker: Worker, tenant: str, state: LetterState) -> Kind:
    return worker.kinds.by_digest(tenant, state.kind.digest).kind


def _issuer(worker: Worker, tenant: str) -> str:
    return next((one.organisation for one in worker.settings.tenants if one.name == tenant), None) or tenant


async def _checked(worker: Worker, code: str, second: str) -> CheckedLetter:
    tenants = sorted(worker.ciphers)
    found = await worker.recorder.query("letter_of_any", tenants, bytes.fromhex(code))
    if found is not None:
        tenant, view = found
        state = open_view(worker.cipher_of(tenant), bytes.fromhex(code), view)
        kind = _kind(worker, tenant, state)
        if _is_second(kind, state, second):
            told = _told(kind, state, _issuer(worker, tenant), worker.settings.rehearsal)
            return CheckedLetter(code=code, **msgspec.structs.asdict(told))
    raise NoSuchLetter("Look at the code and at the field once more.")


def _is_second(kind: Kind, state: LetterState, given: str) -> bool:
    """Written as people write it: blanks, width and case of letters do not matter."""
    value = value_of(state, kind.second) if kind.second is not None else None
    return any(_same(one, given) for one in _spellings(value))


def _spellings(value: Any) -> list[Any]:  # JSON
    """What a value may be typed as: a party's name or its id; an amount alone, or before or after its currency, which
    alone is guessed at one go."""
    if isinstance(value, dict) and "amount" in value:
        amount, currency = value["amount"], value["currency"]
        return [amount, f"{amount} {currency}", f"{currency} {amount}"]
    if isinstance(value, dict):
        return list(value.values())
    return [str(value) if isinstance(value, int) else value]


def _same(value: Any, given: str) -> bool:
    if not isinstance(value, str) or not given or len(given) > LONGEST_SECOND:
        return False
    try:
        return hmac.compare_digest(normalised(value).encode(), normalised(given).encode())
    except (ValueError, CinnabarError):
        return False


def _told(kind: Kind, state: LetterState, issuer: str, rehearsal: bool) -> FoundLetter:
    return FoundLetter(
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
