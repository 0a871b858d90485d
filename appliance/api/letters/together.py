"""Events that are sealed together: each has its own seal (CAdES B-B), and one time-stamp over all the seals.

The time-stamp is over the root of a hash tree whose leaves are the seals' SHA-256; with its path each seal has an
evidence record (RFC 4998) that shows by when it existed. So many events take one signature each, and one more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.api import signing
from appliance.api.bulk_stamps import stamp_tree
from appliance.api.callers import Caller
from appliance.api.letters.making import Drafted, Wanted, beside_of, manifest_of
from appliance.errors import Unavailable
from appliance.evidence_records import HashTree
from appliance.letters.artifact import Artifact, BatchStamp, encode_artifact
from appliance.letters.errors import EventRefused
from appliance.letters.fields import moment
from appliance.seals import PreparedSeal

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event whose seal is not stamped yet."""

    drafted: Drafted
    manifest: bytes
    beside: dict[str, bytes]
    prepared: PreparedSeal
    signature: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class Stamped:
    """What goes on record, together."""

    events: list[signing.Signed]
    """In the order in which they were sealed."""
    stamp: signing.Signed
    time_us: int


class SealedTogether:
    """Some events of one application, by one seal key and one time-stamping unit."""

    def __init__(self, worker: Worker, caller: Caller, key: SealingKey, unit: StampingUnit) -> None:
        self._worker, self._caller, self._key, self._unit = worker, caller, key, unit
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        """How many seals wait for their stamp. Whoever does not stamp them counts them as dropped."""
        return len(self._waiting)

    async def seal(self, wanted: Wanted, drafted: Drafted) -> None:
        """Seal one event. Raises EventRefused for one that seals a document, and what the token and the gates refuse
        with."""
        if wanted.asked.document or wanted.loaded.kind.events[wanted.event].seals_document is not None:
            raise EventRefused("an event that has a document sealed is asked for by itself")
        key, event = self._key, drafted.event
        await self._worker.gates.check_room(self._worker.recorder, self._caller, key.name)
        beside = beside_of(wanted, drafted)
        manifest = manifest_of(wanted, event, beside)
        prepared = key.profile.prepare_document(manifest, drafted.now_us)
        signature = await key.key.sign_async(prepared.to_be_signed)
        seal = key.profile.complete(prepared, signature)
        self._waiting.append(_Waiting(drafted, manifest, beside, prepared, signature, seal))

    async def stamp(self, turn: Callable[[], bool]) -> Stamped:
        """Stamp the seals, of which there is one at least, and make their records. `turn`: whether others are to have
        theirs now. Nothing of it is on disk, or may leave the box.

        Raises Unavailable where the clock stands before one of the events, and what the token and the gates refuse
        with; the seals are then the caller's to count as dropped."""
        waiting, unit = self._waiting, self._unit
        latest_us = moment(max(one.drafted.event.at for one in waiting), "")
        if self._worker.clock.read().time_us < latest_us:
            raise Unavailable("the clock stands before an event that is to be stamped")
        tree = HashTree.build(b"".join([hashlib.sha256(one.seal).digest() for one in waiting]))
        self._worker.gates.check(self._caller, unit.name)
        stamp, batch, time_us = await stamp_tree(self._worker, self._caller, unit, tree)
        events = []
        try:
            for place, one in enumerate(waiting):
                events.append(self._record(one, BatchStamp(tree.path(place), batch.token, stamp.entry.record_id)))
                if turn():
                    await asyncio.sleep(0)
        except BaseException:
            self._worker.counter.drop("intake-unfinished")  # the stamp
            raise
        self._waiting = []
        return Stamped(events, stamp, time_us)

    def _record(self, one: _Waiting, stamp: BatchStamp) -> signing.Signed:
        key, drafted = self._key, one.drafted
        disclosures = dict(drafted.decision.disclosures)
        artifact = Artifact(drafted.event.canonical(), one.manifest, one.seal, one.beside, disclosures, stamp)
        return signing.record_signature(
            key.cipher, self._caller, key.name, "letter", artifact=encode_artifact(artifact),
            content_digest=one.prepared.digest, content_hash=key.profile.digest_algorithm.name,
            time_us=one.prepared.time * 1_000_000, to_be_signed=one.prepared.to_be_signed, signature=one.signature,
        )  # fmt: skip
