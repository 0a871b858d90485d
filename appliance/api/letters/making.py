"""From what an application asks to a sealed, recorded event of a letter: judge, approve, seal, record.

Sign, then commit, then release (control RECORD). What must be decided across all workers goes with the record to the
recorder as effects (control ONCE); a refusal there drops the signatures inside the box.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.filing.receipts import check_receipts
from appliance.api.letters.approvals import check_approvals
from appliance.api.letters.counted import limit_steps
from appliance.api.letters.documents import prepare_papers
from appliance.api.letters.effects import effects_of
from appliance.api.letters.finds import file_effect
from appliance.api.letters.schemas import Particulars
from appliance.api.letters.sealing import Sealing
from appliance.api.letters.veil import accept, open_fields, tallies
from appliance.api.letters.views import read_letters
from appliance.asic import JSON_TYPE, event_manifest, event_names
from appliance.letters.artifact import Artifact, decode_artifact, encode_artifact
from appliance.letters.conditions import withhold
from appliance.letters.errors import ConditionNotMet
from appliance.letters.event import APPROVERS, Actor, Event, Receipt, read_event
from appliance.letters.judge import Asked, Decision, happened, judge
from appliance.letters.kind import LoadedKind
from appliance.letters.state import LetterState, begin_part, follow
from appliance.recorder.messages import Effect, Entry, Idempotency, LetterStep, Notice, Replayed

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker

BESIDE_TYPE: Final = "application/octet-stream"
PDF_TYPE: Final = "application/pdf"


class Wanted(msgspec.Struct, frozen=True):
    """What an application wants to happen."""

    loaded: LoadedKind
    before: LetterState | None
    letter: str
    event: str
    asked: Particulars
    codes: Mapping[str, str] = {}
    parts: list[str] | None = None
    """Ids for the letters of a split; None: new ones."""
    also: tuple[Effect, ...] = ()
    """What it does beside what its kind says: lines of a bill that it charges."""
    told_of: frozenset[str] | None = None
    """Kinds whose letters a refusal tells of; None: all."""


class Made(msgspec.Struct, frozen=True):
    """An event on disk."""

    event: Event
    artifact: Artifact
    record: Entry
    stamp: Entry
    notices: Sequence[Notice] = ()
    """What its counts came to; nothing where it was made before."""


class Drafted(msgspec.Struct, frozen=True):
    """An event that may happen, and what it then does."""

    decision: Decision
    event: Event
    states: tuple[LetterState, list[LetterState]]
    """Of the letter after it, and of the letters that it makes."""
    effects: list[Effect]
    now_us: int
    approvers: bytes | None
    """Those who approved it, with their keys: beside the event."""


class SealedEvent(msgspec.Struct, frozen=True):
    """An event with its signatures, to be recorded."""

    artifact: Artifact
    records: list[signing.Signed]
    place: int
    """Of the event's own record among them; its stamp's comes next."""
    effects: list[Effect]
    mark: tuple[str, int]


async def decide(
    worker: Worker,
    caller: Caller,
    wanted: Wanted,
    opened: Mapping[str, tuple[Any, str]] | None = None,
    others: Mapping[str, LetterState] | None = None,
) -> Decision:
    """The draft of the event, judged by the kind's rules. `opened`: what the event opens, with its salts; None: before
    it is opened. `others`: letters that conditions name, where they are at hand. Raises what appliance.letters.judge
    refuses with."""
    if wanted.asked.envelopes:
        await accept(worker, caller.tenant, wanted.loaded, wanted.asked.envelopes, _known(wanted))
    if others is None:
        others = await read_letters(worker, caller.tenant, named_letters(wanted))
    asked = Asked(
        event=wanted.event,
        letter=wanted.letter,
        fields=wanted.asked.fields,
        disclosures=wanted.asked.disclosures,
        data=wanted.asked.data,
        sealed={name: hashlib.sha256(envelope).hexdigest() for name, envelope in wanted.asked.envelopes.items()},
        receipts=tuple(
            Receipt(digest=hashlib.sha256(one.receipt).hexdigest(), number=one.number, registry=one.registry)
            for one in wanted.asked.receipts
        ),
        parts=tuple(wanted.parts if wanted.parts is not None else _new_parts(wanted)),
        opened=opened,
    )
    actor = Actor(application=caller.application, box=worker.settings.box_id, tenant=caller.tenant)
    now_us = worker.clock.read().time_us
    try:
        return judge(wanted.loaded, wanted.before, asked, actor, caller.roles, now_us, others, caller.parties)
    except ConditionNotMet as error:
        if wanted.told_of is None:
            raise
        raise withhold(error, wanted.told_of) from None


def named_letters(wanted: Wanted) -> list[str]:
    """Ids of the letters that the event's conditions name."""
    rule = wanted.loaded.kind.events.get(wanted.event)
    if rule is None or not rule.conditions:
        return []
    known = _known(wanted)
    values = [wanted.asked.data.get(one.letter, known.get(one.letter)) for one in rule.conditions]
    return [value for value in values if isinstance(value, str) and is_letter_id(value)]


