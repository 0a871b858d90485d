"""What stands in a cell, as its file says: a text, or one of the things that a spreadsheet makes of a text.

A spreadsheet keeps numbers as binary floating point: 15 digits are safe (ISO/IEC 29500-1, section 18.3.1.96; IEEE
754). A number with more may not be what was typed: it is refused, never rounded.
"""

from __future__ import annotations

import decimal
import re
from typing import Any, Final, NamedTuple

SAFE_DIGITS: Final = 15
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
_CONTEXT = decimal.Context(prec=400)


class Number(NamedTuple):
    """A number as it is spelled in the file."""

    text: str


class Day(NamedTuple):
    """A number that the workbook shows as a date: ISO 8601, and whether it has a time of day."""

    text: str
    timed: bool


class Flag(NamedTuple):
    """True or false."""

    value: bool


class Broken(NamedTuple):
    """Nothing that can be taken: a formula, an error value, a number beyond what it could be."""

    why: str


class Value(NamedTuple):
    """JSON that is a value already: of NDJSON."""

    value: Any


Cell = str | Number | Day | Flag | Broken | Value | None
"""None: nothing stands there."""


def plain_decimal(text: str) -> str:
    """The number, exactly, without an exponent or superfluous zeros. Raises ValueError where digits may be lost."""
    if _NUMBER.match(text) is None:
        raise ValueError(f"it is no number: {text[:40]!r}")
    try:
        number = _CONTEXT.create_decimal(text)
    except decimal.DecimalException:
        raise ValueError("the number is too large") from None
    digits = number.normalize(_CONTEXT).as_tuple().digits
    if len(digits) > SAFE_DIGITS or number.adjusted() >= SAFE_DIGITS:
        raise ValueError(
            f"it is the number {text[:40]}: of numbers a spreadsheet keeps {SAFE_DIGITS} digits; make the cell a text"
        )
    if number.adjusted() < -SAFE_DIGITS and number:
        raise ValueError(f"it is the number {text[:40]}, with more digits than can be meant")
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain
