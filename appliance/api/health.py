"""GET /health and its two short forms for load balancers. What is told is already known: nothing is asked for it, but
for the quotas that the metrics listener is shown."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance.api.messages import Request, Response
from appliance.api.quotas import WARN_RATIO, uses
from appliance.api.schemas import CosigningHealth, Health, KeyHealth, QuotaWarning, Weakness, WitnessHealth
from appliance.box.known_weaknesses import KnownWeakness
from appliance.box.states import Work, permits
from appliance.clock import TimeNotShown
from appliance.cosigner.word import LogWord, read_cosigner_word
from hsm.mechanisms import HMAC_SHA256

if TYPE_CHECKING:
    from appliance.api.worker import Worker
    from appliance.box.settings import LogSettings

_encode = msgspec.json.Encoder().encode


def _clock(worker: Worker) -> Literal["shown", "not-shown"]:
    try:
        worker.clock.read()
    except TimeNotShown:
        return "not-shown"
    return "shown"


def _keys(worker: Worker, tenant: str | None) -> list[KeyHealth]:
    """Units and seal keys of one tenant, or of all."""
    now_us = time.time_ns() // 1000
    usable: set[tuple[str, str]] = set()
    weak: dict[tuple[str, str], set[str]] = {}
    for token in worker.tokens.values():
        for site in token.health().sites:
            for held in site.keys:
                weak.setdefault((held.uri, held.scheme), set()).update(held.weaknesses)
                if held.usable and site.connected:
                    usable.add((held.uri, held.scheme))
    found = [(unit.name, unit.tenant, int(unit.unit.days_left(now_us)), unit.key) for unit in worker.units.values()] + [
        (key.name, key.tenant, (key.not_after - now_us // 1_000_000) // 86_400, key.key)
        for key in worker.seal_keys.values()
    ]
    awaited = [
        KeyHealth(
            name=key.name,
            usable=False,
            certificate_days_left=(key.not_after - now_us // 1_000_000) // 86_400,
            weaknesses=[],
        )
        for key in worker.awaited.keys
        if tenant is None or key.tenant == tenant
    ]
    return awaited + [
        KeyHealth(
            name=name,
            usable=(str(key.request.uri), key.scheme) in usable and days >= 0,
            certificate_days_left=days,
            weaknesses=sorted(weak.get((str(key.request.uri), key.scheme), ())),
        )
        for name, owner, days, key in found
        if tenant is None or owner == tenant
    ]


def _awaited_tokens(worker: Worker, tenant: str | None) -> set[str]:
    """The tokens that do not open: one tenant's, or all."""
    tokens, settings = set(worker.awaited.tokens), worker.settings
    if tenant is None:
        return tokens
    mine = {one.token for one in settings.tenants if one.name == tenant}
    owners = [one for one in settings.tenants if one.name == tenant]
    mine |= {key.token for one in owners for key in one.agreement_keys}
    return tokens & (mine | {one.token for one in settings.federations if tenant in one.tenants})


def _weak_mac_keys(worker: Worker, tenant: str | None) -> list[Weakness]:
    """Of the scopes of uniqueness that one tenant has, or of all."""
    settings = worker.settings
    scopes = [(one.name, one.token) for one in settings.tenants if tenant in (None, one.name)]
    scopes += [(f"@{one.name}", one.token) for one in settings.federations if tenant is None or tenant in one.tenants]
    found = []
    for scope, name in scopes:
        key, token = worker.macs.get(scope), worker.tokens.get(name)
        if key is None or token is None:
            continue
        held = [one for site in token.health().sites for one in site.keys if one.scheme == HMAC_SHA256]
        weak = {text for one in held if one.uri == str(key.request.uri) for text in one.weaknesses}
        if weak:
            found.append(_told(KnownWeakness.WEAK_KEY, f"uniqueness of {scope}: {', '.join(sorted(weak))}"))
    return found


def _told(weakness: KnownWeakness, detail: str) -> Weakness:
    return Weakness(name=weakness.label, detail=detail)