def _known(wanted: Wanted) -> Mapping[str, Any]:
    """The letter's fields as the event would leave them."""
    return (dict(wanted.before.fields) if wanted.before is not None else {}) | dict(wanted.asked.fields)


async def with_limits(worker: Worker, caller: Caller, wanted: Wanted, decision: Decision) -> Decision:
    """A decision whose steps are also those that the tenant's limits want, after the kind's own."""
    event = msgspec.structs.replace(decision.draft, at=happened(decision.at_us, wanted.before))
    states = states_after(wanted.before, event, decision.disclosures)
    kind, before = wanted.loaded.kind, wanted.before
    more = await limit_steps(worker, caller.tenant, kind, before, event, states, len(decision.steps))
    return msgspec.structs.replace(decision, steps=(*decision.steps, *more))


async def _with_wanted(worker: Worker, caller: Caller, wanted: Wanted, decision: Decision) -> Decision:
    """As `with_limits`, where there are approvals beyond the kind's own: the recorder refuses an event that lacks what
    limits want, so that nobody else needs to ask. For a partner nobody asks: with approvals that he made up he would
    find the tenant's counters, as often as he likes and counted nowhere (control CHANNEL)."""
    if wanted.told_of is None and any(one.step >= len(decision.steps) for one in wanted.asked.approvals):
        return await with_limits(worker, caller, wanted, decision)
    return decision


async def draft_event(
    worker: Worker, caller: Caller, wanted: Wanted, others: Mapping[str, LetterState] | None = None
) -> Drafted:
    """An event that may happen, approved, before it is sealed. `others`: as of `decide`. Raises what the judge and the
    approvals refuse with, and FieldRefused for a receipt that the authority did not give."""
    await check_receipts(worker, caller.tenant, wanted)
    decision = await _with_wanted(worker, caller, wanted, await decide(worker, caller, wanted, others=others))
    approvers = await check_approvals(worker, caller, decision, wanted.asked.approvals)
    rule = wanted.loaded.kind.events[wanted.event]
    if rule.opens and wanted.before is not None:
        opened = await open_fields(worker, caller.tenant, wanted.loaded, wanted.before, rule.opens, wanted.codes)
        decision = await _with_wanted(worker, caller, wanted, await decide(worker, caller, wanted, opened))
        # Another letter may have moved.
        approvers = await check_approvals(worker, caller, decision, wanted.asked.approvals)
    event = msgspec.structs.replace(
        decision.draft, approvals=wanted.asked.approvals, at=happened(decision.at_us, wanted.before)
    )
    states = states_after(wanted.before, event, decision.disclosures)
    approved = decision.steps if wanted.asked.approvals else ()
    effects = await effects_of(
        worker, caller.tenant, wanted.loaded.kind, wanted.before, event, states, decision.uses, approved
    )
    effects += wanted.also
    effects += await tallies(worker, caller.tenant, wanted.loaded, wanted.before, wanted.asked.envelopes, rule.opens)
    return Drafted(decision, event, states, effects, decision.at_us, approvers)


async def seal_event(
    worker: Worker,
    caller: Caller,
    signers: tuple[SealingKey, StampingUnit],
    wanted: Wanted,
    drafted: Drafted,
    idempotency: Idempotency | None = None,
) -> SealedEvent:
    """The event, sealed and stamped: nothing of it is on disk, or may leave the box. Raises what the token, the gates
    and document workers refuse with; then its signatures are dropped and counted."""
    key, unit = signers
    event, now_us = drafted.event, drafted.now_us
    papers = await prepare_papers(worker, caller, key, wanted.asked, wanted.loaded, event, drafted.states[0], now_us)
    await worker.gates.check_room(worker.recorder, caller, key.name, idempotency)
    sealing = Sealing(worker, caller, key, unit)
    found: list[Effect] = []
    try:
        beside = beside_of(wanted, drafted)
        for paper in papers:
            beside[paper.name] = await sealing.seal_paper(paper)
            beside |= paper.beside
            found.append(file_effect(key.cipher, caller.tenant, wanted.letter, beside[paper.name]))
        manifest = manifest_of(wanted, event, beside)
        prepared = key.profile.prepare_document(manifest, now_us)

        def complete(signature: bytes, token: bytes) -> bytes:
            return key.profile.complete(prepared, signature, token)

        made: list[Artifact] = []

        def artifact_of(seal: bytes) -> bytes:
            made.append(Artifact(event.canonical(), manifest, seal, beside, dict(drafted.decision.disclosures)))
            return encode_artifact(made[0])

        await sealing.seal(prepared, complete, "letter", artifact_of)
    except BaseException:
        if sealing.signed:
            worker.counter.drop("event-unfinished", len(sealing.signed))
        raise
    records = sealing.signed
    place = next(place for place, one in enumerate(records) if one.entry.kind == "letter")
    effects = drafted.effects
    if place:  # pages that were sealed with it stand before it
        effects = [msgspec.structs.replace(one, entry=place) if isinstance(one, LetterStep) else one for one in effects]
    return SealedEvent(made[0], records, place, [*effects, *found], (unit.name, sealing.stamped_us))


