"""Letters: POST /v1/letters, POST /v1/letters/{id}/events, their drafts, and the reads."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.api.application import query_of
from appliance.api.callers import Caller
from appliance.api.letters.approvals import needed_of, told
from appliance.api.letters.making import Made, Wanted, decide, made_of, make_event
from appliance.api.letters.schemas import (
    Draft,
    EventRequest,
    LetterAnswer,
    LetterEvent,
    LetterEvents,
    LetterPage,
    LetterRequest,
    ReleaseKey,
)
from appliance.api.letters.views import open_view, read_letter, shown
from appliance.api.messages import Request, Response
from appliance.api.texts import idempotency_of
from appliance.errors import CinnabarError, NotFound
from appliance.letters.artifact import decode_artifact
from appliance.letters.errors import EventRefused
from appliance.letters.event import read_event
from appliance.letters.kind import LoadedKind
from appliance.letters.veil import key_id
from appliance.recorder.errors import HeadMoved, IdempotencyConflict
from appliance.recorder.messages import Entry, Idempotency

if TYPE_CHECKING:
    from appliance.api.worker import Worker

PAGE: Final = 50
"""Letters of one page."""
_encode = msgspec.json.Encoder().encode


async def letters(worker: Worker, request: Request) -> Response:
    """POST /v1/letters"""
    caller, asked = _of(request)
    idempotency = idempotency_of(request)
    try:
        return await happen(worker, caller, idempotency, beginning(worker, caller, asked))
    except CinnabarError:
        before = None if idempotency is None else await answered(worker, caller, idempotency)
        if before is None:
            raise
        return before


async def letter_events(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/{id}/events"""
    caller, asked = _of(request)
    idempotency = idempotency_of(request)
    try:
        wanted = await following(worker, caller, request.arguments["id"], asked)
        return await happen(worker, caller, idempotency, wanted)
    except CinnabarError:
        before = None if idempotency is None else await answered(worker, caller, idempotency)
        if before is None:
            raise
        return before


