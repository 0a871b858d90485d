"""What the rows about credit vouchers begin with: a voucher that a supplier asks for and its debtor confirms."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from appliance.client import Client
from firmware_tests.scenarios.systems.practice import day, firm, fresh, number, yuan

CORE_FIRM = firm("中工国际机械股份有限公司")
SUPPLIER = firm("苏美达机电供应有限公司")


def voucher(face: str = "900000.00", **other: Any) -> dict[str, Any]:
    """The fields of a voucher that is due in half a year."""
    return {
        "number": number("PZ"),
        "debtor": CORE_FIRM,
        "holder": SUPPLIER,
        "face": yuan(face),
        "issued_on": day(),
        "due": day(180),
        "trade": fresh("合同、发票与验收单"),
    } | other


def issued(supplier: Client, core_firm: Client, face: str = "900000.00", **other: Any) -> str:
    """A voucher that the supplier drafted and the debtor confirmed."""
    letter = supplier.begin_letter("credit-voucher", voucher(face, **other)).happened.letter
    core_firm.letter_event(letter, "confirm")
    return letter


def parts(*shares: tuple[str, dict[str, str]]) -> dict[str, Any]:
    """What a transfer needs: who gets how much."""
    return {"parts": [{"amount": yuan(amount), "holder": holder} for amount, holder in shares]}


def total(client: Client, letters: Sequence[str]) -> Decimal:
    """What these vouchers are worth together."""
    return sum((Decimal(client.letter(letter).balance or "0") for letter in letters), Decimal(0))
