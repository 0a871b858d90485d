"""Stamps: POST /v1/stamps (JSON or RFC 3161) and POST /tsa/{unit}. The hot path; it stands alone here.

What goes wrong with a time-stamp protocol request is answered as a TimeStampResp with HTTP 200 (RFC 3161, section
2.4.2); what goes wrong with HTTP itself, the caller or its Idempotency-Key, as a problem.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.algorithms import digest_algorithm
from appliance.api import signing
from appliance.api.awaited import AwaitedKey, not_open
from appliance.api.callers import Caller
from appliance.api.endpoints import MEDIA_JSON
from appliance.api.errors import IdempotencyNotOffered
from appliance.api.messages import Request, Response
from appliance.api.schemas import Stamp, StampRequest
from appliance.api.texts import idempotency_of
from appliance.errors import BadRequest, CinnabarError, Conflict, NotAuthorised, NotFound, Unavailable
from appliance.instants import rfc3339
from appliance.record import Record
from appliance.recorder.errors import KeyUnusable, QuotaExceeded
from appliance.recorder.messages import Idempotency
from appliance.timestamps import PreparedStamp, granted, rejection_of
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.units import StampingUnit
    from appliance.api.worker import Worker

_REPLY: Final = b"application/timestamp-reply"
_encode = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(Record).decode

_OF_HTTP = (NotAuthorised, NotFound, Conflict)
"""Errors about the caller or the Idempotency-Key: problems, even where the body is RFC 3161's."""


async def tsa(worker: Worker, request: Request) -> Response:
    """POST /tsa/{unit}"""
    unit = worker.units.get(request.arguments["unit"])
    caller = request.caller
    awaited = worker.awaited.units.get(request.arguments["unit"])
    if awaited is not None:
        _check_awaited(worker, caller, awaited)
        return _not_answering(not_open())
    if caller is None:
        if unit is None or not unit.public:
            raise NotFound("There is no such time-stamping unit here.")
        if b"idempotency-key" in request.headers:
            # All who come here are one caller of the register: a key of one would be answered, or refused, to another.
            raise IdempotencyNotOffered("Callers without a certificate cannot be told apart; ask without a key.")
        caller = worker.callers.find_public(unit.name, time.time())
    elif unit is None or unit.tenant != caller.tenant:
        raise NotFound("There is no such time-stamping unit here.")
    return await _reply(worker, request, caller, unit)


def _check_awaited(worker: Worker, caller: Caller | None, unit: AwaitedKey) -> None:
    """Who may not use a unit is told the same whether its token is open or not (control CHANNEL)."""
    if caller is None and unit.public:
        worker.callers.find_public(unit.name, time.time())
    elif caller is None or caller.tenant != unit.tenant:
        raise NotFound("There is no such time-stamping unit here.")
    else:
        caller.authorise(unit.name)


def _not_answering(error: HsmError) -> Response:
    return Response(rejection_of(CinnabarError(f"the HSM does not answer now ({type(error).__name__})")), _REPLY)


async def stamps(worker: Worker, request: Request) -> Response:
    """POST /v1/stamps"""
    caller = request.known_caller
    if request.media_type != MEDIA_JSON:
        try:
            chosen = worker.unit_for(caller, None)
        except HsmError as error:
            return _not_answering(error)
        return await _reply(worker, request, caller, chosen)
    asked: StampRequest = request.document
    unit = worker.unit_for(caller, asked.unit)
    prepared = unit.unit.prepare_digest(
        asked.hash,
        _digest(asked.digest, asked.hash),
        worker.clock.read(),
        policy=asked.policy,
        nonce=None if asked.nonce is None else int(asked.nonce, 16),
        certificates=asked.certificates,
    )
    token, record_id, encoded = await make_stamp(worker, caller, unit, prepared, idempotency_of(request))
    record = decode_record(encoded)
    return Response(
        _encode(
            Stamp(
                record=record_id.hex(),
                unit=unit.name,
                time=rfc3339(record.time),
                serial=record.serial or "",
                policy=record.policy or "",
                token=token,
            )
        )
    )


