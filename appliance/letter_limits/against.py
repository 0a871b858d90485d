"""Limits and tariffs against the kinds of the tenant that they are for: do counters, kinds and events exist, and
measure what is compared. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.letter_limits.errors import LimitsRefused
from appliance.letter_limits.files import Breaker, Fee, LimitFile, Share, TariffFile
from appliance.letters.kind import Kind, Quota

_WINDOWS = ("hour", "day", "month", "year")


def against_kinds(file: LimitFile | TariffFile, kinds: Mapping[str, Kind]) -> None:
    """`kinds`: the newest of each, by id. Raises LimitsRefused, which names the member."""
    if isinstance(file, TariffFile):
        for place, fee in enumerate(file.fees):
            _fee(f"fees[{place}]", fee, kinds)
        return
    quotas = _quotas(kinds)
    for place, limit in enumerate(file.limits):
        _quota(f"limits[{place}].counter", quotas, limit.counter, limit.currency)
    for place, share in enumerate(file.shares):
        _share(f"shares[{place}]", quotas, share)
    for place, breaker in enumerate(file.breakers):
        _breaker(f"breakers[{place}]", quotas, kinds, breaker)


def _quotas(kinds: Mapping[str, Kind]) -> dict[str, Quota]:
    return {counter: quota for kind in kinds.values() for counter, quota in kind.counters.items()}


def _quota(where: str, quotas: Mapping[str, Quota], counter: str, currency: str) -> Quota:
    quota = quotas.get(counter)
    if quota is None:
        raise LimitsRefused(f"{where}: none of the tenant's kinds counts {counter}")
    if (quota.measure == "value") != bool(currency):
        said = "value: name its currency" if quota.measure == "value" else "letters: it has no currency"
        raise LimitsRefused(f"{where}: {counter} counts {said}")
    return quota


def _share(where: str, quotas: Mapping[str, Quota], share: Share) -> None:
    part = _quota(f"{where}.counter", quotas, share.counter, share.currency)
    whole = _quota(f"{where}.of", quotas, share.of, share.currency)
    if part.by is None or whole.by is not None:
        raise LimitsRefused(f"{where}: a share is of a counter by somebody in one by nobody")
    if part.period != whole.period:
        raise LimitsRefused(f"{where}: {share.counter} and {share.of} count other windows")


def _breaker(where: str, quotas: Mapping[str, Quota], kinds: Mapping[str, Kind], breaker: Breaker) -> None:
    for place, kind in enumerate(breaker.stops):
        if kind not in kinds:
            raise LimitsRefused(f"{where}.stops[{place}]: the tenant has no kind {kind}")
    found = [
        _quota(f"{where}.{name}", quotas, counter, breaker.currency)
        for name, counter in (("of", breaker.of), ("over", breaker.over))
        if counter is not None
    ]
    if any(quota.by is not None for quota in found):
        raise LimitsRefused(f"{where}: an indicator goes by counters of everybody together")
    if len({quota.period for quota in found}) > 1:
        raise LimitsRefused(f"{where}: {breaker.of} and {breaker.over} count other windows")
    if breaker.indicator == "growth" and found[0].period not in _WINDOWS:
        raise LimitsRefused(f"{where}.of: growth compares windows of time")


def _fee(where: str, fee: Fee, kinds: Mapping[str, Kind]) -> None:
    kind = kinds.get(fee.kind)
    if kind is None:
        raise LimitsRefused(f"{where}.kind: the tenant has no kind {fee.kind}")
    event = kind.events.get(fee.event)
    if event is None:
        raise LimitsRefused(f"{where}.event: {fee.kind} has no event {fee.event}")
    if fee.rates and event.value is None:
        raise LimitsRefused(f"{where}.rates: {fee.event} moves no value to go by")
