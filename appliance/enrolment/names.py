"""Patterns over names: regular expressions so narrow that matching one is cheap, whatever name is tried.

A pattern covers the whole name. Of repetitions with a choice it has three at most, none inside another, and its groups
give at most sixteen ways; so the number of ways to match a name of 253 characters is bounded (no backtracking without
end), and what a pattern permits can be read by the officers who approve it.
"""

from __future__ import annotations

import re
import string
from typing import Final

from appliance.errors import BadRequest

PATTERN_LIMIT: Final = 200
REPETITIONS: Final = 3
WAYS: Final = 16
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + " _-,:;@/'&=#%~!\"<>")
_CLASS: Final = re.compile(r"\[\^?(?:[A-Za-z0-9 _.,:;@/-]|\\[.\-dw])+\]")
_ESCAPE: Final = re.compile(r"\\(?:[.\-+*?()\[\]{}|^$\\/]|d|w)")
_COUNT: Final = re.compile(r"\{(\d{1,2})(?:(,)(\d{1,2})?)?\}")


class PatternRefused(BadRequest):
    """A pattern over names that is not one of the narrow kind."""

    code = "pattern-refused"
    title = "The pattern over names is not taken"


class NamePattern:
    """A checked pattern. Raises PatternRefused."""

    def __init__(self, text: str) -> None:
        body = text.removeprefix("^")
        if body.endswith("$") and not body.endswith("\\$"):
            body = body[:-1]
        _check(body)
        try:
            self._expression = re.compile(body, re.ASCII)
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternRefused(f"the pattern cannot be read: {error}") from None

    def matches(self, name: str) -> bool:
        """Whether the whole name is permitted."""
        return len(name) <= 253 and self._expression.fullmatch(name) is not None


def _check(text: str) -> None:
    if not 0 < len(text) <= PATTERN_LIMIT:
        raise PatternRefused(f"a pattern has 1 to {PATTERN_LIMIT} characters")
    place, repetitions, ways = 0, 0, 1
    groups: list[list[int]] = []  # of each open group: where it began, its alternatives
    repeatable, repeats_inside = False, False
    while place < len(text):
        character = text[place]
        one = _CLASS.match(text, place) or _ESCAPE.match(text, place)
        if one is not None:
            place, repeatable, repeats_inside = one.end(), True, False
        elif character in _PLAIN:
            place, repeatable, repeats_inside = place + 1, True, False
        elif text.startswith("(?:", place) or (character == "(" and not text.startswith("(?", place)):
            groups.append([repetitions, 1])
            place, repeatable = place + (3 if text.startswith("(?:", place) else 1), False
        elif character == "|" and groups:
            groups[-1][1] += 1
            place, repeatable = place + 1, False
        elif character == ")" and groups:
            before, alternatives = groups.pop()
            ways *= alternatives
            repeats_inside = repetitions > before or alternatives > 1
            place, repeatable = place + 1, True
        elif repeatable and (character in "*+?" or _COUNT.match(text, place)):
            if repeats_inside:
                raise PatternRefused("a repetition of what repeats, or has alternatives, is not taken")
            count = _COUNT.match(text, place)
            place = place + 1 if count is None else count.end()
            repetitions += 0 if count is not None and count[2] is None else 1
            repeatable = False
        else:
            raise PatternRefused(f"character {place + 1} of the pattern, {character!r}, is not taken there")
    if groups:
        raise PatternRefused("a group of the pattern is not closed")
    if repetitions > REPETITIONS or ways > WAYS:
        raise PatternRefused(f"a pattern has at most {REPETITIONS} repetitions, and groups with {WAYS} ways")