class Closing(Protocol):
    """What is signed last and recorded with an event, about the event as it is going to be."""

    async def __call__(self, made: Made, entry: int) -> tuple[signing.Signed, Effect]:
        """`entry`: where its record stands in the command, as the effect names it."""
        ...


async def make_event(
    worker: Worker, caller: Caller, wanted: Wanted, idempotency: Idempotency | None, closing: Closing | None = None
) -> Made:
    """See the module. Raises what the judge, the approvals, the token and the recorder refuse with."""
    key = worker.seal_key_for(caller, wanted.asked.key)
    unit = worker.unit_for(caller, wanted.asked.unit)
    worker.gates.check(caller, unit.name)
    drafted = await draft_event(worker, caller, wanted)
    sealed = await seal_event(worker, caller, (key, unit), wanted, drafted, idempotency)
    records, effects, place = sealed.records, sealed.effects, sealed.place
    made = Made(drafted.event, sealed.artifact, records[place].entry, records[place + 1].entry)
    if closing is not None:
        try:
            last, effect = await closing(made, len(records))
        except BaseException:
            worker.counter.drop("event-unfinished", len(records))
            raise
        records, effects = [*records, last], [*effects, effect]
    committed = await signing.append(worker, caller, records, idempotency, sealed.mark, effects)
    if isinstance(committed, Replayed):
        return made_of(worker, caller, committed.entries)
    return msgspec.structs.replace(made, notices=committed.notices) if committed.notices else made


def made_of(worker: Worker, caller: Caller, entries: list[Entry]) -> Made:
    """An event as its entries have it: what the same Idempotency-Key left before."""
    place = next(place for place, entry in enumerate(entries) if entry.kind == "letter")
    entry = entries[place]
    body = worker.cipher_of(caller.tenant).open(entry.record_id, entry.body)
    artifact = decode_artifact(body.artifact)
    return Made(read_event(artifact.event), artifact, entry, entries[place + 1])


def states_after(
    before: LetterState | None, event: Event, disclosures: Mapping[str, str]
) -> tuple[LetterState, list[LetterState]]:
    """The letter's state after an event, and those of the letters that it makes."""
    after = follow(before, event)
    if disclosures:
        after = msgspec.structs.replace(after, hidden=after.hidden | dict(disclosures))
    return after, [begin_part(after, event, part) for part in event.parts]


def manifest_of(wanted: Wanted, event: Event, beside: Mapping[str, bytes]) -> bytes:
    """What the seal of an event signs. `beside`: all that travels beside it."""
    split_off = None if wanted.before is None or wanted.before.origin is None else wanted.letter
    names = event_names(event.number, split_off)
    files = [(names.event, JSON_TYPE, bytes.fromhex(event.digest()))]
    files += [
        (names.beside + name, PDF_TYPE if name.endswith(".pdf") else BESIDE_TYPE, hashlib.sha256(one).digest())
        for name, one in beside.items()
    ]
    return event_manifest(event.number, files, split_off)


def beside_of(wanted: Wanted, drafted: Drafted) -> dict[str, bytes]:
    """What travels beside an event, but for pages that are sealed with it."""
    beside = {f"{name}.envelope": envelope for name, envelope in wanted.asked.envelopes.items()}
    for place, receipt in enumerate(wanted.asked.receipts):
        beside[f"{receipt.registry}-{place}.receipt"] = receipt.receipt
    if drafted.approvers is not None:
        beside[APPROVERS] = drafted.approvers
    return beside


def _new_parts(wanted: Wanted) -> list[str]:
    rule = wanted.loaded.kind.events.get(wanted.event)
    if rule is None or rule.value is None or rule.value.parts is None:
        return []
    rows = wanted.asked.data.get(rule.value.parts)
    return [os.urandom(16).hex() for _ in rows] if isinstance(rows, list) else []


def is_letter_id(value: str) -> bool:
    """Whether a letter can have this id (appliance.letters.event.LetterId)."""
    return len(value) == 32 and not value.strip("0123456789abcdef")
