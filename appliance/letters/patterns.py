"""Patterns of texts: the part of regular expressions that Python's `re` runs in linear time on any text.

`re` backtracks, so that a careless pattern takes for ever on a hostile text. Kept is what leaves no choice: after every
repetition and at every alternative the next character alone says how to go on. A pattern is always compared with the
whole value. It holds characters, classes such as [A-Z0-9], the full stop, groups, `|`, and ? * + {n} {m,n} {m,}.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Final

LONGEST: Final = 256
"""Characters of a pattern."""
MOST_TIMES: Final = 1000
"""The largest number in braces."""
DEEPEST: Final = 16
"""Groups within groups."""

Ranges = tuple[tuple[int, int], ...]
"""Characters by code point, both ends included."""
_ANY: Ranges = ((0, 0x10FFFF),)
_SPECIAL: Final = frozenset("^$*+?{}[]()|")


class PatternRefused(ValueError):
    """The pattern is not in the subset. `reason` names why; `place` is the character's index in the pattern."""

    def __init__(self, reason: str, place: int) -> None:
        super().__init__(f"{reason} at character {place + 1}")
        self.reason = reason
        self.place = place


@dataclass(frozen=True)
class _Characters:
    among: Ranges


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Choice:
    options: tuple[_Node, ...]
    place: int


@dataclass(frozen=True)
class _Repeat:
    part: _Node
    least: int
    most: int | None
    place: int


_Node = _Characters | _Sequence | _Choice | _Repeat


def check_pattern(pattern: str) -> None:
    """Raises PatternRefused."""
    if len(pattern) > LONGEST:
        raise PatternRefused("too-long", LONGEST)
    reader = _Reader(pattern)
    node = reader.choice(0)
    if reader.at < len(pattern):
        raise PatternRefused("unopened", reader.at)
    _decided(node, ())


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        if self.at == len(self.pattern):
            raise PatternRefused("unfinished", self.at)
        self.at += 1
        return self.pattern[self.at - 1]

    def choice(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise PatternRefused("too-deep", self.at)
        place = self.at
        options = [self.sequence(depth)]
        while self.peek() == "|":
            self.take()
            options.append(self.sequence(depth))
        return options[0] if len(options) == 1 else _Choice(tuple(options), place)

    def sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.atom(depth)))
        return _Sequence(tuple(parts))

    def atom(self, depth: int) -> _Node:
        place = self.at
        character = self.take()
        if character == "(":
            if self.peek() == "?":
                self.take()
                if self.take() != ":":
                    raise PatternRefused("extension", place)
            node = self.choice(depth + 1)
            if self.at == len(self.pattern):
                raise PatternRefused("unfinished", place)
            self.take()
            return node
        if character == "[":
            return _Characters(self.characters())
        if character == ".":
            return _Characters(_ANY)
        if character == "\\":
            return _Characters(_one(self.escaped()))
        if character in _SPECIAL:
            raise PatternRefused("anchor" if character in "^$" else "special", place)
        return _Characters(_one(character))

    def escaped(self) -> str:
        character = self.take()
        if character not in string.punctuation:
            raise PatternRefused("escape", self.at - 2)
        return character

    def characters(self) -> Ranges:
        begin = self.at
        inverted = self.peek() == "^"
        if inverted:
            self.take()
        ranges: list[tuple[int, int]] = []
        while (character := self.take()) != "]" or not ranges:
            if character in "[]" or (character in "&|~-" and self.peek() == character):
                raise PatternRefused("special", self.at - 1)
            first = ord(self.escaped() if character == "\\" else character)
            last = first
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                end = self.take()
                if end in "[]":
                    raise PatternRefused("special", self.at - 1)
                last = ord(self.escaped() if end == "\\" else end)
                if last < first:
                    raise PatternRefused("backwards", begin)
            ranges.append((first, last))
        return _outside(ranges) if inverted else tuple(ranges)

    def repeated(self, node: _Node) -> _Node:
        place = self.at
        character = self.peek()
        if character == "" or character not in "?*+{":
            return node
        self.take()
        least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(character) or self.times()
        if self.peek() and self.peek() in "?*+{":
            raise PatternRefused("twice-repeated", self.at)
        return _Repeat(node, least, most, place)

    def times(self) -> tuple[int, int | None]:
        place = self.at
        end = self.pattern.find("}", place)
        low, comma, high = self.pattern[place : max(end, place)].partition(",")
        texts = (low, high) if high else (low,)
        if end < 0 or not all(text.isascii() and text.isdigit() and len(text) < 5 for text in texts):
            raise PatternRefused("braces", place)
        self.at = end + 1
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > MOST_TIMES or (most is not None and most < max(least, 1)):
            raise PatternRefused("braces", place)
        return least, most


