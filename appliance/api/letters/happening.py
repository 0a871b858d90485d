"""An event that an application asks for, from its request to its answer: begun or following, once, told."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.callers import Caller
from appliance.api.letters.ids import check_ids
from appliance.api.letters.making import Closing, Made, Wanted, made_of, make_event
from appliance.api.letters.refusals import SEALED, seal_refusal
from appliance.api.letters.schemas import EventRequest, LetterAnswer, LetterEvent, LetterRequest, LimitNotice
from appliance.api.letters.views import read_letter
from appliance.api.messages import Response
from appliance.errors import CinnabarError
from appliance.letters.artifact import Artifact
from appliance.letters.errors import EventRefused
from appliance.letters.event import Event
from appliance.letters.kind import LoadedKind
from appliance.recorder.errors import HeadMoved, IdempotencyConflict
from appliance.recorder.messages import Entry, Idempotency

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_TRIES: Final = 4
"""How often an event is judged while letters of its conditions move."""
_encode = msgspec.json.Encoder().encode


def beginning(worker: Worker, caller: Caller, asked: LetterRequest) -> Wanted:
    """What a request to begin a letter wants. Raises KindUnknown, EventRefused, IdsNotGiven."""
    if asked.letter is not None:
        check_ids(worker, caller.tenant, asked.letter, (), asked.ids_tag)
    loaded = worker.kinds.newest(caller.tenant, asked.kind)
    event = asked.event or _first(loaded)
    return Wanted(loaded, None, asked.letter or os.urandom(16).hex(), event, asked)


def _first(loaded: LoadedKind) -> str:
    for name, event in loaded.kind.events.items():
        if not event.from_:
            return name
    raise EventRefused(f"no event begins a {loaded.kind.id}")


async def following(worker: Worker, caller: Caller, letter: str, asked: EventRequest) -> Wanted:
    """What a request about a letter wants. Raises NotFound, HeadMoved, KindUnknown, IdsNotGiven."""
    if asked.parts is not None:
        check_ids(worker, caller.tenant, letter, asked.parts, asked.ids_tag)
    before = await read_letter(worker, caller.tenant, letter)
    if asked.head is not None and asked.head != before.head:
        raise HeadMoved(f"the letter's head is {before.head}")
    loaded = worker.kinds.by_digest(caller.tenant, before.kind.digest)
    return Wanted(loaded, before, letter, asked.event, asked, asked.codes, asked.parts)


async def once(
    worker: Worker, caller: Caller, idempotency: Idempotency | None, happening: Coroutine[Any, Any, Response]
) -> Response:
    """What happens; where it is refused, what the same request was answered before: since then the letter, the time or
    an approver may be another. Raises what `happening` does, and IdempotencyConflict."""
    try:
        return await happening
    except CinnabarError:
        if idempotency is None:
            raise
        before = await _answered(worker, caller, idempotency)
        if before is None:
            raise
        return before


async def happen(
    worker: Worker, caller: Caller, idempotency: Idempotency | None, wanted: Wanted, closing: Closing | None = None
) -> Response:
    """Have an event happen, and its answer. Raises what `make_event` does; with the box's sealed statement, where the
    kind wants refusals sealed and the same request did not happen before."""
    try:
        return Response(_encode(told_answer(await _made(worker, caller, idempotency, wanted, closing))))
    except SEALED as error:
        if idempotency is None or await _answered(worker, caller, idempotency) is None:
            await seal_refusal(worker, caller, wanted, error)
        raise


async def _made(
    worker: Worker, caller: Caller, idempotency: Idempotency | None, wanted: Wanted, closing: Closing | None
) -> Made:
    """Where a letter that a condition names moved meanwhile, the event is judged anew by how that one now stands."""
    rule = wanted.loaded.kind.events.get(wanted.event)
    for left in reversed(range(_TRIES if rule is not None and rule.conditions else 1)):
        try:
            return await make_event(worker, caller, wanted, idempotency, closing)
        except HeadMoved:
            if wanted.before is not None:
                now = await read_letter(worker, caller.tenant, wanted.letter)
                if now.head != wanted.before.head:
                    raise HeadMoved(f"the letter's head is {now.head}") from None
            if not left:
                raise
    raise AssertionError  # the last try returns or raises


def told_event(artifact: Artifact, record: bytes, number: int, event: Event) -> LetterEvent:
    """An event as its tenant's applications see it. `number`: its place in the letter's chain, which of the first event
    of a letter that was split off is 1, whatever number it has in its parent's."""
    evidence_record = artifact.evidence_record()
    return LetterEvent(
        letter=event.letter, number=number, event=artifact.event, manifest=artifact.manifest, seal=artifact.seal,
        beside=artifact.beside, disclosures=artifact.disclosures, record=record.hex(),
        evidence_record=msgspec.UNSET if evidence_record is None else evidence_record,
    )  # fmt: skip


async def _answered(worker: Worker, caller: Caller, idempotency: Idempotency) -> Response | None:
    found = await worker.recorder.query("key_answer", caller.tenant, caller.application, idempotency.key)
    if found is None:
        return None
    digest, rows = found
    if digest != idempotency.request_digest:
        raise IdempotencyConflict("the Idempotency-Key was used with another request")
    entries = [Entry(row[1], row[3], row[4], row[5], row[6], row[7]) for row in rows]
    return Response(_encode(told_answer(made_of(worker, caller, entries))))


def told_answer(made: Made) -> LetterAnswer:
    """What an event did, as its application is told."""
    event = made.event
    return LetterAnswer(
        happened=told_event(made.artifact, made.record.record_id, event.number, event),
        state=event.state,
        head=event.digest(),
        parts=[part.letter for part in event.parts],
        stamp_record=made.stamp.record_id.hex(),
        warnings=[
            LimitNotice(what=one.what, subject=one.subject, threshold=one.threshold, used=one.used, most=one.most)
            for one in made.notices
        ],
    )
