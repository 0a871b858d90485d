"""Patterns over names: regular expressions so narrow that matching one is cheap, whatever name is tried.

A pattern covers the whole name. Of repetitions with a choice it has three at most, no count stands inside another, and
its groups give at most sixteen ways. The ways in which it could match a name of 253 characters, times what one of them
looks at, are counted and bounded: no backtracking lasts (under 50 ms for the worst that is taken), and what a pattern
permits can be read by the officers who approve it.
"""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass
from typing import Final

from appliance.errors import BadRequest

PATTERN_LIMIT: Final = 200
REPETITIONS: Final = 3
WAYS: Final = 16
STEPS: Final = 2_000_000
"""Ways, times characters that one of them looks at."""
NAME_LIMIT: Final = 253
"""Longest name, in characters."""
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + " _-,:;@/'&=#%~!\"<>")
_CLASS: Final = re.compile(r"\[\^?(?:[A-Za-z0-9 _.,:;@/-]|\\[.\-dw])+\]")
_ESCAPE: Final = re.compile(r"\\(?:[.\-+*?()\[\]{}|^$\\/]|d|w)")
_COUNT: Final = re.compile(r"\{([0-9]{1,2})(?:(,)([0-9]{1,2})?)?\}")


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
        return len(name) <= NAME_LIMIT and self._expression.fullmatch(name) is not None


@dataclass(frozen=True)
class _Part:
    """What matching a part of a pattern can cost."""

    ways: int
    """In how many ways it can match some name."""
    length: int
    """Characters that one way looks at, but for those that a repetition shares with the way before it."""
    alternatives: int = 1
    repetitions: int = 0
    """Those with a choice."""
    counted: bool = False
    """Whether anything in it is repeated, with a choice or without."""


_NOTHING: Final = _Part(1, 0)


class _Reader:
    """Reads a pattern from its beginning to its end; nothing that is not written here is taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def whole(self) -> _Part:
        found = self._sequence()
        if self._place < len(self._text):
            raise self._refusal()
        return found

    def _sequence(self) -> _Part:
        """Parts one after the other, up to the end, `|` or `)`."""
        begun, found = self._place, _NOTHING
        while self._place < len(self._text) and self._text[self._place] not in "|)":
            found = _both(found, self._repeated(self._single()))
        if self._place == begun:
            raise PatternRefused("a group, an alternative or the whole of the pattern is empty")
        return found

    def _single(self) -> _Part:
        text, place = self._text, self._place
        known = _CLASS.match(text, place) or _ESCAPE.match(text, place)
        if known is not None:
            self._place = known.end()
        elif text[place] in _PLAIN:
            self._place += 1
        elif text.startswith("(?:", place):
            return self._group(3)
        elif text[place] == "(" and not text.startswith("(?", place):
            return self._group(1)
        else:
            raise self._refusal()
        return _Part(1, 1)

    def _group(self, opening: int) -> _Part:
        self._place += opening
        found = [self._sequence()]
        while self._text.startswith("|", self._place):
            self._place += 1
            found.append(self._sequence())
        if not self._text.startswith(")", self._place):
            raise PatternRefused("a group of the pattern is not closed")
        self._place += 1
        inside = math.prod(one.alternatives for one in found)
        return _Part(
            ways=sum(one.ways for one in found),
            length=sum(one.length for one in found) + 1,
            alternatives=len(found) * inside,
            repetitions=sum(one.repetitions for one in found),
            counted=any(one.counted for one in found),
        )

    def _repeated(self, part: _Part) -> _Part:
        """The part with the count that follows it, if one does."""
        text, place = self._text, self._place
        count = _COUNT.match(text, place)
        if count is None and not (place < len(text) and text[place] in "*+?"):
            return part
        if part.counted or part.alternatives > 1:
            raise PatternRefused("a repetition of what is repeated, or has alternatives, is not taken")
        if count is None:
            self._place += 1
            ways = 2 if text[place] == "?" else NAME_LIMIT + 1
            return _Part(ways, part.length, repetitions=1, counted=True)
        self._place = count.end()
        least = int(count[1])
        most = least if count[2] is None else NAME_LIMIT if count[3] is None else int(count[3])
        if most == 0 or most < least:
            raise PatternRefused("a count of the pattern is 0, or ends before it begins")
        return _Part(most - least + 1, part.length * max(least, 1), repetitions=int(most > least), counted=True)

    def _refusal(self) -> PatternRefused:
        return PatternRefused(
            f"character {self._place + 1} of the pattern, {self._text[self._place]!r}, is not taken there"
        )


def _both(one: _Part, following: _Part) -> _Part:
    return _Part(
        ways=one.ways * following.ways,
        length=one.length + following.length,
        alternatives=one.alternatives * following.alternatives,
        repetitions=one.repetitions + following.repetitions,
        counted=one.counted or following.counted,
    )


def _check(text: str) -> None:
    if not 0 < len(text) <= PATTERN_LIMIT:
        raise PatternRefused(f"a pattern has 1 to {PATTERN_LIMIT} characters")
    found = _Reader(text).whole()
    if found.repetitions > REPETITIONS or found.alternatives > WAYS:
        raise PatternRefused(f"a pattern has at most {REPETITIONS} repetitions, and groups with {WAYS} ways")
    if found.ways * found.length > STEPS:
        raise PatternRefused("matching it could take too many steps: say how often something may come, as in {1,20}")