def _one(character: str) -> Ranges:
    return ((ord(character), ord(character)),)


def _outside(ranges: list[tuple[int, int]]) -> Ranges:
    outside, begin = [], 0
    for first, last in sorted(ranges):
        if first > begin:
            outside.append((begin, first - 1))
        begin = max(begin, last + 1)
    return (*outside, (begin, 0x10FFFF)) if begin <= 0x10FFFF else tuple(outside)


def _apart(one: Ranges, other: Ranges) -> bool:
    return not any(a <= d and c <= b for a, b in one for c, d in other)


def _may_be_empty(node: _Node) -> bool:
    match node:
        case _Characters():
            return False
        case _Sequence(parts):
            return all(_may_be_empty(part) for part in parts)
        case _Choice(options):
            return any(_may_be_empty(option) for option in options)
        case _Repeat(part, least):
            return least == 0 or _may_be_empty(part)


def _begins(node: _Node) -> Ranges:
    match node:
        case _Characters(among):
            return among
        case _Sequence(parts):
            return _begins_all(parts, ())
        case _Choice(options):
            return reduce(lambda all_, option: all_ + _begins(option), options, ())
        case _Repeat(part):
            return _begins(part)


def _begins_all(parts: tuple[_Node, ...], after: Ranges) -> Ranges:
    for part in reversed(parts):
        after = _begins(part) + (after if _may_be_empty(part) else ())
    return after


def _decided(node: _Node, after: Ranges) -> None:
    """The next character always says how to go on. `after`: what may follow the node."""
    match node:
        case _Sequence(parts):
            for index, part in enumerate(parts):
                _decided(part, _begins_all(parts[index + 1 :], after))
        case _Choice(options, place):
            for one, other in combinations(options, 2):
                if not _differ(one, other, after):
                    raise PatternRefused("ambiguous-choice", place)
            for option in options:
                _decided(option, after)
        case _Repeat(part, least, most, place):
            begins = _begins(part)
            if _may_be_empty(part):
                raise PatternRefused("empty-repeated", place)
            if least != most and not _apart(begins, after):
                raise PatternRefused("ambiguous-repeat", place)
            _decided(part, after if most == 1 else begins + after)
        case _Characters():
            pass


def _differ(one: _Node, other: _Node, after: Ranges) -> bool:
    """No text begins as both: by the first character, or by a later one of two plain sequences."""
    texts = [node.parts for node in (one, other) if isinstance(node, _Sequence)]
    if len(texts) == 2 and all(isinstance(part, _Characters) for text in texts for part in text):
        return any(_apart(_begins(mine), _begins(theirs)) for mine, theirs in zip(*texts, strict=False))
    firsts = [_begins(node) + (after if _may_be_empty(node) else ()) for node in (one, other)]
    return not (_may_be_empty(one) and _may_be_empty(other)) and _apart(*firsts)


def example(pattern: str) -> str:
    """The shortest text of a sound pattern, to show people what is meant. Raises PatternRefused."""
    check_pattern(pattern)
    return _example(_Reader(pattern).choice(0))


def _example(node: _Node) -> str:
    match node:
        case _Characters(among):
            return chr(among[0][0]) if among != _ANY and among[0][0] > ord(" ") else "x"
        case _Sequence(parts):
            return "".join(map(_example, parts))
        case _Choice(options):
            return min(map(_example, options), key=len)
        case _Repeat(part, least):
            return _example(part) * least
