"""Limits and tariffs in plain words, in both languages: what officers read before they sign. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from appliance.letter_limits.files import Breaker, Fee, Limit, LimitFile, Share, TariffFile

Language = Literal["en", "zh"]


def describe(file: LimitFile | TariffFile, language: Language) -> list[str]:
    """A line each of what it says, in its order."""
    if isinstance(file, LimitFile):
        lines = [*map(_limit, file.limits), *map(_share, file.shares), *map(_breaker, file.breakers)]
    else:
        lines = [_fee(fee, file.currency) for fee in file.fees]
    return [line[language == "zh"] for line in lines]


def _money(amount: str, currency: str) -> str:
    return f"{amount} {currency}".strip()


def _limit(limit: Limit) -> tuple[str, str]:
    tiers = list(limit.tiers)
    english, chinese = [], []
    for tier in tiers:
        money = _money(tier.up_to, limit.currency)
        english.append(f"up to {money} " + (f"with the approval of {tier.policy}" if tier.policy else "by itself"))
        chinese.append(f"不超过 {money} " + (f"须经策略 {tier.policy} 审批" if tier.policy else "自动办理"))
    english.append("above it refused")
    chinese.append("超过即拒绝")
    if limit.warn_at:
        english.append(f"warned of at {', '.join(limit.warn_at)} per cent")
        chinese.append(f"达到 {'、'.join(limit.warn_at)}% 时预警")
    return f"{limit.counter}: {'; '.join(english)}", f"{limit.counter}：{'；'.join(chinese)}"


def _share(share: Share) -> tuple[str, str]:
    floor = _money(share.floor, share.currency)
    return (
        f"{share.counter}: nobody above {share.most} per cent of {share.of}, from {floor} on; "
        + ("refused" if share.then == "refuse" else "warned of"),
        f"{share.counter}：任何一方不超过 {share.of} 的 {share.most}%（总额达到 {floor} 起）；"
        + ("超过即拒绝" if share.then == "refuse" else "超过即预警"),
    )


def _breaker(breaker: Breaker) -> tuple[str, str]:
    kinds = ", ".join(breaker.stops)
    floor = _money(breaker.floor, breaker.currency)
    if breaker.indicator == "refusals":
        when = (f"more than {breaker.above} refusals in an hour", f"一小时内拒绝超过 {breaker.above} 次")
    elif breaker.indicator == "growth":
        when = (
            f"{breaker.of} above {breaker.above} per cent of the window before (from {floor} on)",
            f"{breaker.of} 超过上一期间的 {breaker.above}%（上期达到 {floor} 起）",
        )
    else:
        when = (
            f"{breaker.of} above {breaker.above} per cent of {breaker.over} (from {floor} on)",
            f"{breaker.of} 超过 {breaker.over} 的 {breaker.above}%（后者达到 {floor} 起）",
        )
    return (
        f"{breaker.name}: nothing new of {kinds} is issued once {when[0]}, until a quorum lets it go on",
        f"{breaker.name}：{when[1]}时停止新开 {kinds}，直至法定人数批准恢复",
    )


def _fee(fee: Fee, currency: str) -> tuple[str, str]:
    english, chinese = [], []
    if fee.each != "0":
        english.append(f"{_money(fee.each, currency)} each")
        chinese.append(f"每笔 {_money(fee.each, currency)}")
    for english_rate, chinese_rate in _rates(fee, currency):
        english.append(english_rate)
        chinese.append(chinese_rate)
    if fee.least != "0":
        english.append(f"at least {_money(fee.least, currency)}")
        chinese.append(f"不低于 {_money(fee.least, currency)}")
    if fee.most is not None:
        english.append(f"at most {_money(fee.most, currency)}")
        chinese.append(f"不高于 {_money(fee.most, currency)}")
    name = f"{fee.title} ({fee.kind} {fee.event})"
    return f"{name}: {'; '.join(english)}", f"{name}：{'；'.join(chinese)}"


def _rates(fee: Fee, currency: str) -> Iterator[tuple[str, str]]:
    for rate in fee.rates:
        if rate.up_to is None:
            yield f"{rate.per_mille} per mille", f"千分之 {rate.per_mille}"
        else:
            end = _money(rate.up_to, currency)
            yield f"{rate.per_mille} per mille of amounts up to {end}", f"金额不超过 {end} 按千分之 {rate.per_mille}"
