"""Where a line of Chinese and English ends: as many characters as fit, and none where it may not stand.

Of Unicode UAX #14 this keeps what letters meet: between Chinese characters, after spaces and hyphens, never before what
closes and never after what opens.
"""

from __future__ import annotations

import re
from typing import Final

from appliance.pdf.setting.errors import BeyondSetter
from appliance.pdf.setting.face import CLOSING, EM, HALF, OPENING, Face

_LONG: Final = re.compile("[!-~]{45,}")
_PART: Final = re.compile("[!-~]{16}(?=[!-~])")
BREAK: Final = "\u200b"
_WIDE: Final = "\u2e80"
_NOT_FIRST: Final = CLOSING | frozenset("％‰°…—～·ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ!%),.:;?]}\u00a0")
_NOT_LAST: Final = OPENING | frozenset("([{$£¥￥€#\u00a0")
_AFTER: Final = frozenset("-–/|")


def breakable(text: str) -> str:
    """The text with places to break, every sixteen characters, in words that may be longer than a column."""
    return _LONG.sub(lambda found: _PART.sub(lambda part: part[0] + BREAK, found[0]), text)


def broken(text: str, face: Face, limit: float) -> list[str]:
    """The lines of a text that may be `limit` thousandths of an em wide. Raises BeyondSetter."""
    if not text:
        return []
    lines: list[str] = []
    for part in text.split("\n"):
        if not part.strip():
            raise BeyondSetter("a text has an empty line")
        if face.show(part).width <= limit:
            lines.append(part)
        else:
            lines += _filled(part, face, limit)
    return lines


def _filled(text: str, face: Face, limit: float) -> list[str]:
    text, extra = _unmarked(breakable(text))
    widths, pairs = face.widths, face.pairs
    lines: list[str] = []
    start = at = stop = 0
    width = 0.0
    while at < len(text):
        character = text[at]
        if at > start:
            if at in extra or _may_break(text[at - 1], character):
                stop = at
            width += pairs[text[at - 1 : at + 1]]
        elif face.begins_blank(character):
            width = -HALF
        width += widths[character]
        blank = HALF if character in CLOSING and widths[character] == EM else 0
        if width - blank > limit and character != " ":
            if stop <= start:
                raise BeyondSetter("a word is wider than its column")
            lines.append(text[start:stop].rstrip(" "))
            start = at = stop
            width = 0.0
            continue
        at += 1
    lines.append(text[start:])
    return lines


def _unmarked(text: str) -> tuple[str, set[int]]:
    """The text without the marks of `breakable`, and where they stood."""
    places, at = set(), 0
    *parts, last = text.split(BREAK)
    for part in parts:
        at += len(part)
        places.add(at)
    return "".join((*parts, last)), places


def _may_break(before: str, after: str) -> bool:
    if after == " ":
        return False
    if before == " ":
        return True
    if after in _NOT_FIRST or before in _NOT_LAST:
        return False
    return before >= _WIDE or after >= _WIDE or (before in _AFTER and after.isalpha())
