"""A file of limits as the recorder goes by it, and its questions: integers in, integers out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.letter_limits import files
from appliance.letter_limits.errors import LimitsRefused
from appliance.letter_limits.numbers import amount, percent
from appliance.letters.money import DIGITS, print_amount

WHOLE = 10_000
"""A share or ratio of one."""


class Tier(NamedTuple):
    end: int
    policy: str | None


class Limit(NamedTuple):
    tiers: tuple[Tier, ...]
    thresholds: tuple[int, ...]
    """Ten-thousandths of `most`, rising."""

    @property
    def most(self) -> int:
        return self.tiers[-1].end

    def tier(self, after: int) -> Tier | None:
        """The tier in which a counter then is; None: above them all."""
        for tier in self.tiers:
            if after <= tier.end:
                return tier
        return None

    def crossed(self, before: int, after: int) -> list[int]:
        """Thresholds that were below, and are reached."""
        most = self.most
        return [one for one in self.thresholds if before * WHOLE < one * most <= after * WHOLE]


class Share(NamedTuple):
    of: str
    """The sum's counter, its currency with it."""
    most: int
    floor: int
    refuses: bool

    def exceeded(self, part: int, whole: int) -> bool:
        return whole >= self.floor and part * WHOLE > self.most * whole


class Breaker(NamedTuple):
    name: str
    stops: tuple[str, ...]
    of: str
    over: str
    """Empty: growth, `of` to its own window before."""
    above: int
    floor: int

    def broken(self, of: int, over: int) -> bool:
        return over >= self.floor and of * WHOLE > self.above * over


class RefusalBreaker(NamedTuple):
    name: str
    stops: tuple[str, ...]
    above: int


@dataclass(frozen=True)
class Rules:
    """Of one tenant, by counter: KIND/QUOTA/CURRENCY; the currency is empty where letters are counted."""

    version: int = 0
    limits: dict[str, Limit] = field(default_factory=dict)
    shares: dict[str, tuple[Share, ...]] = field(default_factory=dict)
    breakers: dict[str, tuple[Breaker, ...]] = field(default_factory=dict)
    """By the counter that raises the indicator."""
    refusals: dict[str, tuple[RefusalBreaker, ...]] = field(default_factory=dict)
    """By kind."""


def named(counter: str, currency: str) -> str:
    """A counter of one currency, as tallies name it."""
    return f"{counter}/{currency}"


def shown(counter: str, units: int) -> str:
    """What a counter came to, in words: an amount in its currency, or how many."""
    currency = counter.rpartition("/")[2]
    return f"{print_amount(units, currency)} {currency}" if currency else str(units)


def above(counter: str, units: int, most: int) -> str:
    """Why an event is refused that would bring a counter above its limit."""
    return f"{counter}: {shown(counter, units)} would be above the limit of {shown(counter, most)}"


def compile_rules(file: files.LimitFile) -> Rules:
    """Raises LimitsRefused, which names the member."""
    rules = Rules(file.version)
    for place, limit in enumerate(file.limits):
        where = f"limits[{place}]"
        counter = _counter(where, limit.counter, limit.currency)
        if counter in rules.limits:
            raise LimitsRefused(f"{where}: {limit.counter} has a limit already")
        rules.limits[counter] = Limit(
            tuple(_tiers(where, limit)), _rising(f"{where}.warn_at", [percent(one) for one in limit.warn_at])
        )
    for place, share in enumerate(file.shares):
        where = f"shares[{place}]"
        counter = _counter(where, share.counter, share.currency)
        if not 0 < percent(share.most) < WHOLE:
            raise LimitsRefused(f"{where}.most: a share is above 0 and below 100 per cent")
        one = Share(
            named(share.of, share.currency), percent(share.most), _amount(where, share.floor, share.currency),
            share.then == "refuse",
        )  # fmt: skip
        rules.shares[counter] = (*rules.shares.get(counter, ()), one)
    for place, breaker in enumerate(file.breakers):
        _breaker(rules, f"breakers[{place}]", breaker)
    names = [breaker.name for breaker in file.breakers]
    if len(set(names)) < len(names):
        raise LimitsRefused("breakers: each has a name of its own")
    return rules


def _breaker(rules: Rules, where: str, breaker: files.Breaker) -> None:
    given = {"of": breaker.of is not None, "over": breaker.over is not None}
    wanted = {"ratio": {"of", "over"}, "growth": {"of"}, "refusals": set[str]()}[breaker.indicator]
    if {name for name, is_given in given.items() if is_given} != wanted:
        raise LimitsRefused(f"{where}: {breaker.indicator} has {' and '.join(sorted(wanted)) or 'neither of nor over'}")
    stops = tuple(dict.fromkeys(breaker.stops))
    if breaker.indicator == "refusals":
        if "." in breaker.above or breaker.currency or breaker.floor != "0":
            raise LimitsRefused(f"{where}: refusals are counted in whole numbers, without currency and floor")
        for kind in stops:
            rules.refusals[kind] = (
                *rules.refusals.get(kind, ()), RefusalBreaker(breaker.name, stops, int(breaker.above)),
            )  # fmt: skip
        return
    of = _counter(where, breaker.of or "", breaker.currency)
    one = Breaker(
        breaker.name, stops, of, named(breaker.over, breaker.currency) if breaker.over else "",
        percent(breaker.above), max(1, _amount(where, breaker.floor, breaker.currency)),
    )  # fmt: skip
    if one.over == of:
        raise LimitsRefused(f"{where}.over: a counter is not compared with itself")
    rules.breakers[of] = (*rules.breakers.get(of, ()), one)


def _tiers(where: str, limit: files.Limit) -> Iterator[Tier]:
    ends: list[int] = []
    for place, tier in enumerate(limit.tiers):
        end = _amount(f"{where}.tiers[{place}]", tier.up_to, limit.currency)
        if ends and end <= ends[-1]:
            raise LimitsRefused(f"{where}.tiers[{place}].up_to: not above the tier before it")
        if place and tier.policy is None:
            raise LimitsRefused(f"{where}.tiers[{place}]: only the first tier goes without a policy")
        ends.append(end)
        yield Tier(end, tier.policy)


def _rising(where: str, values: Sequence[int]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)) or any(not 0 < one <= WHOLE for one in values):
        raise LimitsRefused(f"{where}: thresholds rise, above 0 and up to 100 per cent")
    return tuple(values)


def _counter(where: str, counter: str, currency: str) -> str:
    if currency and currency not in DIGITS:
        raise LimitsRefused(f"{where}.currency: the box knows no currency {currency}")
    return named(counter, currency)


def _amount(where: str, text: str, currency: str) -> int:
    try:
        return amount(text, currency)
    except ValueError as error:
        raise LimitsRefused(f"{where}: {error}") from None
