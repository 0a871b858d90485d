"""Drafts that wait for approvals: kept by an application, found by approvers, signed one by one, made to happen.

The event is judged wholly anew when it happens. The box keeps no code that opens anything (control VEIL), and an
approval that has fallen is dropped when the next one comes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.application import query_of
from appliance.api.callers import Caller
from appliance.api.errors import NotPermitted
from appliance.api.letters.draft_schemas import DraftEvent, KeepRequest, KeptDrafts
from appliance.api.letters.happening import beginning, following, happen, once
from appliance.api.letters.ids import ids_tag
from appliance.api.letters.kept import (
    DraftSource,
    DraftStale,
    Kept,
    Standing,
    approvals_for,
    approved,
    change_kept,
    close_draft,
    read_draft,
    read_drafts,
    shown_drafts,
)
from appliance.api.letters.making import Wanted, decide, with_limits
from appliance.api.letters.schemas import EventRequest, LetterRequest
from appliance.api.messages import Request, Response
from appliance.api.texts import idempotency_of
from appliance.errors import BadRequest, CinnabarError
from appliance.letters.approvals import what_is_needed
from appliance.letters.event import Approval
from appliance.recorder.errors import DraftMoved, HeadMoved
from appliance.recorder.messages import Idempotency

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_HOUR_US: Final = 3_600_000_000
_encode = msgspec.json.Encoder().encode


def draft_source(worker: Worker, tenant: str) -> DraftSource:
    """Raises TimeNotShown, TokenUnavailable."""
    return DraftSource(
        tenant=tenant,
        recorder=worker.recorder,
        cipher=worker.cipher_of(tenant),
        kinds=worker.kinds,
        approvers=worker.approvers.of(tenant),
        now_us=worker.clock.read().time_us,
    )


async def keep_draft(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts"""
    caller, asked = request.known_caller, request.document
    assert isinstance(asked, KeepRequest)  # noqa: S101 - the endpoint's schema
    wanted, reproducible = await _wanted(worker, caller, asked)
    decision = await with_limits(worker, caller, wanted, await decide(worker, caller, wanted))
    if not decision.steps:
        raise BadRequest("the event needs no approval: have it happen")
    what_is_needed(decision.steps, decision.amount, worker.approvers.of(caller.tenant))
    text = decision.draft.draft_text()
    draft = hashlib.sha256(text).digest()
    parts = [part.letter for part in decision.draft.parts]
    members: dict[str, Any] = {"disclosures": dict(decision.disclosures)}
    members["ids_tag"] = ids_tag(worker, caller.tenant, decision.draft.letter, parts)
    if isinstance(reproducible, LetterRequest):
        members["letter"] = decision.draft.letter
    else:
        members |= {"parts": parts, "head": decision.draft.previous}
    now_us = worker.clock.read().time_us
    kept = Kept(
        caller.application, now_us, None if asked.letter is None else asked.letter,
        _encode(msgspec.structs.replace(reproducible, **members)), text, list(decision.steps),
        decision.amount, [],
    )  # fmt: skip
    one = Standing(draft, 1, now_us + asked.hours * _HOUR_US, kept)
    try:
        await _write(worker, caller, one)
    except DraftMoved:  # it is kept already, and has approvals
        standing = await read_draft(draft_source(worker, caller.tenant), draft)
        if standing.kept.withdrawn_us or standing.kept.steps != kept.steps:  # asked for anew; or limits want others now
            given = [] if standing.kept.withdrawn_us else approvals_for(kept, standing.kept.approvals)
            kept = msgspec.structs.replace(kept, approvals=given)
            standing = one._replace(revision=standing.revision + 1, kept=kept)
            await _write(worker, caller, standing)
        one = standing
    return await _answer(draft_source(worker, caller.tenant), one)


async def kept_drafts(worker: Worker, request: Request) -> Response:
    """GET /v1/drafts"""
    source = draft_source(worker, request.known_caller.tenant)
    found, more = await read_drafts(source, bytes.fromhex(query_of(request).get("after", "")))
    following = None if more is None else more.hex()
    return Response(_encode(KeptDrafts(drafts=await shown_drafts(source, found), next=following)))


async def kept_draft(worker: Worker, request: Request) -> Response:
    """GET /v1/drafts/{draft}"""
    source = draft_source(worker, request.known_caller.tenant)
    return await _answer(source, await read_draft(source, bytes.fromhex(request.arguments["draft"])))


async def approve_draft(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts/{draft}/approvals"""
    approval = request.document
    assert isinstance(approval, Approval)  # noqa: S101 - the endpoint's schema
    return await _change(worker, request, lambda source, one: approved(source, one, approval))


async def withdraw_draft(worker: Worker, request: Request) -> Response:
    """DELETE /v1/drafts/{draft}"""
    caller = request.known_caller

    async def taken_back(source: DraftSource, one: Standing) -> Kept | None:
        if one.kept.application != caller.application:
            raise NotPermitted("The application that asked for the draft takes it back.")
        if one.kept.withdrawn_us:
            return None
        return msgspec.structs.replace(one.kept, withdrawn_us=source.now_us)

    return await _change(worker, request, taken_back)


async def draft_event(worker: Worker, request: Request) -> Response:
    """POST /v1/drafts/{draft}/event"""
    caller, asked = request.known_caller, request.document
    assert isinstance(asked, DraftEvent)  # noqa: S101 - the endpoint's schema
    idempotency = idempotency_of(request)
    draft = bytes.fromhex(request.arguments["draft"])
    return await once(worker, caller, idempotency, _happen(worker, caller, idempotency, draft, asked.codes))


async def _happen(
    worker: Worker, caller: Caller, idempotency: Idempotency | None, draft: bytes, codes: dict[str, str]
) -> Response:
    one = await read_draft(draft_source(worker, caller.tenant), draft)
    kept = one.kept
    if kept.application != caller.application:
        raise NotPermitted("The application that asked for the draft has it happen.")
    if kept.withdrawn_us:
        raise DraftStale("the draft was taken back")
    wanted = await _again(worker, caller, kept, codes)
    if (await decide(worker, caller, wanted)).draft.draft_text() != kept.text:
        raise DraftStale("the event would be another one by now: ask for another draft")
    response = await happen(worker, caller, idempotency, wanted)
    with contextlib.suppress(CinnabarError):  # what stays is stale, and expires
        await _write(worker, caller, one._replace(revision=one.revision + 1), drop=True)
    return response


async def _change(
    worker: Worker, request: Request, change: Callable[[DraftSource, Standing], Awaitable[Kept | None]]
) -> Response:
    """Raises NotFound, DraftMoved, and what `change` raises."""
    caller, draft = request.known_caller, bytes.fromhex(request.arguments["draft"])

    async def find() -> tuple[DraftSource, Standing]:
        source = draft_source(worker, caller.tenant)
        return source, await read_draft(source, draft)

    return await _answer(*await change_kept(find, change, lambda _, one: _write(worker, caller, one)))


async def _answer(source: DraftSource, one: Standing) -> Response:
    (shown,) = await shown_drafts(source, [one])
    return Response(_encode(shown))


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


async def _again(worker: Worker, caller: Caller, kept: Kept, codes: dict[str, str]) -> Wanted:
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


async def _write(worker: Worker, caller: Caller, one: Standing, *, drop: bool = False) -> None:
    content = b"" if drop else close_draft(worker.cipher_of(caller.tenant), one)
    await worker.recorder.draft_keep(
        caller.tenant, caller.application, caller.certificate, one.draft, one.revision, one.expires, content
    )
