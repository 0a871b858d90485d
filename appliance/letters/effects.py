"""What an event uses, gives back and counts beside its own letter: found by comparing the letter before and after.

Pure: names and values in clear. Who records the event turns the values into keyed hashes (appliance.letters.uniqueness)
and has the recorder decide about all of it in one transaction (control ONCE).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from appliance.letters.hidden import read_disclosure
from appliance.letters.kind import Kind, Unique
from appliance.letters.money import parse_amount
from appliance.letters.state import LetterState


class Use(NamedTuple):
    """One claim of the recorder's (appliance.recorder.messages.Claim), its values still in clear."""

    scope: str
    """Empty: the tenant's own; else a federation's name after "@"."""
    name: str
    values: tuple[str, ...]
    amount: int
    capacity: int


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


def counts(kind: Kind, before: LetterState | None, after: LetterState) -> list[Count]:
    """What the kind's quotas count of this change."""
    changes = []
    for name, quota in kind.quotas.items():
        amount = _measure(kind, quota.measure, quota.period, after) - _measure(
            kind, quota.measure, quota.period, before
        )
        if quota.period != "outstanding":
            amount = max(0, amount)
        if amount:
            by = None if quota.by is None else _values(after, (quota.by,))
            changes.append(Count(name, _period(quota.period, after.changed), None if by is None else by[0], amount))
    return changes


def _held(kind: Kind, state: LetterState | None) -> dict[tuple[str, str, tuple[str, ...]], tuple[int, int]]:
    """(amount, capacity) by (scope, name, values). Letters that were split off share their origin's claims."""
    if state is None or state.origin is not None:
        return {}
    held = {}
    for name, unique in kind.unique.items():
        values = _values(state, unique.fields)
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


def _values(state: LetterState, names: tuple[str, ...] | list[str]) -> tuple[str, ...] | None:
    """The values as texts; None while one of them is not there."""
    texts = []
    for name in names:
        head, _, member = name.partition(".")
        value = value_of(state, head)
        if member:
            value = value.get(member) if isinstance(value, Mapping) else None
        if value is None:
            return None
        texts.append(value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False))
    return tuple(texts)


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
