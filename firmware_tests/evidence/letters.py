"""Letters with everything that evidence of them needs: events that follow each other, seals with time-stamps, records
in a log. Keys in software, made with other means than the product's."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from appliance.asic import EventFiles, Extras, OpenedRecord, event_manifest, event_names, letter_container
from appliance.evidence import LogEntry, NamedBytes, Report, TrustBundle, WitnessEntry, verify
from appliance.evidence_records import HashTree
from appliance.letters.artifact import Artifact, BatchStamp
from appliance.letters.event import Actor, Event, KindReference, NewLetter, ValueChange, read_event
from appliance.log import TlogProof
from appliance.record import commitment
from firmware_tests.evidence.material import DAY, T0, Holder, World, make_world, microseconds, seal, token
from firmware_tests.evidence.test_logs import ORIGIN, Log, record_of
from firmware_tests.letters.kinds import BID_BOND, FIELDS

LETTER = "1a" * 16
PART = "2b" * 16
OTHER_PART = "3c" * 16
KIND = KindReference(digest=BID_BOND.digest, id=BID_BOND.kind.id, version=BID_BOND.kind.version)
ACTOR = Actor(application="guarantee-desk", box="0b" * 16, tenant="bank")
NOW = T0 + DAY


def at(number: int) -> str:
    return (T0 + timedelta(seconds=10 * number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event(before: Event | None, name: str, **changes: Any) -> Event:
    """An event that follows another one."""
    number = 1 if before is None else before.number + 1
    fields: dict[str, Any] = {
        "actor": ACTOR, "at": at(number), "event": name, "kind": KIND, "letter": LETTER, "number": number,
        "previous": None if before is None else before.digest(), "state": "issued",
    }  # fmt: skip
    return Event(**(fields | changes))


@dataclass
class Office:
    """Who seals and records events."""

    world: World
    log: Log
    entries: list[bytes] = field(default_factory=list)
    waiting: list[tuple[Artifact, bytes, bytes]] = field(default_factory=list)

    def seal(
        self,
        one: Event,
        *,
        split_off: str | None = None,
        beside: Mapping[str, bytes] | None = None,
        disclosures: Mapping[str, str] | None = None,
        change: Callable[[dict[str, Any]], object] | None = None,
        **sealing: Any,
    ) -> None:
        """Seal an event and put its record in line for the log. `change`: of the record's fields."""
        names, text, beside = event_names(one.number, split_off), one.canonical(), dict(beside or {})
        files = [(names.event, "application/json", hashlib.sha256(text).digest())]
        files += [(names.beside + name, "application/octet-stream", _sha256(made)) for name, made in beside.items()]
        manifest = event_manifest(one.number, files, split_off)
        try:
            when = datetime.fromisoformat(one.at)
        except ValueError:
            when = T0
        arguments: dict[str, Any] = {"when": when, "stamped_by": self.world.tsa}
        made = seal(self.world.sealer, manifest, **(arguments | sealing))
        facts: dict[str, Any] = {
            "application": one.actor.application, "content_digest": hashlib.sha256(manifest).hexdigest(),
            "kind": "letter", "tenant": one.actor.tenant, "time": microseconds(when), "key": "seal",
        }  # fmt: skip
        if change is not None:
            change(facts)
        record = record_of(made, **facts).canonical()
        salt = hashlib.sha256(record).digest()
        self.waiting.append((Artifact(text, manifest, made, beside, dict(disclosures or {})), record, salt))
        self.entries.append(commitment(salt, record, self.log.hashing))

    def chain(self, seen: Sequence[datetime] = ()) -> list[EventFiles]:
        """All that was sealed, under one head of the log. `seen`: when its witnesses saw that head."""
        everything = [*self.log.entries, *self.entries]
        note = self.log.checkpoint(everything, list(seen))
        first = len(self.log.entries)
        return [
            EventFiles(
                artifact=artifact,
                opened=OpenedRecord(
                    record=record, salt=salt, index=first + place, log=self.log.origin,
                    proof=TlogProof(first + place, tuple(self.log.path(first + place, everything)), note).encode(),
                ),
            )
            for place, (artifact, record, salt) in enumerate(self.waiting)
        ]  # fmt: skip


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


