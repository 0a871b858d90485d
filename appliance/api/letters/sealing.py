"""Seals that belong together, each with its time-stamp, none released before all are on disk; statements of the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.stamps import stamp_signature
from appliance.recorder.messages import Tally
from appliance.seals import PreparedSeal

if TYPE_CHECKING:
    from appliance.api.letters.documents import Paper
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker


class Sealing:
    """The signatures of one event, in order."""

    def __init__(self, worker: Worker, caller: Caller, key: SealingKey, unit: StampingUnit) -> None:
        self.signed: list[signing.Signed] = []
        self.stamped_us = 0
        self._worker, self._caller, self._key, self._unit = worker, caller, key, unit

    async def seal(
        self,
        prepared: PreparedSeal,
        complete: Callable[[bytes, bytes], bytes],
        kind: str,
        artifact_of: Callable[[bytes], bytes] = bytes,
        *,
        findings: list[str] | None = None,
        seal_object: str | None = None,
    ) -> bytes:
        """Sign, stamp, complete. `artifact_of`: what is kept of what was completed; the others: of the record."""
        key = self._key
        signature = await key.key.sign_async(prepared.to_be_signed)
        try:
            stamp, token, time_us = await stamp_signature(self._worker, self._caller, self._unit, signature)
        except BaseException:
            self._worker.counter.drop("seal-without-stamp")  # the seal's own signature goes no further
            raise
        sealed = complete(signature, token)
        record = signing.record_signature(
            key.cipher, self._caller, key.name, kind, artifact=artifact_of(sealed), content_digest=prepared.digest,
            content_hash=key.profile.digest_algorithm.name, time_us=prepared.time * 1_000_000,
            to_be_signed=prepared.to_be_signed, signature=signature, findings=findings, seal_object=seal_object,
        )  # fmt: skip
        self.signed += [record, stamp]
        self.stamped_us = max(self.stamped_us, time_us)
        return sealed

    async def seal_paper(self, paper: Paper) -> bytes:
        """The PDF, sealed."""
        return await self.seal(
            paper.pdf.seal, paper.pdf.complete, paper.kind, paper.artifact_of,
            findings=paper.findings, seal_object=paper.seal_object,
        )  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A document of the box's own, inside its seal, on disk."""

    record: str
    """Id of the seal's record."""
    seal: bytes
    """CMS SignedData, DER, CAdES B-T, enveloping."""


async def make_statement(
    worker: Worker, caller: Caller, document: bytes, tally: Tally, *, key: str | None = None, unit: str | None = None
) -> Statement:
    """Seal a document of the box's own and record it, counted in the same transaction. Raises TallyExceeded where there
    were too many, and what sealing raises."""
    sealing_key = worker.seal_key_for(caller, key)
    stamping_unit = worker.unit_for(caller, unit)
    worker.gates.check(caller, stamping_unit.name)
    await worker.gates.check_room(worker.recorder, caller, sealing_key.name, None)
    profile = sealing_key.profile
    prepared = profile.prepare_document(document, worker.clock.read().time_us, enveloping=True)
    sealing = Sealing(worker, caller, sealing_key, stamping_unit)
    seal = await sealing.seal(prepared, lambda value, token: profile.complete(prepared, value, token), "seal")
    mark = (stamping_unit.name, sealing.stamped_us)
    await signing.commit(worker, caller, sealing.signed, None, mark, [tally])
    return Statement(sealing.signed[0].entry.record_id.hex(), seal)
