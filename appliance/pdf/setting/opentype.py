"""One face of an OpenType collection: where its tables are, and what a character's glyph is.

Offsets and counts are those of the OpenType specification 1.9 (otff, cmap, hmtx, name). The file is the box's own font,
so what is wrong in it is an error and not an attack: struct.error, IndexError and LookupError leave here.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import Final, TypeAlias

Data: TypeAlias = bytes | mmap
_FAMILY, _POSTSCRIPT, _WINDOWS = 1, 6, 3
_UCS4: Final = {(0, 4), (3, 10)}


class Tables:
    """The tables of the face of one family. Raises LookupError where the collection has no such face."""

    def __init__(self, data: Data, family: str) -> None:
        self.data = data
        (count,) = struct.unpack_from(">I", data, 8)
        for face in struct.unpack_from(f">{count}I", data, 12) if data[:4] == b"ttcf" else (0,):
            self._at = self._directory(face)
            self.names = self._names()
            if self.names.get(_FAMILY) == family:
                break
        else:
            raise LookupError(f"the font has no face {family}")
        self.postscript_name = self.names[_POSTSCRIPT]
        self.revision = struct.unpack_from(">I", data, self.offset("head") + 4)[0] / 65536
        self.box: tuple[int, ...] = struct.unpack_from(">4h", data, self.offset("head") + 36)
        (self._widths_given,) = struct.unpack_from(">H", data, self.offset("hhea") + 34)
        self._groups = self._ucs4()

    def offset(self, tag: str) -> int:
        """Where a table begins in the file."""
        return self._at[tag]

    def glyph(self, code: int) -> int:
        """The number of a character's glyph, 0 where there is none: cmap, format 12."""
        at, count = self._groups
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            first, last, glyph = struct.unpack_from(">III", self.data, at + 12 * middle)
            if code < first:
                high = middle
            elif code > last:
                low = middle + 1
            else:
                return int(glyph) + code - int(first)
        return 0

    def advance(self, glyph: int) -> int:
        """A glyph's width in thousandths of an em: these fonts have 1,000 units."""
        at = self.offset("hmtx") + 4 * min(glyph, self._widths_given - 1)
        return int(struct.unpack_from(">H", self.data, at)[0])

    def _directory(self, face: int) -> dict[str, int]:
        (count,) = struct.unpack_from(">H", self.data, face + 4)
        entries = (struct.unpack_from(">4sIII", self.data, face + 12 + 16 * entry) for entry in range(count))
        return {tag.decode("latin-1"): offset for tag, _, offset, _ in entries}

    def _names(self) -> dict[int, str]:
        table = self.offset("name")
        count, texts = struct.unpack_from(">HH", self.data, table + 2)
        found: dict[int, str] = {}
        for entry in range(count):
            platform, _, _, name, length, at = struct.unpack_from(">6H", self.data, table + 6 + 12 * entry)
            if platform == _WINDOWS:
                start = table + texts + at
                found.setdefault(name, self.data[start : start + length].decode("utf-16-be"))
        return found

    def _ucs4(self) -> tuple[int, int]:
        table = self.offset("cmap")
        (count,) = struct.unpack_from(">H", self.data, table + 2)
        for entry in range(count):
            platform, encoding, offset = struct.unpack_from(">HHI", self.data, table + 4 + 8 * entry)
            if (platform, encoding) in _UCS4:
                (groups,) = struct.unpack_from(">I", self.data, table + offset + 12)
                return table + offset + 16, groups
        raise LookupError("the font has no table of all characters")
