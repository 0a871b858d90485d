"""Seals: POST /v1/seals and its first half for two-step sealing, POST /v1/seals/prepare."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.messages import Request, Response
from appliance.api.schemas import PreparedSeal as PreparedAnswer
from appliance.api.schemas import Seal, SealRequest
from appliance.api.stamps import record_stamp
from appliance.api.texts import idempotency_of, rfc3339
from appliance.errors import BadRequest
from appliance.record import Record
from appliance.recorder.messages import Entry
from appliance.seals import NO_OPTIONS, PreparedSeal, add_signature_timestamp, export_prepared, import_prepared
from appliance.seals.two_step import LIFETIME_S

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(Record).decode


async def seals(worker: Worker, request: Request) -> Response:
    """POST /v1/seals"""
    caller, asked = request.caller, request.document
    assert caller is not None  # noqa: S101 - the endpoint needs one
    key = worker.seal_key_for(caller, asked.key)
    unit = worker.unit_for(caller, asked.unit) if asked.level == "B-T" else None
    idempotency = idempotency_of(request)
    now_us = worker.clock.read().time_us
    if asked.prepared is None:
        prepared = prepare(key, asked, now_us)
    else:
        if asked.digest is not None or asked.options != NO_OPTIONS or asked.form != "detached":
            raise BadRequest("`prepared` says digest, options and form itself.")
        prepared = import_prepared(
            key.profile, asked.prepared, now_us, document=asked.document, existing=asked.existing
        )
    signature = await key.key.sign_async(prepared.to_be_signed)
    cms = key.profile.complete(prepared, signature)
    stamped: list[signing.Signed] = []
    mark: tuple[str, int] | None = None
    if unit is not None:
        try:
            stamp, token, time_us = await _stamp_signature(worker, caller, unit, signature)
        except BaseException:
            worker.drop("seal-without-stamp")  # the seal's own signature goes no further
            raise
        cms = add_signature_timestamp(cms, token)
        stamped, mark = [stamp], (unit.name, time_us)
    sealed = record_seal(caller, key, prepared, signature, cms)
    replayed = await signing.commit(worker, caller, [sealed, *stamped], idempotency, mark)
    if replayed is None:
        entries = [sealed.entry, *(one.entry for one in stamped)]
        return Response(_encode(_answer(entries, sealed.record, cms)))
    body = key.cipher.open(replayed.entries[0].record_id, replayed.entries[0].body)
    return Response(_encode(_answer(replayed.entries, body.record, body.artifact)))


async def seals_prepare(worker: Worker, request: Request) -> Response:
    """POST /v1/seals/prepare"""
    caller, asked = request.caller, request.document
    assert caller is not None  # noqa: S101 - the endpoint needs one
    key = worker.seal_key_for(caller, asked.key)
    if asked.prepared is not None:
        raise BadRequest("`prepared` goes to /v1/seals.")
    prepared = prepare(key, asked, worker.clock.read().time_us)
    return Response(
        _encode(
            PreparedAnswer(
                to_be_signed=prepared.to_be_signed,
                digest=hashlib.sha256(prepared.to_be_signed).hexdigest(),
                prepared=export_prepared(key.profile, prepared),
                expires=rfc3339((prepared.time + LIFETIME_S) * 1_000_000),
            )
        )
    )


def prepare(key: SealingKey, asked: SealRequest, now_us: int) -> PreparedSeal:
    """The exact bytes for what was asked. Raises BadRequest and what the profile refuses with."""
    profile, options = key.profile, asked.options if asked.options != NO_OPTIONS else NO_OPTIONS
    digest = None if asked.digest is None else bytes.fromhex(asked.digest)
    if asked.existing is not None:
        if asked.form != "detached":
            raise BadRequest("A further signature keeps the form of the CMS that it is added to.")
        return profile.prepare_further(asked.existing, now_us, options, digest=digest, document=asked.document)
    if (digest is None) == (asked.document is None):
        raise BadRequest("A seal is asked for with either a `digest` or a `document`.")
    if digest is not None:
        if asked.form != "detached":
            raise BadRequest("An enveloping seal needs the `document`.")
        return profile.prepare(digest, asked.hash, now_us, options)
    assert asked.document is not None  # noqa: S101 - one of the two is there
    return profile.prepare_document(asked.document, now_us, options, enveloping=asked.form == "enveloping")


def record_seal(
    caller: Caller, key: SealingKey, prepared: PreparedSeal, signature: bytes, cms: bytes
) -> signing.Signed:
    """The record of a seal; `cms` is what is handed out, and kept."""
    return signing.record_signature(
        key.cipher,
        caller,
        key.name,
        "seal",
        artifact=cms,
        content_digest=prepared.digest,
        content_hash=key.profile.digest_algorithm.name,
        time_us=prepared.time * 1_000_000,
        to_be_signed=prepared.to_be_signed,
        signature=signature,
    )


async def _stamp_signature(
    worker: Worker, caller: Caller, unit: StampingUnit, signature: bytes
) -> tuple[signing.Signed, bytes, int]:
    """A time-stamp over a signature value: (its record, the token, genTime)."""
    imprint = hashlib.sha256(signature).digest()
    prepared = unit.unit.prepare_digest("sha256", imprint, worker.clock.read(), certificates=True)
    stamp_signature = await unit.key.sign_async(prepared.to_be_signed)
    token = unit.unit.complete(prepared, stamp_signature)
    return record_stamp(caller, unit, prepared, stamp_signature, token), token, prepared.time_us


def _answer(entries: list[Entry], record: bytes, cms: bytes) -> Seal:
    said = _decode_record(record)
    return Seal(
        record=entries[0].record_id.hex(),
        key=said.key,
        time=rfc3339(said.time),
        level="B-T" if len(entries) == 2 else "B-B",
        cms=cms,
        stamp_record=entries[1].record_id.hex() if len(entries) == 2 else msgspec.UNSET,
    )
