"""GET /v1/quota: what the caller's tenant may use a day, and has used; nobody else's (control CHANNEL).

For the box's own people, on the metrics listener, the health and the metrics also warn of what is nearly used up.
"""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from appliance.api.messages import NO_STORE, Request, Response
from appliance.api.schemas import KeyUse, QuotaAnswer, QuotaUse
from appliance.errors import CinnabarError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

WARN_RATIO = 0.8
ASK_SECONDS = 1.0
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_QUOTAS = ("signatures", "stamps", "storage_bytes")

_encode = msgspec.json.Encoder().encode


async def quota(worker: Worker, request: Request) -> Response:
    """GET /v1/quota"""
    caller = request.known_caller
    said = await worker.recorder.query("quota", caller.tenant)
    keys = await worker.recorder.query("key_states", caller.tenant)
    midnight = _EPOCH + datetime.timedelta(days=said["day"])
    uses = [QuotaUse(limit=limit, used=used) for limit, used in zip(said["quota"], said["used"], strict=True)]
    answer = QuotaAnswer(
        day=midnight.date().isoformat(),
        ends=(midnight + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **dict(zip(_QUOTAS, uses, strict=True)),
        keys=[
            KeyUse(
                key=key["key"],
                state=key["state"],
                until=None if key["until"] is None else _seconds(key["until"]),
                signatures=QuotaUse(limit=key["limit"], used=key["signatures"]),
            )
            for key in keys
            if caller.may_use(key["key"])
        ],
    )
    return Response(_encode(answer), headers=NO_STORE)


def _seconds(value: int) -> str:
    return (_EPOCH + datetime.timedelta(seconds=value)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Use(NamedTuple):
    """How much of something with a limit is used, 1.0 being all of it."""

    tenant: str
    what: str
    """signatures, stamps or storage_bytes of a day, or `key NAME`."""
    ratio: float


async def uses(worker: Worker) -> list[Use]:
    """Of all tenants, for the box's own people; empty while the recorder does not answer."""
    if not worker.recorder.connected:
        return []
    try:
        async with asyncio.timeout(ASK_SECONDS):
            quotas: dict[str, Any] = await worker.recorder.query("quotas")
            keys: list[dict[str, Any]] = await worker.recorder.query("key_states")
    except (CinnabarError, TimeoutError):
        return []
    found = [
        Use(tenant, what, _ratio(used, limit))
        for tenant, said in quotas.items()
        for what, limit, used in zip(_QUOTAS, said["quota"], said["used"], strict=True)
        if limit is not None
    ]
    return found + [
        Use(key["tenant"], f"key {key['key']}", _ratio(key["signatures"], key["limit"]))
        for key in keys
        if key["limit"] is not None
    ]


def _ratio(used: int, limit: int) -> float:
    return used / limit if limit else 1.0
