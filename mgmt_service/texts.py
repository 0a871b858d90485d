"""Text from outside, made safe for eyes: characters that hide, reorder or control are shown by their number.

Jinja escapes for HTML; this is about what a reader sees. Set as the templates' `finalize`, so that no place can be
forgotten (control QUORUM: an officer approves what she reads).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

import msgspec
from markupsafe import Markup

_KEPT = "\n\t"
_SUSPECT = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_QUICK = re.compile(r"[^\x20-\x7e\n\t\u00a0-\u00ac\u00ae-\u02ff\u3000-\u3029\u4e00-\u9fff\uff01-\uff9f]")
_ODD_SPACES = frozenset(
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u2800\u3164"
)


@functools.lru_cache(4096)
def _shown(character: str) -> str:
    if character in _KEPT:
        return character
    if unicodedata.category(character) in _SUSPECT or character in _ODD_SPACES:
        return f"\u27e8U+{ord(character):04X}\u27e9"
    return character


def visible(text: str) -> str:
    """The text with every hidden character as ⟨U+XXXX⟩. Stacked combining marks are cut after four."""
    if not _QUICK.search(text):
        return text
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(_shown(character) if marks <= 4 else f"\u27e8U+{ord(character):04X}\u27e9")
    return "".join(shown)


def finalize(value: Any) -> Any:
    """What a template prints: text as `visible` shows it; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def pretty(document: bytes) -> str:
    """JSON indented for people; what is none, as hexadecimal digits."""
    try:
        return msgspec.json.format(document, indent=2).decode() if document else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return document.hex()
