"""What an event counts for the tenant's quotas and fees: found by comparing the letter before and after. Pure.

A counter is KIND/QUOTA/CURRENCY (GROUP/QUOTA/CURRENCY where kinds count together; the currency is empty where letters
are counted), by which the tenant's limits name it (appliance.letter_limits). Values are in clear: who records the
event turns whom a count is of into a keyed hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from appliance.instants import local_day
from appliance.letter_limits.rules import named
from appliance.letter_limits.windows import window
from appliance.letters.effects import spelled_values, value_of
from appliance.letters.event import Event
from appliance.letters.kind import Kind, Quota
from appliance.letters.money import parse_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import normalised


class Whom(NamedTuple):
    """Whom a count is of."""

    value: str
    """As it is compared."""
    label: str
    """As people read it."""


class Count(NamedTuple):
    """One tally of the recorder's, whom it is of still in clear."""

    counter: str
    window: str
    """2026-11 and the like; empty: for ever, or what is outstanding."""
    whom: Whom | None
    amount: int


class Metered(NamedTuple):
    """An event as it is metered (appliance.recorder.messages.Meter)."""

    kind: str
    event: str
    day: str
    currency: str
    amount: int
    whom: Whom | None


_Sums = dict[tuple[str, str], tuple[int, Whom | None]]
"""(amount, whom) by (value, currency)."""


def counts(
    kind: Kind,
    before: LetterState | None,
    after: LetterState,
    parts: Sequence[LetterState] = (),
    event: Event | None = None,
) -> list[Count]:
    """What the kind's quotas count of this change: a value that goes from one whom it is counted for to another is
    taken from the one and added to the other. `parts`: letters that the event split off; what they have was counted
    before, in the letter. `event`: the event, for quotas that count events."""
    changes = []
    for counter, quota in kind.counters.items():
        if quota.events:
            sums = _happened(kind, quota, after, event)
        else:
            sums = _measured(kind, quota, [after, *parts])
            if before is not None:
                sums = _changed(_measured(kind, quota, [before]), sums)
        when = window(quota.period, after.changed, kind.zone)
        for (_, currency), (amount, whom) in sums.items():
            if amount > 0 or (amount and quota.period == "outstanding"):
                changes.append(Count(named(counter, currency), when, whom, amount))
    return changes


def metered(kind: Kind, after: LetterState, event: Event) -> Metered:
    """The event as it is metered: with the value that it moves, for whom the kind says."""
    currency, amount = "", 0
    if event.value is not None:
        currency, amount = event.value.currency, parse_amount(event.value.amount, event.value.currency)
    day = local_day(event.at, kind.zone)
    return Metered(kind.id, event.event, day, currency, amount, whom_of(kind, after, kind.metered_by))


def whom_of(kind: Kind, state: LetterState, by: str | None) -> Whom | None:
    """Whom a letter is counted for; None where nobody is named."""
    values = None if by is None else spelled_values(kind, state, (by,))
    if values is None or by is None:
        return None
    whole = value_of(state, by.partition(".")[0])
    label = values[0]
    if isinstance(whole, dict):
        label = " ".join(str(whole[member]) for member in ("name", "id") if whole.get(member))
    return Whom(normalised(values[0]), label)


def _changed(had: _Sums, has: _Sums) -> _Sums:
    none: tuple[int, Whom | None] = (0, None)
    return {
        place: (has.get(place, none)[0] - had.get(place, none)[0], (has.get(place) or had[place])[1])
        for place in {**had, **has}
    }


def _happened(kind: Kind, quota: Quota, after: LetterState, event: Event | None) -> _Sums:
    if event is None or event.event not in quota.events:
        return {}
    currency, amount = "", 1
    if quota.measure == "value":
        if quota.amount is not None:
            money: dict[str, Any] = event.data[quota.amount]
            currency, amount = money["currency"], parse_amount(money["amount"], money["currency"])
        elif event.value is not None:
            currency, amount = event.value.currency, parse_amount(event.value.amount, event.value.currency)
        else:
            return {}
    whom = whom_of(kind, after, quota.by)
    return {("" if whom is None else whom.value, currency): (amount, whom)}


def _measured(kind: Kind, quota: Quota, states: Sequence[LetterState]) -> _Sums:
    """How much there is of each whom the quota counts by, in each currency."""
    found: _Sums = {}
    for state in states:
        amount = _measure(kind, quota, state)
        if not amount:
            continue
        whom = whom_of(kind, state, quota.by)
        place = ("" if whom is None else whom.value, state.currency if quota.measure == "value" else "")
        found[place] = (found.get(place, (0, None))[0] + amount, whom)
    return found


def _measure(kind: Kind, quota: Quota, state: LetterState) -> int:
    ended = quota.period == "outstanding" and kind.states[state.state].final
    if quota.measure == "letters":
        return 0 if ended or state.origin is not None else 1
    return 0 if ended else state.balance
