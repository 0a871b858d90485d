"""From cells to values of fields, by the field's type. Nothing is guessed and nothing rounded: a cell that could mean
two things is refused. What the value may be is the kind's to say (appliance.letters.fields), afterwards."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from appliance.intake.cells import Broken, Cell, Day, Flag, Number, Value, plain_decimal
from appliance.intake.plan import FieldPlan
from appliance.letters.money import DIGITS

_YES = frozenset({"true", "yes", "y", "是", "1"})
_NO = frozenset({"false", "no", "n", "否", "0"})


def text_of(cell: Cell) -> str | None:
    """A cell as a text; None where nothing stands. Raises ValueError for what may not be what was typed."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Number):
        plain = plain_decimal(cell.text)
        if "." in plain or plain.startswith("-"):
            raise ValueError(f"a text is wanted and the cell holds the number {cell.text[:40]}: make the cell a text")
        return plain
    if isinstance(cell, Day):
        raise ValueError("a text is wanted and the cell holds a date: make the cell a text")
    if isinstance(cell, Flag):
        raise ValueError("a text is wanted and the cell holds true or false: make the cell a text")
    if isinstance(cell, Broken):
        raise ValueError(cell.why)
    if isinstance(cell.value, str):
        return cell.value
    raise ValueError("a text is wanted")


def value_of(plan: FieldPlan, cells: dict[str, Cell]) -> Any:  # JSON; None: nothing is given
    """The field's value out of the cells of its columns, by member ("" for the whole). Raises ValueError."""
    whole = cells.get("")
    if isinstance(whole, Value) and plan.where != "envelopes":
        return whole.value
    if isinstance(whole, Broken):
        raise ValueError(whole.why)
    if plan.where == "envelopes":
        return bytes_of(whole)
    if plan.type == "money":
        return _money(plan, cells)
    if plan.type == "party":
        name, identity = text_of(cells.get("name")), text_of(cells.get("id"))
        party = {member: text for member, text in (("name", name), ("id", identity)) if text is not None}
        return party or None
    if whole is None or whole == "":
        return None
    convert = _CONVERSIONS.get(plan.type)
    return text_of(whole) if convert is None else convert(plan, whole)


def bytes_of(cell: Cell) -> bytes | None:
    """What a cell holds in base64 (RFC 4648, section 4); None where nothing stands. Raises ValueError."""
    text = text_of(cell)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None


def _money(plan: FieldPlan, cells: dict[str, Cell]) -> dict[str, str] | None:
    amount, currency = cells.get("amount"), text_of(cells.get("currency"))
    if amount is None or amount == "":
        if currency is not None and "amount" in cells:
            raise ValueError("there is a currency and no amount")
        return None
    currency = currency or plan.currency
    if currency is None:
        raise ValueError("its currency is missing")
    if not isinstance(amount, Number):
        return {"amount": text_of(amount) or "", "currency": currency}
    plain = plain_decimal(amount.text)
    whole, _, part = plain.partition(".")
    digits = DIGITS.get(currency, 0)
    if len(part) > digits:
        raise ValueError(f"the number {plain} has more digits after the point than {currency}: it is not rounded")
    return {"amount": f"{whole}.{part.ljust(digits, '0')}" if digits else whole, "currency": currency}


def _integer(_plan: FieldPlan, cell: Cell) -> int:
    text = plain_decimal(cell.text) if isinstance(cell, Number) else text_of(cell) or ""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 16 or (digits[0] == "0" and text != "0"):
        raise ValueError(f"it is no whole number: {text[:40]!r}")
    return int(sign + digits)


def _decimal(_plan: FieldPlan, cell: Cell) -> str:
    return plain_decimal(cell.text) if isinstance(cell, Number) else text_of(cell) or ""


def _date(_plan: FieldPlan, cell: Cell) -> str:
    if isinstance(cell, Day):
        if cell.timed:
            raise ValueError(f"a date is wanted and the cell holds a time, {cell.text}")
        return cell.text
    if isinstance(cell, Number):
        raise ValueError("a date is wanted and the cell holds a number that is not shown as a date")
    return text_of(cell) or ""


def _time(plan: FieldPlan, cell: Cell) -> str:
    if isinstance(cell, Day):
        return f"{cell.text if cell.timed else cell.text + 'T00:00:00'}{plan.zone}"
    if isinstance(cell, Number):
        raise ValueError("a time is wanted and the cell holds a number that is not shown as a time")
    return text_of(cell) or ""


def _choice(plan: FieldPlan, cell: Cell) -> str:
    text = text_of(cell) or ""
    return plan.choices.get(text.strip().casefold(), text)


def _yes_no(_plan: FieldPlan, cell: Cell) -> bool:
    if isinstance(cell, Flag):
        return cell.value
    text = (text_of(cell) or "").strip().casefold()
    if text in _YES or text in _NO:
        return text in _YES
    raise ValueError("it is yes or no")


def _table(_plan: FieldPlan, _cell: Cell) -> Any:
    raise ValueError("a table does not fit a cell: send such rows as NDJSON")


_CONVERSIONS = {
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "time": _time,
    "choice": _choice,
    "yes-no": _yes_no,
    "table": _table,
}
