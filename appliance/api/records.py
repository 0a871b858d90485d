"""GET /v1/records/{id}: a record, opened for the tenant whose it is, with its proof once the log has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from appliance.api.awaited import not_open
from appliance.api.bodies import Body
from appliance.api.callers import Caller
from appliance.api.logs import box_opening
from appliance.api.messages import Request, Response
from appliance.api.record_reads import RecordReads
from appliance.api.schemas import BoxProof, InclusionProof, RecordAnswer
from appliance.api.worker import BoxLog
from appliance.log import BoxProofs, Checkpoint, NotYetIncluded, TlogProof, parse_note
from appliance.log.lines import Placed

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode
_plain = msgspec.msgpack.Decoder(Body).decode
_reads = RecordReads()

ARTIFACT_TYPES = {
    "stamp": "application/timestamp-token",
    "seal": "application/pkcs7-signature",
    "batch-stamp": "application/vnd.cinnabar.batch-tree",
    "court": "application/pkcs7-signature",
    "pdf-seal": "application/vnd.cinnabar.pdf-update",
    "letter": "application/vnd.cinnabar.letter-event",
    "filing": "application/jose",
    "message": "application/vnd.cinnabar.message+json",
    "administration": "application/octet-stream",
}


@dataclass(frozen=True)
class StoredRecord:
    """A record as it was kept, opened."""

    index: int
    record_id: bytes
    kind: str
    key: str
    commitment: bytes
    body: Body


def open_row(worker: Worker, tenant: str, row: list[object]) -> StoredRecord:
    """Open a row as the recorder shows it (appliance.recorder.reader, get_record)."""
    index, record_id, _, kind, key, _, commitment, body = row
    assert isinstance(index, int)  # noqa: S101
    assert isinstance(record_id, bytes)  # noqa: S101
    assert isinstance(commitment, bytes)  # noqa: S101
    assert isinstance(body, bytes)  # noqa: S101
    # The recorder holds no content key: what it writes about the register is in clear.
    opened = _plain(body) if kind == "administration" else worker.cipher_of(tenant).open(record_id, body)
    return StoredRecord(index, record_id, str(kind), str(key), commitment, opened)


async def read_body(worker: Worker, caller: Caller, record_id: bytes) -> StoredRecord:
    """A record of the caller's tenant. Raises NotFound; another tenant's record is not found either. Raises Busy."""
    return await _reads.read(
        worker.recorder, caller.tenant, record_id, lambda row: open_row(worker, caller.tenant, row)
    )


async def records(worker: Worker, request: Request) -> Response:
    """GET /v1/records/{id}"""
    caller = request.known_caller
    record_id = bytes.fromhex(request.arguments["id"])
    tenant = caller.tenant
    return Response(await _reads.read(worker.recorder, tenant, record_id, lambda row: _shown(worker, tenant, row)))


def _shown(worker: Worker, tenant: str, row: list[object]) -> bytes:
    stored = open_row(worker, tenant, row)
    artifact = stored.body.artifact
    unit = worker.units.get(stored.key)
    if stored.key in worker.awaited.units:
        raise not_open()  # with its profile alone are the kept bytes those that were handed out
    if stored.kind == "stamp" and unit is not None:
        artifact = unit.restored(artifact, certificates=True)
    line = worker.line_of(tenant)
    placed = None if line is None else line.place(stored.index)
    continuation = None if line is None or placed is None else line.continuation(placed, stored.commitment)
    answer = RecordAnswer(
        record=stored.record_id.hex(),
        content=stored.body.record.decode(),
        salt=stored.body.salt.hex(),
        commitment=stored.commitment.hex(),
        index=stored.index if placed is None else placed.index,
        artifact=artifact,
        artifact_type=ARTIFACT_TYPES.get(stored.kind, "application/octet-stream"),
        proof=None if placed is None else _proof(placed, stored, witnessed=worker.witnessed(tenant)),
        box_proof=None if placed is None else _box_proof(worker, tenant, placed, stored),
        continuation=None if continuation is None else continuation.decode(),
    )
    return _encode(answer)


def _box_proof(worker: Worker, tenant: str, placed: Placed, stored: StoredRecord) -> BoxProof | None:
    """The record under the box's log, whichever committed to the record's. Raises LogDamaged, as `_proof`."""
    boxes, own, log = worker.line_of(None), worker.line_of(tenant), placed.log
    beside = None if boxes is None or own is None else boxes.beside(own, log)
    if beside is None:
        return None
    openings = BoxProofs(beside.reader, beside.cosigned.covering)
    found = openings.of_record(tenant, log.origin, log.reader, placed.index, stored.commitment)
    if found is None:
        return None
    leaf = box_opening(BoxLog(beside.origin, openings), found.leaf)
    return BoxProof(hashes=[node.hex() for node in found.path], leaf=leaf)


def _proof(placed: Placed, stored: StoredRecord, *, witnessed: bool) -> InclusionProof | None:
    """The proof of this record's own commitment. Raises LogDamaged: a proof that does not hold is not handed out."""
    log = placed.log
    try:
        file = log.tlog_proof(placed.index, stored.commitment)
    except NotYetIncluded:
        return None
    proof = TlogProof.parse(file)
    return InclusionProof(
        origin=log.origin,
        index=placed.index,
        tree_size=Checkpoint.parse(parse_note(proof.checkpoint).text).size,
        hashes=[node.hex() for node in proof.path],
        checkpoint=proof.checkpoint.decode(),
        tlog_proof=file.decode(),
        cosigned=log.cosigned.covering(placed.index + 1) is not None if witnessed else None,
    )
