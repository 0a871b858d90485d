"""Seals on PDFs that callers bring: POST /v1/documents/seals.

A document worker judges the PDF and says what is to follow it; this worker puts both together, takes the digest and has
it signed: neither key nor token meets the parser. Everything is recorded before anything leaves (control RECORD).
What is kept is what follows the PDF, not the PDF: it stays with the caller, who sends it again to be answered again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.messages import Request, Response
from appliance.api.pdf_schemas import PdfSeal, PdfSealRequest
from appliance.api.revocation_data import validation_data
from appliance.api.seal_objects import SeenSeal
from appliance.api.stamps import decode_record, stamp_signature
from appliance.api.texts import idempotency_of
from appliance.documents import (
    PREPARE_PDF,
    PROLONG_PDF,
    PreparedForeign,
    PreparePdfRequest,
    ProlongPdfRequest,
)
from appliance.instants import rfc3339
from appliance.pdf import TOKEN_BYTES, Hole, Place, PreparedPdf, prepare_foreign_seal, room_for
from appliance.recorder.messages import Entry

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker

_POINTS_A_MILLIMETRE: Final = 72 / 25.4
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class PreparedForeignSeal:
    """A PDF of somebody's, judged and ready to be sealed."""

    judged: PreparedForeign
    pdf: PreparedPdf
    seen: SeenSeal | None


async def document_seals(worker: Worker, request: Request) -> Response:
    """POST /v1/documents/seals"""
    caller, asked = request.caller, request.document
    assert caller is not None  # noqa: S101 - the endpoint needs one
    key = worker.seal_key_for(caller, asked.key)
    unit = None if asked.level == "B-B" else worker.unit_for(caller, asked.unit)
    if unit is not None:
        worker.gates.check(caller, unit.name)
    idempotency = idempotency_of(request)
    ready = await prepare(worker, caller, key, asked)
    await worker.gates.check_room(worker.recorder, caller, key.name, idempotency)
    signature = await key.key.sign_async(ready.pdf.to_be_signed)
    made = 1
    stamped: list[signing.Signed] = []
    mark: tuple[str, int] | None = None
    try:
        token: bytes | None = None
        if unit is not None:
            stamp, token, time_us = await stamp_signature(worker, caller, unit, signature)
            made, stamped, mark = 2, [stamp], (unit.name, time_us)
        whole = ready.pdf.complete(signature, token)
        if unit is not None and asked.level in ("B-LT", "B-LTA"):
            whole, more, mark = await _prolong(worker, caller, key, unit, whole, mark, asked.level == "B-LTA")
            stamped += more
            made += len(more)
    except BaseException:
        worker.counter.drop("pdf-seal-unfinished", made)  # what is signed goes no further
        raise
    sealed = _record(caller, key, ready, signature, whole[len(asked.document) :])
    replayed = await signing.commit(worker, caller, [sealed, *stamped], idempotency, mark)
    entries = [sealed.entry, *(one.entry for one in stamped)] if replayed is None else replayed.entries
    if replayed is None:
        return Response(_encode(_answer(asked, entries, sealed.record, whole)))
    body = key.cipher.open(entries[0].record_id, entries[0].body)
    return Response(_encode(_answer(asked, entries, body.record, asked.document + body.artifact)))


async def prepare(worker: Worker, caller: Caller, key: SealingKey, asked: PdfSealRequest) -> PreparedForeignSeal:
    """Raises PdfRefused, SealObjectRefused, CertificateNotValid and what document workers refuse with."""
    now_us = worker.clock.read().time_us
    seen, place = None, None
    if asked.seen is not None:
        seen = await worker.seal_objects.use(worker, caller, key, asked.seen.seal, now_us)
        page = asked.seen.page - 1 if asked.seen.page > 0 else asked.seen.page
        side = float(seen.found.side_mm)
        sides = (asked.seen.left, asked.seen.bottom, asked.seen.left + side, asked.seen.bottom + side)
        place = Place(page, *(one * _POINTS_A_MILLIMETRE for one in sides))
    tenant = next(one for one in worker.settings.tenants if one.name == caller.tenant)
    judged = await worker.documents.call(
        PREPARE_PDF,
        caller.tenant,
        PreparePdfRequest(
            pdf=asked.document,
            time_s=now_us // 1_000_000,
            room=room_for(key.profile, TOKEN_BYTES),
            name=tenant.organisation or tenant.name,
            place=place,
            picture=None if seen is None else seen.picture,
        ),
    )
    made = await asyncio.to_thread(
        prepare_foreign_seal, asked.document, judged.added, judged.after, judged.room, key.profile, now_us
    )
    return PreparedForeignSeal(judged, made, seen)


async def _prolong(
    worker: Worker,
    caller: Caller,
    key: SealingKey,
    unit: StampingUnit,
    sealed: bytes,
    mark: tuple[str, int] | None,
    stamped: bool,
) -> tuple[bytes, list[signing.Signed], tuple[str, int] | None]:
    """The PDF with what a verifier needs later; `stamped`: and with a time-stamp over all of it."""
    data = await validation_data(worker, key, unit)
    request = ProlongPdfRequest(pdf=sealed, data=data, room=TOKEN_BYTES if stamped else 0)
    more = await worker.documents.call(PROLONG_PDF, caller.tenant, request)
    if not stamped:
        return sealed + more.added, [], mark
    hole = Hole(sealed + more.added, more.after, TOKEN_BYTES)
    stamp, token, time_us = await stamp_signature(worker, caller, unit, hole.signed)
    return hole.filled(token), [stamp], (unit.name, time_us)


def _record(
    caller: Caller, key: SealingKey, ready: PreparedForeignSeal, signature: bytes, added: bytes
) -> signing.Signed:
    seal = ready.pdf.seal
    return signing.record_signature(
        key.cipher, caller, key.name, "pdf-seal", artifact=added, content_digest=seal.digest,
        content_hash=key.profile.digest_algorithm.name, time_us=seal.time * 1_000_000,
        to_be_signed=seal.to_be_signed, signature=signature, findings=ready.judged.findings,
        seal_object=None if ready.seen is None else ready.seen.digest,
    )  # fmt: skip


def _answer(asked: PdfSealRequest, entries: list[Entry], record: bytes, whole: bytes) -> PdfSeal:
    said = decode_record(record)
    return PdfSeal(
        record=entries[0].record_id.hex(),
        key=said.key,
        time=rfc3339(said.time),
        level=asked.level,
        document=whole,
        findings=said.findings or [],
        seal_object=said.seal_object,
        stamp_records=[one.record_id.hex() for one in entries[1:]],
    )
