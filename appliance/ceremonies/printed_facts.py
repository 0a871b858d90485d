"""What a step left behind, as lines of the printed transcript: each fact with its label in both languages. Pure.

Nothing is left out, and numbers and digests stand as the record has them: who checks the paper against the record finds
the same characters. Times are UTC to the microsecond, also where the record counts microseconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from appliance.ceremonies.explain_texts import Pair
from appliance.ceremonies.outcome_texts import EMPTY, LABELS, LIMITS, MICROSECONDS, VALUES, WORDS
from appliance.quoting import escape

_BETWEEN: Final = "  "
_LONG: Final = 30
"""Longer values of a list, in characters, stand on lines of their own."""
_NAMED_BY: Final = ("name", "person", "label")
"""Members by which one of a list of things is called."""


def told(facts: Mapping[str, Any]) -> list[list[Any]]:
    """Lines of label, value and depth (0: the step's own; deeper: parts of the line above), fit for people."""
    return [[label, value, depth] for label, value, depth in _lines(facts, 0)]


def _lines(facts: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str, int]]:
    for name, value in sorted(facts.items(), key=lambda one: (_has_parts(one[1]), one[0])):
        label = _both(LABELS[name]) if name in LABELS else escape(name)
        if isinstance(value, Mapping) and value:
            yield label, "", depth
            yield from _lines(value, depth + 1)
        elif isinstance(value, list) and _has_parts(value):
            yield label, "", depth
            for number, one in enumerate(value, 1):
                yield from _item(number, one, depth + 1)
        elif isinstance(value, list):
            each = [_value(name, one) for one in value]
            said = ("\n" if any(len(one) > _LONG for one in each) else ", ").join(each)
            yield label, said or _both(EMPTY.get(name, WORDS["none"])), depth
        else:
            yield label, _value(name, value), depth


def _item(number: int, one: object, depth: int) -> Iterator[tuple[str, str, int]]:
    """One of a list of things: called by its name, or by who holds it, else by its number."""
    if not isinstance(one, Mapping):
        yield str(number), _value("", one), depth
        return
    called = next((name for name in _NAMED_BY if isinstance(one.get(name), str)), None)
    yield (str(number) if called is None else escape(one[called])), "", depth
    yield from _lines({name: value for name, value in one.items() if name != called}, depth + 1)


def _has_parts(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(one, Mapping) for one in value)


def _value(name: str, value: object) -> str:
    match value:
        case None:
            return _both(WORDS["no limit" if name in LIMITS else "no end set" if name == "until" else "none"])
        case int() if name in MICROSECONDS and not isinstance(value, bool):
            return utc_text(value)
        case bool():
            return _both(WORDS["yes" if value else "no"])
        case str() if (name, value) in VALUES:
            return _both(VALUES[name, value])
        case str():
            return escape(value, longest=None) or _both(WORDS["none"])
        case Mapping():
            return _both(WORDS["none"])
    return escape(str(value), longest=None)


def utc_text(microseconds: int) -> str:
    """A time (microseconds since the epoch) as people read it: RFC 3339, with a fraction where it has one."""
    try:
        at = datetime.datetime.fromtimestamp(microseconds // 1_000_000, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return str(microseconds)  # no time that a calendar has
    fraction = f".{microseconds % 1_000_000:06}" if microseconds % 1_000_000 else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _both(pair: Pair) -> str:
    return pair[0] if pair[0] == pair[1] else _BETWEEN.join(pair)
