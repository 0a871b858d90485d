"""Numbers of limits as people write them, and as integers inside. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec

Amount = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,13})(\.[0-9]{1,4})?\Z")]
"""Of a counter of value, in its currency, as large as money may be; of a counter of letters a whole number."""
Percent = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,5})(\.[0-9]{1,2})?\Z")]
"""Per cent, up to two digits after the point."""
PerMille = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?\Z")]
"""Per mille, up to four digits after the point."""
RATE: int = 10_000_000
"""Inside, a rate of one."""


def amount(text: str, currency: str) -> int:
    """Ten-thousandths of the currency's unit; without a currency, how many. Raises ValueError."""
    if currency:
        return _scaled(text, 4)
    if "." in text:
        raise ValueError("letters are counted in whole numbers")
    return int(text)


def percent(text: str) -> int:
    """Ten-thousandths."""
    return _scaled(text, 2)


def per_mille(text: str) -> int:
    """Of RATE."""
    return _scaled(text, 4)


def print_percent(ten_thousandths: int) -> str:
    """1250: 12.5"""
    whole, part = divmod(ten_thousandths, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".")


def _scaled(text: str, digits: int) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(digits, "0"))
