"""Money: a decimal text with its currency outside, an integer of ten-thousandths of the currency's unit inside.

No float ever holds an amount. A currency's amounts have exactly its ISO 4217 digits after the point, so that one
amount has one spelling.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

UNITS: Final = 10_000
"""Inside, one unit of a currency."""
MOST: Final = 10**18
"""Inside, no amount is as large: a hundred thousand billion units, and every sum of a million fits 63 bits only below
it, which the recorder checks by itself."""

DIGITS: Final = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(
        ("AED", "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS",
         "INR", "KES", "KZT", "LAK", "MMK", "MNT", "MOP", "MXN", "MYR", "NGN", "NOK", "NZD", "PHP", "PKR", "PLN", "QAR",
         "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR"),
        2,
    ),
}  # fmt: skip
"""Digits after the point, by currency (ISO 4217)."""

_FORM = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]{1,4}))?\Z")
_MOST_DIGITS = 15


@lru_cache(maxsize=1024)
def parse_amount(text: str, currency: str) -> int:
    """Ten-thousandths of the unit. Raises ValueError, whose text says what is wrong."""
    digits = DIGITS.get(currency)
    if digits is None:
        raise ValueError(f"{currency!r} is no currency that the box knows")
    found = _FORM.match(text)
    if found is None or len(found[2] or "") != digits:
        raise ValueError(f"an amount in {currency} is digits with exactly {digits} after the point")
    units = int(found[1]) * UNITS + int((found[2] or "").ljust(4, "0")) if len(found[1]) <= _MOST_DIGITS else MOST
    if units >= MOST:
        raise ValueError("the amount is too large")
    return units


@lru_cache(maxsize=1024)
def print_amount(units: int, currency: str) -> str:
    """The text of an amount that `parse_amount` gave, or of a sum of such."""
    digits = DIGITS[currency]
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(units, UNITS)
    return f"{sign}{whole}.{part:04d}"[: len(f"{sign}{whole}") + (digits and digits + 1)]
