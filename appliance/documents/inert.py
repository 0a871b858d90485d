"""Text that people will read: what could hide or reorder it is made visible.

Control characters, the marks and isolates of bidirectional text (Unicode UAX #9), invisible operators, tags and
surrogates would change what a reader sees without being seen. Each is set as its number, [U+202E]. What else is in a
text stays as it is; a character that the fonts lack is set as a box.
"""

from __future__ import annotations

import re
from typing import Final

from appliance.pdf.setting.lines import breakable

_HIDDEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """The text with each hidden character as its number. Line feeds stay."""
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def inert(value: object, *, breaking: bool = False) -> object:
    """All strings in a value that came from JSON made visible, the names of members too; and `breakable`."""
    if isinstance(value, str):
        return breakable(visible(value)) if breaking else visible(value)
    if isinstance(value, dict):
        return {visible(name): inert(member, breaking=breaking) for name, member in value.items()}
    if isinstance(value, list):
        return [inert(member, breaking=breaking) for member in value]
    return value
