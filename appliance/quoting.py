"""How text that others wrote stands in reports and pages: characters that can mislead are shown as code points."""

from __future__ import annotations

import unicodedata

LONGEST = 200
"""Characters of a quoted string that are shown; what follows is counted, not shown."""

# Letters and marks that draw nothing, though their category says that they do (Unicode Default_Ignorable_Code_Point
# and blank letters).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(point) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for point in range(first, last + 1)
}
_MARKS_IN_A_ROW = 2


def quote(text: str, longest: int | None = LONGEST) -> str:
    """The text in “quotation marks”, with control, format, bidi, surrogate, private, unassigned and blank characters,
    the quotes themselves, and every further mark after two on one letter, as ⟨U+XXXX⟩. At most
    `longest` characters; None: all of them.
    """
    return "“" + escape(text, longest) + "”"


def escape(text: str, longest: int | None = LONGEST) -> str:
    """What `quote` does, without the quotes."""
    shown: list[str] = []
    marks = 0
    for character in text[:longest]:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if _misleads(character, category) or marks > _MARKS_IN_A_ROW:
            shown.append(f"⟨U+{ord(character):04X}⟩")
        else:
            shown.append(character)
    if longest is not None and len(text) > longest:
        shown.append(f"… ({len(text) - longest} more characters)")
    return "".join(shown)


def _misleads(character: str, category: str) -> bool:
    if character in "“”⟨⟩" or character in _BLANK:
        return True
    return category[0] == "C" or (category[0] == "Z" and character != " ")