@functools.cache
def surroundings() -> tuple[World, Log]:
    log = Log()
    return replace(
        make_world(),
        logs=(LogEntry(origin=ORIGIN, key=str(log.verifier)),),
        witnesses=tuple(WitnessEntry(key=str(name)) for name in log.names()),
    ), log


def office() -> Office:
    return Office(*surroundings())


def opened_value(amount: str = "500000.00") -> ValueChange:
    return ValueChange(amount=amount, currency="CNY", move="open")


def story(events: int = 3) -> list[Event]:
    """A bid bond that is issued, extended again and again, and drawn on at last."""
    chain = [event(None, "issue", fields=FIELDS, value=opened_value())]
    while len(chain) < events - 1:
        day = len(chain) % 28 + 1
        chain.append(event(chain[-1], "extend", fields={"valid_until": f"2100-01-{day:02d}"}))
    if events > 1:
        draw = ValueChange(amount="120000.00", currency="CNY", move="lower")
        chain.append(event(chain[-1], "claim", state="claimed", value=draw, data={"reason": "违约 <b>not signed</b>"}))
    return chain


def plain_letter(events: int = 3, **sealing: Any) -> list[EventFiles]:
    """The story, sealed. Its first event has a document beside it."""
    desk = office()
    for number, one in enumerate(story(events)):
        beside = {"letter.pdf": b"%PDF-1.7 the letter as people read it"} if number == 0 else {}
        desk.seal(one, beside=beside, **sealing)
    return desk.chain([T0 + timedelta(hours=1)])


def stamped_together(
    chain: Sequence[EventFiles], leaves: int = 5, when: datetime | None = None, by: Holder | None = None
) -> list[EventFiles]:
    """The events, whose seals have no time-stamp, with one token over all of them and others' leaves."""
    seals = [hashlib.sha256(one.artifact.seal).digest() for one in chain]
    tree = HashTree.build(b"".join(seals + [_sha256(b"another's %d" % place) for place in range(leaves)]))
    newest = max(datetime.fromisoformat(read_event(one.artifact.event).at) for one in chain)
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": tree.root}
    made = token(
        by or surroundings()[0].tsa, b"", when or newest + timedelta(seconds=2), info={"message_imprint": imprint}
    )
    return [
        msgspec.structs.replace(
            one, artifact=msgspec.structs.replace(one.artifact, stamp=BatchStamp(tree.path(place), made, bytes(22)))
        )
        for place, one in enumerate(chain)
    ]


def letter_of_a_file(events: int = 3, leaves: int = 5, **stamping: Any) -> list[EventFiles]:
    """The story, its seals stamped together."""
    return stamped_together(plain_letter(events, stamped_by=None), leaves, **stamping)


def split_letter(own: int = 1) -> list[EventFiles]:
    """A letter split in two: the chain that leads to PART, which has `own` events of its own."""
    desk = office()
    first = event(None, "issue", fields=FIELDS, value=opened_value())
    parts = [
        NewLetter(amount="300000.00", fields={"holder": "甲供应商"}, letter=PART, state="held"),
        NewLetter(amount="200000.00", fields={"holder": "乙供应商"}, letter=OTHER_PART, state="held"),
    ]
    value = ValueChange(amount="500000.00", currency="CNY", move="split")
    split = event(first, "split", state="divided", parts=parts, value=value)
    desk.seal(first)
    desk.seal(split)
    before = split
    for number in range(own):
        one = event(before, "pledge", letter=PART, number=number + 2, at=at(10 + number), state="pledged")
        desk.seal(one, split_off=PART)
        before = one
    return desk.chain()


def evidence(chain: Sequence[EventFiles], letter: str | None = None, **extras: Any) -> bytes:
    return letter_container(chain, Extras(**extras), letter)


def check(content: bytes, *more: tuple[str, bytes], now: datetime = NOW, trust: TrustBundle | None = None) -> Report:
    world, _ = surroundings()
    files = [NamedBytes("letter.asice", content), *(NamedBytes(name, one) for name, one in more)]
    return verify(files, trust or world.trust(), now_us=microseconds(now))