async def letter_drafts(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/drafts"""
    caller, asked = _of(request)
    return await _draft(worker, caller, beginning(worker, caller, asked))


async def letter_event_drafts(worker: Worker, request: Request) -> Response:
    """POST /v1/letters/{id}/drafts"""
    caller, asked = _of(request)
    return await _draft(worker, caller, await following(worker, caller, request.arguments["id"], asked))


async def letter(worker: Worker, request: Request) -> Response:
    """GET /v1/letters/{id}"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    return Response(_encode(shown(await read_letter(worker, request.caller.tenant, request.arguments["id"]))))


async def letter_history(worker: Worker, request: Request) -> Response:
    """GET /v1/letters/{id}/events"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    tenant, arguments = request.caller.tenant, query_of(request)
    after = int(arguments.get("after", "0"))
    letter = bytes.fromhex(request.arguments["id"])
    found = await worker.recorder.query("letter_records", tenant, letter, after)
    cipher = worker.cipher_of(tenant)
    events = []
    for number, row in found:
        artifact = decode_artifact(cipher.open(row[1], row[-1]).artifact)
        events.append(
            LetterEvent(
                letter=read_event(artifact.event).letter,
                number=number,
                event=artifact.event,
                manifest=artifact.manifest,
                seal=artifact.seal,
                beside=artifact.beside,
                disclosures=artifact.disclosures,
                record=row[1].hex(),
            )
        )
    standing = await worker.recorder.query("letter", tenant, letter)
    return Response(_encode(LetterEvents(events=events, more=bool(events) and events[-1].number < standing["number"])))


async def letter_page(worker: Worker, request: Request) -> Response:
    """GET /v1/letters"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    tenant, arguments = request.caller.tenant, query_of(request)
    before = bytes.fromhex(arguments.get("after", ""))
    kind, state = arguments.get("kind"), arguments.get("state")
    found = await worker.recorder.query("letter_page", tenant, kind, state, PAGE, before)
    cipher = worker.cipher_of(tenant)
    page = [shown(open_view(cipher, one["letter"], one["view"])) for one in found]
    more = page[-1].letter if len(page) == PAGE else None
    return Response(_encode(LetterPage(letters=page, next=more)))


async def release_key(worker: Worker, request: Request) -> Response:
    """GET /v1/release-key"""
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    keys = worker.release_keys.get(request.caller.tenant, ())
    if not keys:
        raise NotFound("the tenant has no release key")
    public = keys[0].public_key
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Response(_encode(ReleaseKey(key=der, id=key_id(public))))


def _of(request: Request) -> tuple[Caller, Any]:
    assert request.caller is not None  # noqa: S101 - the endpoint needs one
    return request.caller, request.document


def beginning(worker: Worker, caller: Caller, asked: LetterRequest) -> Wanted:
    """What a request to begin a letter wants. Raises KindUnknown, EventRefused."""
    loaded = worker.kinds.newest(caller.tenant, asked.kind)
    event = asked.event or _first(loaded)
    return Wanted(
        loaded, None, asked.letter or os.urandom(16).hex(), event, asked.fields, asked.data, asked.envelopes,
        asked.receipts, asked.approvals, asked.disclosures, {}, None, asked.key, asked.unit, asked.document,
    )  # fmt: skip


def _first(loaded: LoadedKind) -> str:
    for name, event in loaded.kind.events.items():
        if not event.from_:
            return name
    raise EventRefused(f"no event begins a {loaded.kind.id}")


async def following(worker: Worker, caller: Caller, letter: str, asked: EventRequest) -> Wanted:
    """What a request about a letter wants. Raises NotFound, HeadMoved, KindUnknown."""
    before = await read_letter(worker, caller.tenant, letter)
    if asked.head is not None and asked.head != before.head:
        raise HeadMoved(f"the letter's head is {before.head}")
    loaded = worker.kinds.by_digest(caller.tenant, before.kind.digest)
    return Wanted(
        loaded, before, letter, asked.event, asked.fields, asked.data, asked.envelopes, asked.receipts,
        asked.approvals, asked.disclosures, asked.codes, asked.parts, asked.key, asked.unit, asked.document,
    )  # fmt: skip


async def happen(worker: Worker, caller: Caller, idempotency: Idempotency | None, wanted: Wanted) -> Response:
    """Have an event happen, and its answer. Raises what `make_event` does."""
    try:
        made = await make_event(worker, caller, wanted, idempotency)
    except HeadMoved:
        if wanted.before is None:
            raise
        now = await read_letter(worker, caller.tenant, wanted.letter)
        if now.head == wanted.before.head:
            raise  # a letter that a condition names moved
        raise HeadMoved(f"the letter's head is {now.head}") from None
    return Response(_encode(_answer(made)))


async def _draft(worker: Worker, caller: Caller, wanted: Wanted) -> Response:
    decision = await decide(worker, caller, wanted)
    text = decision.draft.approval_text()
    return Response(
        _encode(
            Draft(
                letter=decision.draft.letter,
                parts=[part.letter for part in decision.draft.parts],
                text=text,
                digest=hashlib.sha256(text).hexdigest(),
                policies=[step.policy for step in decision.steps],
                needed=told(needed_of(worker, caller, decision)),
                disclosures=dict(decision.disclosures),
            )
        )
    )


async def answered(worker: Worker, caller: Caller, idempotency: Idempotency) -> Response | None:
    """What the same request was answered before: since then the letter, the time or an approver may be another, so that
    it is refused now."""
    found = await worker.recorder.query("key_answer", caller.tenant, caller.application, idempotency.key)
    if found is None:
        return None
    digest, rows = found
    if digest != idempotency.request_digest:
        raise IdempotencyConflict("the Idempotency-Key was used with another request")
    entries = [Entry(row[1], row[3], row[4], row[5], row[6], row[7]) for row in rows]
    return Response(_encode(_answer(made_of(worker, caller, entries))))


def _answer(made: Made) -> LetterAnswer:
    artifact = made.artifact
    event = read_event(artifact.event)
    return LetterAnswer(
        happened=LetterEvent(
            letter=event.letter, number=event.number, event=artifact.event, manifest=artifact.manifest,
            seal=artifact.seal, beside=artifact.beside, disclosures=artifact.disclosures,
            record=made.record.record_id.hex(),
        ),
        state=event.state,
        head=event.digest(),
        parts=[part.letter for part in event.parts],
        stamp_record=made.stamp.record_id.hex(),
    )  # fmt: skip
