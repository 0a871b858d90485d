"""From exact bytes to a durable record: sign, build, append. The order of control RECORD, in one place.

A signature leaves this module only after the recorder has said that its record is on disk. One whose commit is refused
is dropped here and counted by the reason (appliance.recorder.counts, `Worker.drop`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET

from appliance.api.bodies import Body, BodyCipher
from appliance.api.callers import Caller
from appliance.errors import CinnabarError
from appliance.record import SALT_BYTES, Record, commitment, new_record_id
from appliance.recorder.errors import OutcomeUnknown
from appliance.recorder.messages import Committed, Effect, Entry, Idempotency, Replayed

if TYPE_CHECKING:
    from appliance.api.worker import Worker


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature with the record that it leaves."""

    entry: Entry
    record: bytes
    """Canonical JSON."""


def record_signature(
    cipher: BodyCipher,
    caller: Caller,
    key: str,
    kind: str,
    *,
    artifact: bytes,
    content_digest: bytes,
    content_hash: str,
    time_us: int,
    to_be_signed: bytes,
    signature: bytes,
    count: int = 1,
    policy: str | None = None,
    serial: str | None = None,
    findings: list[str] | None = None,
    seal_object: str | None = None,
) -> Signed:
    """The record of a signature, its commitment and its encrypted body."""
    record = Record(
        application=caller.application,
        content_digest=content_digest.hex(),
        content_hash=content_hash,
        count=count,
        key=key,
        kind=kind,
        signature_digest=hashlib.sha256(signature).hexdigest(),
        signed_digest=hashlib.sha256(to_be_signed).hexdigest(),
        tenant=caller.tenant,
        time=time_us,
        findings=UNSET if findings is None else findings,
        seal_object=UNSET if seal_object is None else seal_object,
        **({} if policy is None or serial is None else {"policy": policy, "serial": serial}),
    ).canonical()
    salt = os.urandom(SALT_BYTES)
    record_id = new_record_id()
    body = cipher.close(record_id, Body(salt, record, artifact))
    return Signed(Entry(record_id, kind, key, time_us, commitment(salt, record, cipher.hashing), body), record)


async def commit(
    worker: Worker,
    caller: Caller,
    signed: list[Signed],
    idempotency: Idempotency | None = None,
    mark: tuple[str, int] | None = None,
    effects: list[Effect] | None = None,
) -> Replayed | None:
    """As `append`; None where it was committed."""
    answer = await append(worker, caller, signed, idempotency, mark, effects)
    return answer if isinstance(answer, Replayed) else None


async def append(
    worker: Worker,
    caller: Caller,
    signed: list[Signed],
    idempotency: Idempotency | None = None,
    mark: tuple[str, int] | None = None,
    effects: list[Effect] | None = None,
) -> Committed | Replayed:
    """Wait until the records are on disk. A Replayed says: drop these, answer what was answered before.

    Raises what the recorder refuses with; the signatures are then dropped and counted. While the outcome is unknown
    they are neither: the recorder's client learns it later, and counts.
    """
    try:
        answer = await worker.recorder.append(
            caller.tenant,
            caller.application,
            caller.certificate,
            [one.entry for one in signed],
            idempotency,
            mark,
            effects,
        )
    except OutcomeUnknown:
        raise
    except CinnabarError as error:
        worker.counter.drop(error.code, len(signed))
        worker.gates.learn(caller.tenant, [one.entry.key for one in signed], error)
        raise
    if isinstance(answer, Replayed):
        worker.counter.drop("replayed", len(signed))
    return answer