def _weaknesses(worker: Worker, keys: list[KeyHealth], tenant: str | None) -> list[Weakness]:
    """Those of the box as the supervisor found them, and those of the keys that the asker sees."""
    found = [Weakness(name=name, detail=text) for name, text in worker.state.report().weaknesses.items()]
    documents = worker.documents.hello
    if documents is not None and not documents.own_network:
        text = "document workers could not leave the box's network: it was not started as root, or may not"
        found.append(_told(KnownWeakness.DOCUMENTS_ON_NETWORK, text))
    if documents is not None and not (documents.calls_held and documents.files_held):
        free = " and ".join(
            what for what, held in (("system calls", documents.calls_held), ("files", documents.files_held)) if not held
        )
        text = f"this kernel does not hold document workers to the {free} that they need"
        found.append(_told(KnownWeakness.DOCUMENTS_UNCONFINED, text))
    for key in keys:
        if key.weaknesses:
            found.append(_told(KnownWeakness.WEAK_KEY, f"{key.name}: {', '.join(key.weaknesses)}"))
    return found + _weak_mac_keys(worker, tenant)


def _cosigning(worker: Worker, tenant: str | None) -> list[CosigningHealth]:
    """Of the logs that have witnesses: one tenant's, or all."""
    logs = [log for log in worker.settings.logs if log.witnesses and (tenant is None or log.tenant == tenant)]
    if not logs:
        return []
    now = time.time()
    word = read_cosigner_word(worker.home.cosigner_word, now)
    told = {} if word is None else {one.origin: one for one in word.logs}
    return [_of_log(log, told.get(log.origin), now) for log in logs]


def _of_log(log: LogSettings, word: LogWord | None, now: float) -> CosigningHealth:
    if word is None:
        problem = "the cosigner does not say how it is"
        quorum = log.witness_quorum
        return CosigningHealth(
            origin=log.origin, quorum=quorum, size=0, cosigned=0, behind_s=0, problem=problem, witnesses=[]
        )
    return CosigningHealth(
        origin=word.origin,
        quorum=word.quorum,
        size=word.size,
        cosigned=word.cosigned,
        behind_s=int(word.behind_s(now)),
        problem=word.problem,
        witnesses=[
            WitnessHealth(name=one.name, size=one.size, trouble=one.trouble, detail=one.detail)
            for one in word.witnesses
        ],
    )


def report(worker: Worker, tenant: str | None, *, everything: bool) -> Health:
    """The health as a tenant may see it; `everything` is for the box's own people, on the metrics listener."""
    state = worker.state.state()
    connected = worker.recorder.connected
    clock = _clock(worker)
    ready = permits(state, Work.SIGN) and connected and not worker.stopping
    if not everything and tenant is None:
        return Health(live=True, ready=ready, state=state.label)
    keys = _keys(worker, None if everything else tenant)
    awaited = _awaited_tokens(worker, None if everything else tenant)
    cosigning = _cosigning(worker, None if everything else tenant)
    return Health(
        live=True,
        ready=ready and clock == "shown",
        state=state.label,
        clock=clock,
        recorder="connected" if connected else "not-connected",
        hsm="working" if all(key.usable for key in keys) and not awaited else "failing",
        keys=keys,
        weaknesses=_weaknesses(worker, keys, None if everything else tenant),
        cosigning=cosigning or msgspec.UNSET,
    )


async def health(worker: Worker, request: Request) -> Response:
    """GET /health"""
    tenant = None if request.caller is None else request.caller.tenant
    everything = request.listener == "metrics"
    answer = report(worker, tenant, everything=everything)
    if everything:
        known = await asyncio.ensure_future(uses(worker))  # a handler is no task: it has no time-outs
        near = [
            QuotaWarning(tenant=one.tenant, what=one.what, percent=int(100 * one.ratio))
            for one in known
            if one.ratio >= WARN_RATIO
        ]
        answer = msgspec.structs.replace(answer, quotas=near)
    return Response(_encode(answer), status=200)


async def health_live(worker: Worker, request: Request) -> Response:  # noqa: ARG001 - every handler has this form
    """GET /health/live"""
    return Response(_encode(Health(live=True, ready=False, state=worker.state.state().label)))


async def health_ready(worker: Worker, request: Request) -> Response:  # noqa: ARG001 - every handler has this form
    """GET /health/ready"""
    answer = report(worker, None, everything=False)
    return Response(_encode(answer), status=200 if answer.ready else 503)
