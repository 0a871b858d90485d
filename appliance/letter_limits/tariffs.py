"""A tariff as the recorder goes by it: the fee of one event. Pure, and the same wherever a bill is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.letter_limits.errors import LimitsRefused
from appliance.letter_limits.files import Fee, TariffFile
from appliance.letter_limits.numbers import RATE, amount, per_mille
from appliance.letters.money import DIGITS, UNITS


class Rate(NamedTuple):
    end: int | None
    """Ten-thousandths; None: without end."""
    rate: int
    """Of RATE."""


class Price(NamedTuple):
    each: int
    rates: tuple[Rate, ...]
    least: int
    most: int | None


@dataclass(frozen=True)
class Tariff:
    version: int = 0
    currency: str = ""
    prices: dict[tuple[str, str], Price] = field(default_factory=dict)
    """By kind and event."""

    def fee(self, kind: str, event: str, amount: int, currency: str) -> int:
        """Ten-thousandths of the tariff's currency, rounded half up to its digits. `currency` empty: no amount."""
        price = self.prices.get((kind, event))
        if price is None or currency not in ("", self.currency):
            return 0
        rate = next((one.rate for one in price.rates if one.end is None or amount <= one.end), 0)
        fee = max(price.least * RATE, price.each * RATE + amount * rate)
        if price.most is not None:
            fee = min(fee, price.most * RATE)
        step = _step(self.currency) * RATE
        return (2 * fee + step) // (2 * step) * (step // RATE)


def compile_tariff(file: TariffFile) -> Tariff:
    """Raises LimitsRefused, which names the member."""
    if file.currency not in DIGITS:
        raise LimitsRefused(f"currency: the box knows no currency {file.currency}")
    tariff = Tariff(file.version, file.currency)
    for place, fee in enumerate(file.fees):
        where = f"fees[{place}]"
        if (fee.kind, fee.event) in tariff.prices:
            raise LimitsRefused(f"{where}: {fee.kind} {fee.event} has a fee already")
        tariff.prices[fee.kind, fee.event] = _price(where, fee, file.currency)
    return tariff


def _price(where: str, fee: Fee, currency: str) -> Price:
    rates: list[Rate] = []
    for place, tier in enumerate(fee.rates):
        end = None if tier.up_to is None else amount(tier.up_to, currency)
        last = rates[-1].end if rates else 0
        if last is None or (end is not None and rates and end <= last):
            raise LimitsRefused(f"{where}.rates[{place}].up_to: not above the tier before it")
        rates.append(Rate(end, per_mille(tier.per_mille)))
    if rates and rates[-1].end is not None:
        raise LimitsRefused(f"{where}.rates: the last tier is without end (no up_to)")
    least, most = amount(fee.least, currency), None if fee.most is None else amount(fee.most, currency)
    if most is not None and most < least:
        raise LimitsRefused(f"{where}: least is above most")
    each = amount(fee.each, currency)
    step = _step(currency)
    if any(one is not None and one % step for one in (each, least, most)):
        raise LimitsRefused(f"{where}: {currency} has {DIGITS[currency]} digits after the point")
    if not (each or rates or least):
        raise LimitsRefused(f"{where}: it costs nothing; leave it out")
    return Price(each, tuple(rates), least, most)


def _step(currency: str) -> int:
    """The smallest amount of a currency, in ten-thousandths of its unit."""
    return UNITS // int(10 ** DIGITS[currency])
