"""Fonts in the Compact Font Format (Adobe technical note 5176): read one with many dictionaries, write a part of it.

In what is written a glyph's CID is the code point of its character, so the text on a page is UTF-16 as it stands, and
so is its mapping to Unicode.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from sys import byteorder
from typing import Final

from appliance.pdf.setting.charstrings import flattened
from appliance.pdf.setting.opentype import Data

_CHARSET, _CHARSTRINGS, _PRIVATE, _SUBROUTINES = 15, 17, 18, 19
_ROS, _COUNT, _FONTS, _SELECT = 0x0C1E, 0x0C22, 0x0C24, 0x0C25
_ADOBE_SID: Final = 391
"""Of the first string that is a font's own."""


class Index:
    """An INDEX in a font."""

    def __init__(self, data: Data, at: int) -> None:
        self._data = data
        self._count = int.from_bytes(data[at : at + 2], "big")
        self._offsets = at + 3
        self._size = data[at + 2] if self._count else 1
        self._base = self._offsets + self._size * (self._count + 1) - 1
        self.end = self._base + self._offset(self._count) if self._count else at + 2

    def _offset(self, number: int) -> int:
        at = self._offsets + self._size * number
        return int.from_bytes(self._data[at : at + self._size], "big")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> bytes:
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._data[self._base + self._offset(number) : self._base + self._offset(number + 1)]


class Outlines:
    """The glyphs of a CID-keyed font whose table `CFF ` begins at `at`."""

    def __init__(self, data: Data, at: int) -> None:
        top = Index(data, Index(data, at + data[at + 2]).end)
        self._shared = Index(data, Index(data, top.end).end)
        told = read_dictionary(top[0])
        self._glyphs = Index(data, at + told[_CHARSTRINGS][0])
        self._firsts, self._dictionaries = _selected(data, at + told[_SELECT][0])
        self.privates: list[bytes] = []
        self._own: list[Index | None] = []
        fonts = Index(data, at + told[_FONTS][0])
        for number in range(len(fonts)):
            size, offset = read_dictionary(fonts[number])[_PRIVATE]
            private = data[at + offset : at + offset + size]
            own = read_dictionary(private).get(_SUBROUTINES)
            self._own.append(Index(data, at + offset + own[0]) if own else None)
            self.privates.append(_without_subroutines(private))

    def __getitem__(self, glyph: int) -> tuple[bytes, int]:
        """A glyph's outline without subroutines, and the number of its private dictionary."""
        dictionary = self._dictionaries[bisect_right(self._firsts, glyph) - 1]
        return flattened(self._glyphs[glyph], self._own[dictionary], self._shared), dictionary


def subset(name: str, privates: Sequence[bytes], glyphs: Mapping[int, tuple[bytes, int]]) -> bytes:
    """A font of these glyphs, by CID in ascending order from 0, which is the glyph of what is not there."""
    head = b"\x01\x00\x04\x04" + _index([name.encode()])
    strings = _index([b"Adobe", b"Identity"]) + b"\0\0"
    size = len(head) + len(_index([_top(0, 0, 0, 0)])) + len(strings)
    blocks, places = b"", []
    for private in privates:
        places.append((len(private), size + len(blocks)))
        blocks += private
    fonts = _index([_operand(length) + _operand(place) + _operator(_PRIVATE) for length, place in places])
    charset = b"\0" + _big_endian(array("H", list(glyphs)[1:]))
    select = b"\0" + bytes(dictionary for _, dictionary in glyphs.values())
    at_fonts = size + len(blocks)
    at_charset = at_fonts + len(fonts)
    at_select = at_charset + len(charset)
    top = _top(at_fonts, at_charset, at_select, at_select + len(select))
    outlines = _index([outline for outline, _ in glyphs.values()])
    return b"".join((head, _index([top]), strings, blocks, fonts, charset, select, outlines))


def read_dictionary(data: bytes) -> dict[int, list[int]]:
    """The operators of a DICT with their whole operands; of an operator of two bytes 12 is the higher. Real numbers
    are read as 0."""
    found: dict[int, list[int]] = {}
    operands: list[int] = []
    at = 0
    while at < len(data):
        first = data[at]
        if first <= 21:
            at += 1
            if first == 12:
                first = 0x0C00 | data[at]
                at += 1
            found[first] = operands
            operands = []
            continue
        value, at = _dictionary_number(data, at)
        operands.append(value)
    return found


def _dictionary_number(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first == 28:
        return int.from_bytes(data[at + 1 : at + 3], "big", signed=True), at + 3
    if first == 29:
        return int.from_bytes(data[at + 1 : at + 5], "big", signed=True), at + 5
    if first == 30:
        at += 1
        while data[at] & 0x0F != 0x0F:
            at += 1
        return 0, at + 1
    if first < 247:
        return first - 139, at + 1
    if first < 251:
        return (first - 247) * 256 + data[at + 1] + 108, at + 2
    return -(first - 251) * 256 - data[at + 1] - 108, at + 2


def _without_subroutines(private: bytes) -> bytes:
    """Their offset is the last that the dictionary tells, or is not told."""
    at, start = 0, 0
    while at < len(private):
        if private[at] <= 21:
            if private[at] == _SUBROUTINES:
                return private[:start] + private[at + 1 :]
            at += 2 if private[at] == 12 else 1
            start = at
        else:
            _, at = _dictionary_number(private, at)
    return private


def _selected(data: Data, at: int) -> tuple[list[int], bytes]:
    """FDSelect: the first glyph of each range, and the dictionary of each."""
    if data[at] != 3:
        raise ValueError("the font's dictionaries are not told by ranges")
    (count,) = struct.unpack_from(">H", data, at + 1)
    ranges = list(struct.iter_unpack(">HB", data[at + 3 : at + 3 + 3 * count]))
    return [first for first, _ in ranges], bytes(dictionary for _, dictionary in ranges)


def _top(fonts: int, charset: int, select: int, outlines: int) -> bytes:
    return (
        _operand(_ADOBE_SID) + _operand(_ADOBE_SID + 1) + _operand(0) + _operator(_ROS)
        + _operand(0x10000) + _operator(_COUNT)
        + _operand(charset) + _operator(_CHARSET)
        + _operand(select) + _operator(_SELECT)
        + _operand(outlines) + _operator(_CHARSTRINGS)
        + _operand(fonts) + _operator(_FONTS)
    )  # fmt: skip


def _operand(number: int) -> bytes:
    """Always of five bytes, so that offsets can be told before they are known."""
    return b"\x1d" + number.to_bytes(4, "big", signed=True)


def _operator(number: int) -> bytes:
    return number.to_bytes(2 if number > 0xFF else 1, "big")


def _index(members: Iterable[bytes]) -> bytes:
    members = list(members)
    offsets = array("I", accumulate(map(len, members), initial=1))
    return len(members).to_bytes(2, "big") + b"\x04" + _big_endian(offsets) + b"".join(members)


def _big_endian(numbers: array[int]) -> bytes:
    if byteorder == "little":
        numbers.byteswap()
    return numbers.tobytes()
