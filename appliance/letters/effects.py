"""What an event uses, gives back and counts beside its own letter: found by comparing the letter before and after.

Pure: names and values in clear. Who records the event turns the values into keyed hashes (appliance.letters.uniqueness)
and has the recorder decide about all of it in one transaction (control ONCE).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from appliance.instants import instant
from appliance.letters.errors import FieldRefused
from appliance.letters.fields import moment
from appliance.letters.hidden import read_disclosure
from appliance.letters.kind import Kind, Quota, Unique
from appliance.letters.money import parse_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use, normalised


class Count(NamedTuple):
    """One tally of the recorder's, its value still in clear."""

    quota: str
    period: str
    """The period's name, for example 2026-11; empty: for ever, or what is outstanding."""
    by: str | None
    amount: int


def uses(kind: Kind, before: LetterState | None, after: LetterState) -> list[Use]:
    """What is given back first, then what is claimed; what stays is not named."""
    held, wanted = _held(kind, before), _held(kind, after)
    changes = []
    for key, (amount, capacity) in held.items():
        left = wanted.get(key, (0, capacity))[0]
        if left < amount:
            changes.append(Use(*key, left - amount, capacity))
    for key, (amount, capacity) in wanted.items():
        had = held.get(key, (0, capacity))[0]
        if amount > had:
            changes.append(Use(*key, amount - had, capacity))
    return changes


def counts(
    kind: Kind, before: LetterState | None, after: LetterState, parts: Sequence[LetterState] = ()
) -> list[Count]:
    """What the kind's quotas count of this change: a value that goes from one whom it is counted for to another is
    taken from the one and added to the other. `parts`: letters that the event split off; what they have was counted
    before, in the letter."""
    changes = []
    for name, quota in kind.quotas.items():
        had, has = _measured(kind, quota, [before]), _measured(kind, quota, [after, *parts])
        for by in {**had, **has}:
            amount = has.get(by, 0) - had.get(by, 0)
            if quota.period != "outstanding":
                amount = max(0, amount)
            if amount:
                changes.append(Count(name, _period(quota.period, after.changed), by, amount))
    return changes


def _measured(kind: Kind, quota: Quota, states: Sequence[LetterState | None]) -> dict[str | None, int]:
    """How much there is of each whom the quota counts by, as they are compared; None: where it names nobody."""
    found: dict[str | None, int] = {}
    for state in states:
        amount = _measure(kind, quota.measure, quota.period, state)
        if state is None or not amount:
            continue
        values = None if quota.by is None else _values(kind, state, (quota.by,))
        by = None if values is None else normalised(values[0])
        found[by] = found.get(by, 0) + amount
    return found


def _held(kind: Kind, state: LetterState | None) -> dict[tuple[str, str, tuple[str, ...]], tuple[int, int]]:
    """(amount, capacity) by (scope, name, values). Letters that were split off share their origin's claims."""
    if state is None or state.origin is not None:
        return {}
    held = {}
    for name, unique in kind.unique.items():
        values = _values(kind, state, unique.fields)
        if state.state in unique.free_in or values is None:
            continue
        amount, capacity = _share(unique, state)
        if amount:
            held[("" if unique.scope == "tenant" else unique.scope, name, values)] = (amount, capacity)
    return held


def _share(unique: Unique, state: LetterState) -> tuple[int, int]:
    if unique.capacity is None:
        return 1, 1
    money = value_of(state, unique.capacity)
    return state.balance, parse_amount(money["amount"], money["currency"])


def _values(kind: Kind, state: LetterState, names: Sequence[str]) -> tuple[str, ...] | None:
    """The values as texts, one text a value; None while one of them is not there."""
    texts = []
    for name in names:
        head, _, member = name.partition(".")
        value = value_of(state, head)
        if member:
            value = value.get(member) if isinstance(value, Mapping) else None
        if value is None:
            return None
        texts.append(_spelled(kind.fields[head].type, value))
    return tuple(texts)


def _spelled(type_: str, value: Any) -> str:  # JSON
    """The one spelling of a value. Raises FieldRefused for a time outside the years 1 to 9999 of UTC."""
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    if type_ == "decimal":
        number = value.rstrip("0").rstrip(".") if "." in value else value
        return "0" if number == "-0" else number
    if type_ == "time":
        try:
            when = instant(moment(value, "+00:00"))
        except OverflowError:
            raise FieldRefused(f"the time {value} lies outside the years 1 to 9999 of UTC") from None
        text = when.replace(tzinfo=None).isoformat(timespec="microseconds").rstrip("0").rstrip(".")
        return f"{text}Z"
    return value


def value_of(state: LetterState, name: str) -> Any:  # JSON
    """A field's value, clear or disclosed; None where it is not known."""
    if name in state.fields:
        return state.fields[name]
    disclosure = state.hidden.get(name)
    return None if disclosure is None else read_disclosure(disclosure).value


def _measure(kind: Kind, measure: str, period: str, state: LetterState | None) -> int:
    if state is None:
        return 0
    ended = period == "outstanding" and kind.states[state.state].final
    if measure == "letters":
        return 0 if ended or state.origin is not None else 1
    return 0 if ended else state.balance


def _period(period: str, at: str) -> str:
    return {"day": at[:10], "month": at[:7], "year": at[:4]}.get(period, "")
