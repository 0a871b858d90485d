"""Letters whose tenant's log and whose box's log are each under a hash of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from appliance.asic import EventFiles
from appliance.asic.anchor import AnchoredRecord, write_anchor
from appliance.asic.chain import follow_line
from appliance.evidence import LogEntry, WitnessEntry
from appliance.letters.event import read_event
from appliance.log import TlogProof, root
from appliance.log.box_leaf import TenantStatement, make_box_leaf, no_commitment
from appliance.tree_hash import SHA256, TreeHash, renewed_origin
from firmware_tests.evidence.anchors import BOX_ORIGIN, LEDGER, receipt
from firmware_tests.evidence.letters import Office, story, surroundings
from firmware_tests.evidence.logs import ORIGIN, Log
from firmware_tests.evidence.material import T0, World, microseconds

Change = Callable[[dict[str, Any]], object]


def origin_under(origin: str, hashing: TreeHash) -> str:
    """As a log is called that is of this hash."""
    return origin if hashing is SHA256 else renewed_origin(origin, hashing)


@dataclass(frozen=True)
class Logs:
    """A tenant's log and its box's."""

    own: Log
    box: Log

    def world(self, world: World | None = None) -> World:
        """Whose trust bundle names both, with the witnesses of the tenant's."""
        entries = [LogEntry(origin=one.origin, key=str(one.verifier)) for one in (self.own, self.box)]
        witnesses = tuple(WitnessEntry(key=str(name)) for name in self.own.names())
        return replace(world or surroundings()[0], logs=tuple(entries), witnesses=witnesses)

    def letter(self, events: int = 2, seen: Sequence[datetime] = (T0 + timedelta(hours=1),)) -> list[EventFiles]:
        """The story, its records in the tenant's log."""
        desk = Office(surroundings()[0], self.own)
        for one in story(events):
            desk.seal(one)
        return desk.chain(seen)

    def leaf(self, chain: Sequence[EventFiles], hashing: TreeHash | None = None, **stated: Any) -> tuple[str, bytes]:
        """The tenant's opening of a box leaf over the letter, and the leaf's proof in the box's log. `hashing`: of the
        leaf, where that is not the box's log's own; `stated`: of the tenant's head."""
        entries = [*self.own.entries, *(one.opened.commitment for one in chain)]
        head = root(self.own.leaves(entries), self.own.hashing).hex()
        hashing = hashing or self.box.hashing
        facts: dict[str, Any] = {"origin": self.own.origin, "previous": no_commitment(hashing), "root": head}
        statement = TenantStatement(**(facts | {"size": len(entries)} | stated))
        made = make_box_leaf({"bank": statement}, microseconds(T0 + timedelta(hours=1)), hashing)
        return made.openings["bank"].encode().decode(), self.box.proof(made.leaf.entry(hashing))

    def path(self, chain: Sequence[EventFiles], place: int) -> list[str]:
        """Of one event's record, to the head that the leaf states."""
        entries = [*self.own.entries, *(one.opened.commitment for one in chain)]
        return [one.hex() for one in self.own.path(len(self.own.entries) + place, entries)]

    def under_the_box(self, chain: Sequence[EventFiles], change: Change = len, **stated: Any) -> list[EventFiles]:
        """The letter, each record with its box proof. `change`: of each of these."""
        opening, proof = self.leaf(chain, **stated)
        made = []
        for place, one in enumerate(chain):
            leaf = {"index": 5, "opening": opening, "tlog_proof": proof.decode()}
            box_proof: dict[str, Any] = {"hashes": self.path(chain, place), "leaf": leaf}
            change(box_proof)
            made.append(msgspec.structs.replace(one, opened=msgspec.structs.replace(one.opened, box_proof=box_proof)))
        return made

    def anchor(self, chain: Sequence[EventFiles], **stated: Any) -> tuple[str, int, bytes]:
        """Of the head of the box's log over the leaf, on another authority's stamps."""
        opening, proof = self.leaf(chain, **stated)
        events = [read_event(one.artifact.event) for one in chain]
        records = {
            step.tail: AnchoredRecord(index=len(self.own.entries) + place, hashes=self.path(chain, place))
            for place, step in enumerate(follow_line(events, events[-1].letter).steps)
        }
        note = TlogProof.parse(proof).checkpoint
        return LEDGER, len(self.box.entries) + 1, write_anchor(opening.encode(), proof, records, receipt(note))


@functools.cache
def logs_under(own: TreeHash, box: TreeHash) -> Logs:
    return Logs(Log(origin_under(ORIGIN, own)), Log(origin_under(BOX_ORIGIN, box)))
