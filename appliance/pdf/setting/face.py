"""A face as the setter uses it: how wide text is, how it is shown, and the part of the font that goes into a PDF.

What is found out about a character is kept for the life of the worker; the font has 65,535 glyphs at most, and what is
kept of pairs and of short texts is dropped when it is much.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from operator import add
from typing import Final, NamedTuple

from appliance.pdf.setting.cff import Outlines, subset
from appliance.pdf.setting.errors import BeyondSetter
from appliance.pdf.setting.kerning import Kerning
from appliance.pdf.setting.opentype import Data, Tables

EM: Final = 1_000
"""Units of a face."""
QUARTER: Final = 250
"""What stands between Chinese and Latin."""
HALF: Final = 500
OPENING: Final = frozenset("（〔［｛〈《「『【〖“‘")
CLOSING: Final = frozenset("、，。：；！？）〕］｝〉》」』】〗”’")
"""Characters that are blank on the one or the other side of their em."""
_QUOTES: Final = frozenset("“‘")
_LATIN_ENDS: Final = 0x0530
_SCRIPTS_END: Final = 0x2E80
_MOST_KEPT: Final = 20_000
_LONGEST_KEPT: Final = 64
_SET: Final = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"))
_SYMBOLS: Final = frozenset(("Sm", "Sc", "Sk", "So"))
_FROM_THE_RIGHT: Final = frozenset(("R", "AL", "AN"))
_FILLERS: Final = frozenset("\u3164\uffa0\ufffc\ufffd")
_SPACES: Final = frozenset(" \u00a0\u3000")
_JAMO: Final = (range(0x1100, 0x1200), range(0xA960, 0xA980), range(0xD7B0, 0xD800))


class Shown(NamedTuple):
    """Text as a page's content shows it."""

    operator: bytes
    width: int
    """Thousandths of an em, without what is blank of punctuation at its ends. Text begins with its ink."""


class Face:
    """See the module. `data`: an OpenType collection."""

    def __init__(self, data: Data, family: str) -> None:
        self.tables = Tables(data, family)
        self._outlines = Outlines(data, self.tables.offset("CFF "))
        self.widths = _Widths(self.tables)
        self.pairs = _Pairs(self.tables, self.widths)
        self._glyphs: dict[int, tuple[bytes, int]] = {0: self._outlines[0]}
        self._shown: dict[str, Shown] = {}

    def show(self, text: str) -> Shown:
        """Raises BeyondSetter on a character that it does not set."""
        shown = self._shown.get(text)
        if shown is None:
            shown = self._show(text)
            if len(text) <= _LONGEST_KEPT:
                if len(self._shown) > _MOST_KEPT:
                    self._shown.clear()
                self._shown[text] = shown
        return shown

    def _show(self, text: str) -> Shown:
        apart = list(map(self.pairs.__getitem__, map(add, text, text[1:])))
        left = HALF if self.begins_blank(text) else 0
        right = HALF if self.ends_blank(text) else 0
        width = sum(map(self.widths.__getitem__, text)) + sum(apart) - left - right
        codes = text.encode("utf-16-be").hex()
        if not left and not any(apart):
            return Shown(b"<%b>Tj" % codes.encode(), width)
        parts, start = [], 0
        for at, distance in enumerate(apart, start=1):
            if distance:
                parts.append(f"{codes[start * 4 : at * 4]}>{-distance}<")
                start = at
        return Shown(f"[{left or ''}<{''.join(parts)}{codes[start * 4 :]}>]TJ".encode(), width)

    def begins_blank(self, text: str) -> bool:
        """Whether the first character's left half is blank."""
        return text[:1] in OPENING and text[0] not in _QUOTES and self.widths[text[0]] == EM

    def ends_blank(self, text: str) -> bool:
        """Whether the last character's right half is blank."""
        return text[-1:] in CLOSING and self.widths[text[-1]] == EM

    def part(self, characters: Iterable[str]) -> Part:
        """The font of these characters."""
        codes = sorted(set(map(ord, characters)))
        for code in codes:
            if code not in self._glyphs:
                self._glyphs[code] = self._outlines[self.tables.glyph(code)]
        tag = hashlib.sha256(str(codes).encode()).digest()[:6]
        name = bytes(65 + byte % 26 for byte in tag).decode() + "+" + self.tables.postscript_name
        glyphs = {code: self._glyphs[code] for code in (0, *codes)}
        widths = b"".join(b"%d[%d]" % (code, width) for code in codes if (width := self.widths[chr(code)]) != EM)
        return Part(name, subset(name, self._outlines.privates, glyphs), widths)


class Part(NamedTuple):
    """What of a face goes into a PDF."""

    name: str
    font: bytes
    """CFF, as it is: to pack it takes a quarter of a letter's time and saves a sixth of its size."""
    widths: bytes
    """Members of the array /W; what it does not name is one em wide."""


class _Widths(dict[str, int]):
    """Of characters. Raises BeyondSetter."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __missing__(self, character: str) -> int:
        code = ord(character)
        glyph = self._tables.glyph(code) if code <= 0xFFFF and _is_set(character) else 0
        if not glyph:
            raise BeyondSetter(f"U+{code:04X} is not set here")
        width = self[character] = self._tables.advance(glyph)
        return width


class _Pairs(dict[str, int]):
    """What is added between two characters that follow each other."""

    def __init__(self, tables: Tables, widths: _Widths) -> None:
        self._tables, self._widths = tables, widths
        self._kerning = Kerning(tables)

    def __missing__(self, pair: str) -> int:
        if len(self) > _MOST_KEPT:
            self.clear()
        one, other = pair[0], pair[1]
        found = 0
        if max(pair) < chr(_SCRIPTS_END):
            found = self._kerning.between(self._tables.glyph(ord(one)), self._tables.glyph(ord(other)))
        elif (is_chinese(one) and _is_latin(other)) or (_is_latin(one) and is_chinese(other)):
            found = QUARTER
        elif self._widths[one] == self._widths[other] == EM:
            blank = one in CLOSING and (other in CLOSING or other in OPENING)
            found = -HALF if blank or (one in OPENING and other in OPENING) else 0
        self[pair] = found
        return found


def is_chinese(character: str) -> bool:
    """Whether it is a character of Chinese or Japanese: not punctuation."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"


def _is_latin(character: str) -> bool:
    return ord(character) < _LATIN_ENDS and character.isalnum()


def _is_set(character: str) -> bool:
    """Whether a character stands for itself: from the left, joined with none, of a kind that is seen."""
    kind = unicodedata.category(character)
    return (
        (kind in _SET or kind in _SYMBOLS or character in _SPACES)
        and character not in _FILLERS
        and unicodedata.bidirectional(character) not in _FROM_THE_RIGHT
        and not any(ord(character) in some for some in _JAMO)
    )