def _digest(text: str, name: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != digest_algorithm(name).size:
        raise BadRequest(f"A {name} digest has {digest_algorithm(name).size} bytes, not {len(digest)}.")
    return digest


async def _reply(worker: Worker, request: Request, caller: Caller, unit: StampingUnit) -> Response:
    """The RFC 3161 exchange."""
    caller.authorise(unit.name)
    idempotency = idempotency_of(request)
    try:
        prepared = unit.unit.prepare(request.body, worker.clock.read())
        token, record_id, _ = await make_stamp(worker, caller, unit, prepared, idempotency)
    except HsmError as error:
        return _not_answering(error)
    except (QuotaExceeded, KeyUnusable) as error:
        if request.caller is None:  # strangers learn no volumes of the tenant that they are charged to (CHANNEL)
            return Response(rejection_of(Unavailable("the unit stamps for nobody now")), _REPLY)
        if isinstance(error, QuotaExceeded):
            raise  # Retry-After says when, which a TimeStampResp cannot
        return Response(rejection_of(error), _REPLY)
    except _OF_HTTP:
        raise
    except CinnabarError as error:
        if idempotency is not None and isinstance(error, BadRequest) and error.code.startswith("idempotency"):
            raise
        return Response(rejection_of(error), _REPLY)
    headers = b"cache-control: no-store\r\ncinnabar-record: %s\r\n" % record_id.hex().encode()
    return Response(granted(token), _REPLY, headers=headers)


async def make_stamp(
    worker: Worker, caller: Caller, unit: StampingUnit, prepared: PreparedStamp, idempotency: Idempotency | None
) -> tuple[bytes, bytes, bytes]:
    """Sign a prepared stamp and wait until it is on disk: (token as asked for, record id, record).

    The token is kept without certificates; a replay gives it with them where they were asked for.
    """
    await worker.gates.check_room(worker.recorder, caller, unit.name, idempotency)
    signature = await unit.key.sign_async(prepared.to_be_signed)
    token = unit.unit.complete(prepared, signature)
    signed = record_stamp(caller, unit, prepared, signature, token)
    replayed = await signing.commit(worker, caller, [signed], idempotency, (unit.name, prepared.time_us))
    if replayed is None:
        return token, signed.entry.record_id, signed.record
    first = replayed.entries[0]
    body = unit.cipher.open(first.record_id, first.body)
    return unit.restored(body.artifact, prepared.certificates), first.record_id, body.record


async def stamp_signature(
    worker: Worker, caller: Caller, unit: StampingUnit, signature: bytes
) -> tuple[signing.Signed, bytes, int]:
    """A time-stamp over a signature value (CAdES B-T): (its record, the token, genTime in microseconds)."""
    imprint = hashlib.sha256(signature).digest()
    prepared = unit.unit.prepare_digest("sha256", imprint, worker.clock.read(), certificates=True)
    worker.gates.check(caller, unit.name)
    stamp_signature = await unit.key.sign_async(prepared.to_be_signed)
    token = unit.unit.complete(prepared, stamp_signature)
    return record_stamp(caller, unit, prepared, stamp_signature, token), token, prepared.time_us


def record_stamp(
    caller: Caller, unit: StampingUnit, prepared: PreparedStamp, signature: bytes, token: bytes
) -> signing.Signed:
    """The record of a stamp. `token` is the completed one."""
    return signing.record_signature(
        unit.cipher,
        caller,
        unit.name,
        "stamp",
        artifact=unit.complete_bare(prepared, signature) if prepared.certificates else token,
        content_digest=prepared.digest,
        content_hash=prepared.digest_name,
        time_us=prepared.time_us,
        to_be_signed=prepared.to_be_signed,
        signature=signature,
        policy=prepared.policy,
        serial=prepared.serial,
    )
