"""Drafts that wait for approvals: kept by an application, found by approvers, signed one by one, made to happen.

What is kept is the application's request and the very text; the event is judged wholly anew when it happens. The box
keeps no code that opens anything (control VEIL), and an approval that has fallen is dropped when the next one comes.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from appliance.api.application import query_of
from appliance.api.callers import Caller
from appliance.api.errors import NotPermitted
from appliance.api.letters.approvals import told
from appliance.api.letters.draft_schemas import Approved, DraftEvent, KeepRequest, KeptDraft, KeptDrafts
from appliance.api.letters.events import answered, beginning, following, happen
from appliance.api.letters.making import Wanted, decide
from appliance.api.letters.schemas import EventRequest, LetterRequest
from appliance.api.letters.views import read_letters
from appliance.api.messages import Request, Response
from appliance.api.texts import idempotency_of
from appliance.errors import BadRequest, CinnabarError, Conflict
from appliance.letters.approvals import Needed, check_given, check_places, what_is_missing, what_is_needed
from appliance.letters.draft_words import read_approval_text
from appliance.letters.errors import ApprovalMissing, KindUnknown
from appliance.letters.event import Approval
from appliance.letters.kind import Step
from appliance.recorder.errors import DraftMoved, HeadMoved

if TYPE_CHECKING:
    from appliance.api.worker import Worker

PAGE: Final = 100
"""Drafts of one page, as the recorder has it."""
_TRIES: Final = 8
"""How often an approval is added again where others came at the same time."""
_HOUR_US: Final = 3_600_000_000
_encode = msgspec.json.Encoder().encode


class DraftStale(Conflict):
    """The draft is another one by now: the letter, its kind or another letter has moved on since it was made."""

    code = "draft-stale"
    title = "What was approved would not happen any more"


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a draft, encrypted by its tenant."""

    application: str
    asked_us: int
    letter: str | None
    """None: it begins one."""
    request: bytes
    """LetterRequest or EventRequest, JSON, such that the draft comes out the same."""
    text: bytes
    steps: list[str]
    amount: tuple[int, str] | None
    approvals: list[Approval]


class _Standing(NamedTuple):
    draft: bytes
    revision: int
    expires: int
    kept: _Kept


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Kept).decode


