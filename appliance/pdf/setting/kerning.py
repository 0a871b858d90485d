"""How much nearer or farther two glyphs stand than their widths say: the pairs of GPOS that `kern` names.

OpenType specification 1.9, GPOS lookup type 2 (also behind extensions, type 9). Only the first glyph's advance is read.
"""

from __future__ import annotations

import struct
from typing import Final

from appliance.pdf.setting.opentype import Tables

_PAIRS, _EXTENSION, _ADVANCE = 2, 9, 4
_EACH, _CLASSES = 1, 2
_RECORD: Final = 6


class Kerning:
    """See the module."""

    def __init__(self, tables: Tables) -> None:
        self._data = tables.data
        table = tables.offset("GPOS")
        features, lookups = self._shorts(table + 6, 2)
        self._subtables: list[int] = []
        for number in self._lookups_of(table + features):
            lookup = table + lookups + self._short(table + lookups + 2 + 2 * number)
            kind, _, count = self._shorts(lookup, 3)
            for offset in self._shorts(lookup + 6, count):
                at, of_kind = lookup + offset, kind
                if kind == _EXTENSION:
                    of_kind = self._short(at + 2)
                    at += struct.unpack_from(">I", self._data, at + 4)[0]
                if of_kind == _PAIRS:
                    self._subtables.append(at)

    def between(self, first: int, second: int) -> int:
        """Thousandths of an em to add between two glyphs."""
        for at in self._subtables:
            covered = self._covered(at + self._short(at + 2), first)
            if covered is None:
                continue
            found = (self._of_pair if self._short(at) == _EACH else self._of_classes)(at, covered, first, second)
            if found is not None:
                return found
        return 0

    def _of_pair(self, at: int, covered: int, _first: int, second: int) -> int | None:
        size = self._record(at)
        pairs = at + self._short(at + 10 + 2 * covered)
        for entry in range(self._short(pairs)):
            record = pairs + 2 + (2 + size) * entry
            if self._short(record) == second:
                return self._value(at, record + 2)
        return None

    def _of_classes(self, at: int, _covered: int, first: int, second: int) -> int | None:
        size = self._record(at)
        one, other, _, others = self._shorts(at + 8, 4)
        row, column = self._class(at + one, first), self._class(at + other, second)
        return self._value(at, at + 16 + size * (row * others + column))

    def _record(self, at: int) -> int:
        return 2 * sum(form.bit_count() for form in self._shorts(at + 4, 2))

    def _value(self, at: int, record: int) -> int:
        form = self._short(at + 4)
        if not form & _ADVANCE:
            return 0
        before = (form & (_ADVANCE - 1)).bit_count()
        return int(struct.unpack_from(">h", self._data, record + 2 * before)[0])

    def _covered(self, at: int, glyph: int) -> int | None:
        form, count = self._shorts(at, 2)
        if form == _EACH:
            glyphs = self._shorts(at + 4, count)
            return glyphs.index(glyph) if glyph in glyphs else None
        for entry in range(count):
            first, last, index = self._shorts(at + 4 + _RECORD * entry, 3)
            if first <= glyph <= last:
                return index + glyph - first
        return None

    def _class(self, at: int, glyph: int) -> int:
        if self._short(at) == _EACH:
            first, count = self._shorts(at + 2, 2)
            return self._short(at + 6 + 2 * (glyph - first)) if first <= glyph < first + count else 0
        for entry in range(self._short(at + 2)):
            first, last, number = self._shorts(at + 4 + _RECORD * entry, 3)
            if first <= glyph <= last:
                return number
        return 0

    def _lookups_of(self, features: int) -> list[int]:
        found: set[int] = set()
        for entry in range(self._short(features)):
            at = features + 2 + 6 * entry
            if self._data[at : at + 4] == b"kern":
                feature = features + self._short(at + 4)
                found.update(self._shorts(feature + 4, self._short(feature + 2)))
        return sorted(found)

    def _short(self, at: int) -> int:
        return int(struct.unpack_from(">H", self._data, at)[0])

    def _shorts(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f">{count}H", self._data, at)
