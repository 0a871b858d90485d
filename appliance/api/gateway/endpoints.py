"""POST and GET /v1/gateway/{partner}."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec
import structlog
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.api.awaited import not_open
from appliance.api.callers import Caller
from appliance.api.errors import UnsupportedMediaType
from appliance.api.gateway.answering import Answering
from appliance.api.gateway.calls import perform
from appliance.api.gateway.profiles import profile_for
from appliance.api.messages import Request, Response
from appliance.calls.problems import problem_of
from appliance.errors import CinnabarError
from appliance.gateway import (
    MEDIA,
    SCHEMES,
    MessageRefused,
    PartnerProfile,
    ReadMessage,
    check_time,
    parties_of,
    read_call,
    receive,
)
from appliance.gateway.sheet import MessageKey, PartnerSheet
from appliance.recorder.errors import (
    IssuingStopped,
    KeyUnusable,
    LimitNeedsApproval,
    MessageReplayed,
    QuotaExceeded,
    TallyExceeded,
)

if TYPE_CHECKING:
    from appliance.api.worker import Worker

SETTLED = 500
"""Refusals below this status are the answer to the message; others say that the box cannot answer now."""
WITHHELD = (TallyExceeded, LimitNeedsApproval, IssuingStopped, QuotaExceeded, KeyUnusable)
"""Refusals whose detail says what the tenant has counted, what it allows, or why it stopped: no partner's matter."""
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("api")


async def gateway_message(worker: Worker, request: Request) -> Response:
    """POST /v1/gateway/{partner}"""
    caller = request.known_caller
    profile = profile_for(worker, caller, request.arguments["partner"])
    media = MEDIA[profile.format]
    if request.media_type != media:
        raise UnsupportedMediaType(f"Messages of this partner are {media}.")
    try:
        return Response(await _answer(worker, caller, profile, request.body), media.encode())
    except MessageRefused as error:
        log.warning("message-refused", tenant=caller.tenant, partner=profile.partner, reason=error.reason)
        raise
    except WITHHELD as error:
        raise _without_detail(error) from None


async def _answer(worker: Worker, caller: Caller, profile: PartnerProfile, raw: bytes) -> bytes:
    """First who says so, then whether it is new, then what is in it: no key opens anything for a stranger."""
    now_ms = worker.clock.read().time_us // 1_000
    read = receive(profile, raw, parties_of(profile, worker.settings.box_id), now_ms)
    answering = Answering(worker, caller, profile, read, raw)
    before = await answering.before()
    if before is not None:
        return before
    check_time(profile, read, now_ms)
    content = await _opened(worker, caller, read)
    try:
        try:
            return await perform(worker, caller, profile, read_call(content), answering)
        except MessageReplayed:
            raise
        except CinnabarError as error:
            if error.status >= SETTLED or error.retriable:
                raise
            return await answering.commit(error.status, _encode(problem_of(_without_detail(error))))
    except MessageReplayed:
        # The same message came twice at once, and the other one was first.
        before = await answering.before()
        if before is None:
            raise
        return before


def _without_detail(error: CinnabarError) -> CinnabarError:
    """What a partner is told of a refusal: of the tenant's counts nothing but that they refuse (control CHANNEL)."""
    return type(error)() if isinstance(error, WITHHELD) else error


async def _opened(worker: Worker, caller: Caller, read: ReadMessage) -> bytes:
    """What is in a message: under the newest key, or under one before it that still opens. Raises MessageRefused, and
    hsm.errors.TokenUnavailable while their token does not open."""
    refused = MessageRefused("the tenant has no key that opens messages")
    for key in worker.message_keys.get(caller.tenant, ()):
        try:
            return await asyncio.to_thread(read.open, key)
        except MessageRefused as error:
            refused = error
    _check_open(worker, caller.tenant)
    raise refused


def _check_open(worker: Worker, tenant: str) -> None:
    """Raises hsm.errors.TokenUnavailable while a key of messages waits for its token."""
    expected = next((len(one.message_keys) for one in worker.settings.tenants if one.name == tenant), 0)
    if len(worker.message_keys.get(tenant, ())) < expected:
        raise not_open()


async def gateway_sheet(worker: Worker, request: Request) -> Response:
    """GET /v1/gateway/{partner}"""
    caller = request.known_caller
    profile = profile_for(worker, caller, request.arguments["partner"])
    key = worker.seal_key_for(caller, profile.answer_key)
    parties = parties_of(profile, worker.settings.box_id)
    _check_open(worker, caller.tenant)
    spoken = [
        one.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in worker.message_keys.get(caller.tenant, ())
    ]
    sheet = PartnerSheet(
        partner=parties.sender,
        tenant=parties.receiver,
        format=profile.format,
        sign=profile.sign,
        keys=[MessageKey(key=one, digest=hashlib.sha256(one).hexdigest()) for one in spoken],
        answer_algorithm=SCHEMES[key.profile.scheme.name],
        answer_certificates=list(key.profile.certificates),
        calls=list(profile.calls),
        kinds=profile.kinds,
        window=profile.window_s,
        version=profile.version,
    )
    return Response(_encode(sheet))
