"""Lines of a bill: what was metered in a month and not billed before, and the same reckoned again from events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from appliance.letter_limits.tariffs import Tariff


class Key(NamedTuple):
    """What one line is of."""

    kind: str
    event: str
    application: str
    party: str
    """For whom, as people read it; empty: the kind does not say."""
    currency: str
    """Of the amounts; empty: none."""
    tariff: int
    """Version."""


class Sums(NamedTuple):
    events: int = 0
    amount: int = 0
    """Ten-thousandths."""
    fee: int = 0
    """Ten-thousandths of the tariff's currency."""

    def plus(self, other: Sums) -> Sums:
        return Sums(self.events + other.events, self.amount + other.amount, self.fee + other.fee)


class Charged(NamedTuple):
    """One event as it was metered, found again in a record."""

    kind: str
    event: str
    application: str
    party: str
    currency: str
    amount: int
    at: int
    """Microseconds."""


def reckon(events: Iterable[Charged], tariffs: Sequence[tuple[int, Tariff]]) -> dict[Key, Sums]:
    """The lines that events come to. `tariffs`: with the time since which each is in force, in order."""
    lines: dict[Key, Sums] = {}
    for one in events:
        tariff = next((found for since, found in reversed(tariffs) if since <= one.at), Tariff())
        key = Key(one.kind, one.event, one.application, one.party, one.currency, tariff.version)
        fee = tariff.fee(one.kind, one.event, one.amount, one.currency)
        lines[key] = lines.get(key, Sums()).plus(Sums(1, one.amount, fee))
    return lines


def differences(found: Mapping[Key, Sums], billed: Mapping[Key, Sums]) -> list[tuple[Key, Sums, Sums]]:
    """(line, as records have it, as bills say) where bills charge what records do not hold, or hold another fee of."""
    wrong = []
    for key, said in billed.items():
        there = found.get(key, Sums())
        if said.events > there.events or (said.events == there.events and said != there):
            wrong.append((key, there, said))
    return wrong