async def keep_draft(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts"""
    caller, asked = _of(request)
    assert isinstance(asked, KeepRequest)  # noqa: S101 - the endpoint's schema
    wanted, reproducible = await _wanted(worker, caller, asked)
    decision = await decide(worker, caller, wanted)
    if not decision.steps:
        raise BadRequest("the event needs no approval: have it happen")
    what_is_needed(decision.steps, decision.amount, worker.approvers.of(caller.tenant))
    text = decision.draft.approval_text()
    draft = hashlib.sha256(text).digest()
    members: dict[str, Any] = {"disclosures": dict(decision.disclosures)}
    if isinstance(reproducible, LetterRequest):
        members["letter"] = decision.draft.letter
    else:
        members |= {"parts": [part.letter for part in decision.draft.parts], "head": decision.draft.previous}
    now_us = worker.clock.read().time_us
    kept = _Kept(
        caller.application, now_us, None if asked.letter is None else asked.letter,
        _encode(msgspec.structs.replace(reproducible, **members)), text, [step.policy for step in decision.steps],
        decision.amount, [],
    )  # fmt: skip
    one = _Standing(draft, 1, now_us + asked.hours * _HOUR_US, kept)
    try:
        await _write(worker, caller, one)
    except DraftMoved:  # it is kept already, and has approvals
        one = await _read(worker, caller.tenant, draft)
    (shown,) = await _shown(worker, caller.tenant, [one])
    return Response(_encode(shown))


async def kept_drafts(worker: Worker, request: Request) -> Response:
    """GET /v1/drafts"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    tenant = request.caller.tenant
    after = bytes.fromhex(query_of(request).get("after", ""))
    rows = await worker.recorder.query("drafts", tenant, worker.clock.read().time_us, after)
    found = [_opened(worker, tenant, row) for row in rows]
    more = found[-1].draft.hex() if found else None
    return Response(_encode(KeptDrafts(drafts=await _shown(worker, tenant, found), next=more)))


async def kept_draft(worker: Worker, request: Request) -> Response:
    """GET /v1/drafts/{draft}"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    one = await _read(worker, request.caller.tenant, bytes.fromhex(request.arguments["draft"]))
    (shown,) = await _shown(worker, request.caller.tenant, [one])
    return Response(_encode(shown))


async def approve_draft(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts/{draft}/approvals"""
    caller, approval = _of(request)
    assert isinstance(approval, Approval)  # noqa: S101 - the endpoint's schema
    draft = bytes.fromhex(request.arguments["draft"])
    for _ in range(_TRIES):
        one = await _read(worker, caller.tenant, draft)
        if approval in one.kept.approvals:
            break  # the same again
        if (await _states(worker, caller.tenant, [one]))[0]:
            raise DraftStale("the draft is stale: ask for another one")
        approvals = _with(worker, caller.tenant, one.kept, approval)
        one = one._replace(revision=one.revision + 1, kept=msgspec.structs.replace(one.kept, approvals=approvals))
        try:
            await _write(worker, caller, one)
        except DraftMoved:
            continue
        break
    else:
        raise DraftMoved("other approvals came at the same time: send it again")
    (shown,) = await _shown(worker, caller.tenant, [one])
    return Response(_encode(shown))


async def draft_event(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts/{draft}/event"""
    caller, asked = _of(request)
    assert isinstance(asked, DraftEvent)  # noqa: S101 - the endpoint's schema
    idempotency = idempotency_of(request)
    if idempotency is not None:
        before = await answered(worker, caller, idempotency)
        if before is not None:
            return before
    one = await _read(worker, caller.tenant, bytes.fromhex(request.arguments["draft"]))
    kept = one.kept
    if kept.application != caller.application:
        raise NotPermitted("The application that asked for the draft has it happen.")
    wanted = await _again(worker, caller, kept, asked.codes)
    if (await decide(worker, caller, wanted)).draft.approval_text() != kept.text:
        raise DraftStale("the event would be another one by now: ask for another draft")
    response = await happen(worker, caller, idempotency, wanted)
    with contextlib.suppress(CinnabarError):  # what stays is stale, and expires
        await _write(worker, caller, one._replace(revision=one.revision + 1), drop=True)
    return response


def _of(request: Request) -> tuple[Caller, Any]:
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    return request.caller, request.document


async def _wanted(worker: Worker, caller: Caller, asked: KeepRequest) -> tuple[Wanted, LetterRequest | EventRequest]:
    reproducible = asked.begin if asked.begin is not None else asked.event
    if reproducible is None or (asked.begin is None) != (asked.event is not None) or reproducible.approvals:
        raise BadRequest("a draft has begin, or letter and event, and no approvals yet")
    if isinstance(reproducible, LetterRequest):
        if asked.letter is not None:
            raise BadRequest("a letter that begins has its id in begin")
        return beginning(worker, caller, reproducible), reproducible
    if asked.letter is None or reproducible.codes:
        raise BadRequest("an event is of a letter, and its codes come when it happens")
    return await following(worker, caller, asked.letter, reproducible), reproducible


async def _again(worker: Worker, caller: Caller, kept: _Kept, codes: dict[str, str]) -> Wanted:
    """What was asked for, with its approvals."""
    if kept.letter is None:
        begins = msgspec.json.decode(kept.request, type=LetterRequest)
        return beginning(worker, caller, msgspec.structs.replace(begins, approvals=kept.approvals))
    follows = msgspec.json.decode(kept.request, type=EventRequest)
    asked = msgspec.structs.replace(follows, approvals=kept.approvals, codes=codes)
    try:
        return await following(worker, caller, kept.letter, asked)
    except HeadMoved as error:
        raise DraftStale(f"{error}: ask for another draft") from None


def _needed(worker: Worker, tenant: str, kept: _Kept) -> tuple[Needed, ...]:
    return what_is_needed([Step(policy=name) for name in kept.steps], kept.amount, worker.approvers.of(tenant))


def _with(worker: Worker, tenant: str, kept: _Kept, approval: Approval) -> list[Approval]:
    """The approvals that still hold, and this one, which must. Raises ApprovalMissing."""
    approvers, needed = worker.approvers.of(tenant), _needed(worker, tenant, kept)
    at = datetime.datetime.fromtimestamp(worker.clock.read().time_us / 1_000_000, datetime.UTC)
    standing: list[Approval] = []
    for one in kept.approvals:
        try:
            check_given(kept.text, needed, [*standing, one], approvers, at)
        except ApprovalMissing:
            continue  # it fell: the policy or the constitution is another one
        standing.append(one)
    check_given(kept.text, needed, [*standing, approval], approvers, at)
    return [*standing, approval]


async def _states(worker: Worker, tenant: str, found: list[_Standing]) -> list[bool]:
    """Of each, whether it is stale."""
    events = [read_approval_text(one.kept.text) for one in found]
    letters = await read_letters(worker, tenant, [event.letter for event in events])
    stale = []
    for event in events:
        standing = letters.get(event.letter)
        if event.previous is not None or standing is not None:
            stale.append(standing is None or standing.head != event.previous)
            continue
        try:
            stale.append(worker.kinds.newest(tenant, event.kind.id).digest != event.kind.digest)
        except KindUnknown:
            stale.append(True)
    return stale


async def _shown(worker: Worker, tenant: str, found: list[_Standing]) -> list[KeptDraft]:
    """As approvers and applications see them. Signatures were checked as they came, and are when the event happens."""
    return [
        _one_shown(worker, tenant, one, stale=stale)
        for one, stale in zip(found, await _states(worker, tenant, found), strict=True)
    ]


def _one_shown(worker: Worker, tenant: str, one: _Standing, *, stale: bool) -> KeptDraft:
    kept, event = one.kept, read_approval_text(one.kept.text)
    needed: tuple[Needed, ...] = ()
    complete = False
    try:
        needed = _needed(worker, tenant, kept)
        check_places(needed, kept.approvals)
        approvers = worker.approvers.of(tenant)
        in_office = approvers is not None and all(approvers.person(given.approver) for given in kept.approvals)
        complete = in_office and not what_is_missing(needed, kept.approvals)
    except ApprovalMissing:
        pass  # a policy is another one, or gone
    request = msgspec.json.decode(kept.request, type=EventRequest if kept.letter is not None else LetterRequest)
    return KeptDraft(
        draft=one.draft.hex(),
        state="stale" if stale else "complete" if complete else "open",
        letter=event.letter,
        kind=event.kind.id,
        event=event.event,
        application=kept.application,
        asked=_time(kept.asked_us),
        expires=_time(one.expires),
        text=kept.text,
        disclosures=request.disclosures,
        needed=told(needed),
        approved=[Approved(approver=approval.approver, step=approval.step) for approval in kept.approvals],
    )


def _time(time_us: int) -> str:
    when = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=time_us)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _read(worker: Worker, tenant: str, draft: bytes) -> _Standing:
    """Raises NotFound; another tenant's is not found either."""
    return _opened(worker, tenant, await worker.recorder.query("draft", tenant, draft, worker.clock.read().time_us))


def _opened(worker: Worker, tenant: str, row: dict[str, Any]) -> _Standing:
    content = worker.cipher_of(tenant).open_bytes(_label(row["draft"]), row["content"])
    return _Standing(row["draft"], row["revision"], row["expires"], _unpack(content))


async def _write(worker: Worker, caller: Caller, one: _Standing, *, drop: bool = False) -> None:
    content = b"" if drop else worker.cipher_of(caller.tenant).close_bytes(_label(one.draft), _pack(one.kept))
    await worker.recorder.draft_keep(
        caller.tenant, caller.application, caller.certificate, one.draft, one.revision, one.expires, content
    )


def _label(draft: bytes) -> bytes:
    return b"draft|" + draft
