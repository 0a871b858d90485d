"""Every kind that ships, each with one thing changed: what must be told of a kind is told of each of these."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from appliance.letters.kind import Kind, read_kind
from appliance.letters.shipped import shipped
from firmware_tests.letters import sound_kind

_NAMED = {"fields", "states", "events", "data", "columns", "choices", "unique", "quotas", "acts_for", "same"}
"""Members whose own members are named by whoever writes the file."""
_ENOUGH = 8
"""How often one member of the schema is changed, over all kinds."""


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every member and item of the file, down to the last."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in below:
        yield (*path, name)
        yield from _places(one, (*path, name))


def _changes(whole: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """The file without this member, and with another value there."""
    gone = copy.deepcopy(whole)
    del _holder(gone, path)[path[-1]]
    yield gone
    match _holder(whole, path)[path[-1]]:
        case bool(flag):
            others: list[Any] = [not flag]
        case int(number):
            others = [number + 1]
        case "P1Y":
            others = ["P2Y"]
        case "+08:00":
            others = ["+09:00"]
        case str(text):
            others = [text + "x", text + "0"]
        case _:
            others = []
    for other in others:
        changed = copy.deepcopy(whole)
        _holder(changed, path)[path[-1]] = other
        yield changed


def _holder(whole: Any, path: tuple[str | int, ...]) -> Any:
    for name in path[:-1]:
        whole = whole[name]
    return whole


def _member(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Which member of the schema it is, whatever it is called here."""
    above = ("", *path)
    return tuple("*" if isinstance(one, int) or above[place] in _NAMED else one for place, one in enumerate(path))


def changed_kinds() -> Iterator[tuple[tuple[str | int, ...], Kind, Kind]]:
    """Which member, the kind as it is, and the kind without that member or with another value there: every member of
    the schema that a kind has, a few times. Not all of them are sound."""
    often: Counter[tuple[str, ...]] = Counter()
    for text in ({"sound": sound_kind.TEXT.encode()} | shipped()).values():
        kind = read_kind(text).kind
        plain = msgspec.to_builtins(kind)
        for path in _places(plain):
            if often[_member(path)] >= _ENOUGH:
                continue
            for changed in _changes(plain, path):
                try:
                    other = msgspec.convert(changed, Kind)
                except msgspec.ValidationError:
                    continue
                if other != kind:
                    often[_member(path)] += 1
                    yield path, kind, other
    assert len(often) > 100
