"""What an event uses and gives back beside its own letter: found by comparing the letter before and after.

Pure: names and values in clear. Who records the event turns the values into keyed hashes (appliance.letters.uniqueness)
and has the recorder decide about all of it in one transaction (control ONCE).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from appliance.instants import instant
from appliance.letters.errors import FieldRefused
from appliance.letters.fields import moment
from appliance.letters.hidden import read_disclosure
from appliance.letters.kind import Kind, Unique
from appliance.letters.money import parse_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use


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


def _held(kind: Kind, state: LetterState | None) -> dict[tuple[str, str, tuple[str, ...]], tuple[int, int]]:
    """(amount, capacity) by (scope, name, values). Letters that were split off share their origin's claims."""
    if state is None or state.origin is not None:
        return {}
    held = {}
    for name, unique in kind.unique.items():
        values = spelled_values(kind, state, unique.fields)
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


def spelled_values(kind: Kind, state: LetterState, names: Sequence[str]) -> tuple[str, ...] | None:
    """The values as texts, one text a value; None while one of them is not there."""
    texts = []
    for name in names:
        head, _, member = name.partition(".")
        value = value_of(state, head)
        if member:
            value = value.get(member) if isinstance(value, dict) else None
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
