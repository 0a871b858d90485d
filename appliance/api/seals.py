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
from appliance.api.stamps import stamp_signature
from appliance.api.texts import idempotency_of
from appliance.documents import FURTHER_SIGNATURE, DocumentWorkerFailed, FurtherRequest
from appliance.errors import BadRequest
from appliance.instants import rfc3339
from appliance.record import Record
from appliance.recorder.messages import Entry
from appliance.seals import (
    NO_OPTIONS,
    ContentMismatch,
    PreparedSeal,
    SealRefused,
    export_prepared,
    import_prepared,
    prepared_digest,
)
from appliance.seals.two_step import LIFETIME_S

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(Record).decode


async def seals(worker: Worker, request: Request) -> Response:
    """POST /v1/seals"""
    caller, asked = request.known_caller, request.document
    key = worker.seal_key_for(caller, asked.key)
    unit = worker.unit_for(caller, asked.unit) if asked.level == "B-T" else None
    if unit is not None:
        worker.gates.check(caller, unit.name)
    idempotency = idempotency_of(request)
    now_us = worker.clock.read().time_us
    if asked.existing is not None:
        prepared = await _prepare_further(worker, caller, key, asked)
    elif asked.prepared is None:
        prepared = prepare(key, asked, now_us)
    else:
        _check_completion(asked)
        prepared = import_prepared(key.profile, asked.prepared, now_us, document=asked.document)
    await worker.gates.check_room(worker.recorder, caller, key.name, idempotency)
    signature = await key.key.sign_async(prepared.to_be_signed)
    token: bytes | None = None
    stamped: list[signing.Signed] = []
    mark: tuple[str, int] | None = None
    if unit is not None:
        try:
            stamp, token, time_us = await stamp_signature(worker, caller, unit, signature)
        except BaseException:
            worker.counter.drop("seal-without-stamp")  # the seal's own signature goes no further
            raise
        stamped, mark = [stamp], (unit.name, time_us)
    cms = key.profile.complete(prepared, signature, token)
    sealed = record_seal(caller, key, prepared, signature, cms)
    replayed = await signing.commit(worker, caller, [sealed, *stamped], idempotency, mark)
    if replayed is None:
        entries = [sealed.entry, *(one.entry for one in stamped)]
        return Response(_encode(_answer(entries, sealed.record, cms)))
    body = key.cipher.open(replayed.entries[0].record_id, replayed.entries[0].body)
    return Response(_encode(_answer(replayed.entries, body.record, body.artifact)))


async def seals_prepare(worker: Worker, request: Request) -> Response:
    """POST /v1/seals/prepare"""
    caller, asked = request.known_caller, request.document
    key = worker.seal_key_for(caller, asked.key)
    if asked.prepared is not None:
        raise BadRequest("`prepared` goes to /v1/seals.")
    if asked.existing is not None:
        prepared = await _prepare_further(worker, caller, key, asked)
    else:
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
    if (digest is None) == (asked.document is None):
        raise BadRequest("A seal is asked for with either a `digest` or a `document`.")
    if digest is not None:
        if asked.form != "detached":
            raise BadRequest("An enveloping seal needs the `document`.")
        return profile.prepare(digest, asked.hash, now_us, options)
    assert asked.document is not None  # noqa: S101 - one of the two is there
    return profile.prepare_document(asked.document, now_us, options, enveloping=asked.form == "enveloping")


def _check_completion(asked: SealRequest) -> None:
    """What may stand beside `prepared`. Raises BadRequest."""
    if asked.digest is not None or asked.options != NO_OPTIONS or asked.form != "detached":
        raise BadRequest("`prepared` says digest, options and form itself.")


async def _prepare_further(worker: Worker, caller: Caller, key: SealingKey, asked: SealRequest) -> PreparedSeal:
    """As `prepare`, and as completing what was prepared, beside the signatures of a CMS that somebody brings.

    A document worker reads the CMS. What it says of its content is held to what the caller gave, and the signed
    attributes are made here; so a CMS that takes hold of its reader cannot have anything else signed, unless the caller
    gave neither digest nor document and asked for a signature on whatever the CMS carries.
    """
    assert asked.existing is not None  # noqa: S101 - its callers looked
    profile = key.profile
    digest = None if asked.digest is None else bytes.fromhex(asked.digest)
    if asked.prepared is not None:
        _check_completion(asked)
        digest = prepared_digest(asked.prepared)
    elif asked.form != "detached":
        raise BadRequest("A further signature keeps the form of the CMS that it is added to.")
    elif asked.document is not None:
        given = profile.digest_algorithm.digest(asked.document)
        if digest is not None and digest != given:
            raise ContentMismatch("the digest given is not that of the document")
        digest = given
    if digest is not None and len(digest) != profile.digest_algorithm.size:
        raise SealRefused(f"a {profile.digest_algorithm.name} digest has {profile.digest_algorithm.size} bytes")
    request = FurtherRequest(
        existing=asked.existing,
        digest_algorithm=profile.digest_algorithm.name,
        certificates=profile.certificates,
        digest=digest,
        document=asked.document,
    )
    existing = await worker.documents.call(FURTHER_SIGNATURE, caller.tenant, request)
    if digest is not None and existing.digest != digest:
        raise DocumentWorkerFailed("The document's worker gave an answer that it does not have.")
    # The time is taken now: reading the CMS may have waited for its turn.
    now_us = worker.clock.read().time_us
    if asked.prepared is not None:
        return import_prepared(profile, asked.prepared, now_us, existing=existing)
    return profile.prepare_beside(existing, now_us, asked.options if asked.options != NO_OPTIONS else NO_OPTIONS)


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
