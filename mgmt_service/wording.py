"""What is wrong with a field, in the reader's words: msgspec says it in its own, in English, for programs."""

from __future__ import annotations

import re
from typing import Any, Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _

_HINTS: Final[dict[str, Any]] = {
    r"\A[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z": _("Lower-case letters, digits and hyphens."),
    r"\A[A-Z]{2}\Z": _("Two capital letters, such as CN or DE (ISO 3166)."),
    r"\A[A-Z]{3}\Z": _("Three capital letters, such as CNY or EUR (ISO 4217)."),
    r"\A[0-2](?:\.[0-9]+)+\Z": _("Numbers with points between them, such as 1.3.6.1.4.1.99999.1."),
    r"\A[0-9a-f]{64}\Z": _("A SHA-256: 64 digits and lower-case letters a to f."),
    r"\A[0-9a-f]{32}\Z": _("32 digits and lower-case letters a to f."),
    r"\A(?:[0-9]{1,18}(?:\.[0-9]{1,4})?|)\Z": _("A number with at most four decimals, such as 1000.50."),
    r"\A[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z": _("A date and a time."),
}
"""Pattern of a text to how it is written."""
_BY_REPRESENTATION: Final = {repr(pattern): said for pattern, said in _HINTS.items()}
_PATTERN: Final = re.compile(r"Expected `str` matching regex ('.*')")
_LENGTH: Final = re.compile(r"Expected `(str|array)` of length (>=|<=) (\d+)")
_SIZE: Final = re.compile(r"Expected `int` (>=|<=|>|<) (-?\d+)")


def hint(pattern: str) -> str:
    """How a text of this pattern is written; empty where there is nothing to say."""
    return str(_HINTS.get(pattern, ""))


def in_words(message: str) -> str:
    """What msgspec says of a value, as a person reads it; a message of another kind as it is."""
    if found := _PATTERN.match(message):
        return str(_BY_REPRESENTATION.get(found[1]) or gettext("It is not written as this field takes it."))
    if found := _LENGTH.match(message):
        kind, least = found[1], found[2] == ">="
        if least:
            return str(gettext("Something must stand here."))
        text = gettext("At most %(number)s characters.") if kind == "str" else gettext("At most %(number)s of them.")
        return str(text % {"number": found[3]})
    if found := _SIZE.match(message):
        sign, number = found[1], int(found[2])
        if sign in {">", ">="}:
            return str(gettext("%(number)s or more.") % {"number": number + (sign == ">")})
        return str(gettext("%(number)s or less.") % {"number": number - (sign == "<")})
    if message.startswith("Object missing required field"):
        return str(gettext("Something must stand here."))
    if message.startswith("Expected `int`"):
        return str(gettext("A whole number."))
    if message.startswith(("Expected ", "Invalid enum value", "Object contains unknown field")):
        return str(gettext("It is not written as this field takes it."))
    return message
