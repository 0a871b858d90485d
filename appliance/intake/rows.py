"""One row: its cells put together by the plan, or why that cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from appliance.intake.cells import Broken, Cell, Day, Flag, Number, Value
from appliance.intake.errors import LineRefused
from appliance.intake.plan import Plan
from appliance.intake.values import bytes_of, text_of, value_of
from appliance.letters.fields import SAFE_INTEGER

_encode = msgspec.json.Encoder(order="sorted").encode


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A row of a file, read."""

    number: int
    """In its file, from 1; of a table with headers, those are number 1."""
    key: str
    """By which it is known again: the key columns' texts, or empty."""
    letter: str
    """Whose event it is; empty: it begins one."""
    fields: dict[str, Any]
    data: dict[str, Any]
    column: str = ""
    """Header of the column that is wrong."""
    fault: str = ""
    """What is wrong; empty: nothing is."""
    envelopes: dict[str, bytes] = {}
    """Of fields that their sender encrypted."""
    receipts: dict[str, tuple[str, bytes]] = {}
    """Number and content of what registries handed out, by registry."""


def assemble(plan: Plan, number: int, cells: Sequence[Cell]) -> Row:
    """The row of these cells, one for each of the plan's columns. What is wrong is in it."""
    values: dict[str, dict[str, Any]] = {"fields": {}, "data": {}, "envelopes": {}}
    receipts: dict[str, tuple[str, bytes]] = {}
    for place, value in plan.constants.items():
        where, _, name = place.partition(".")
        values[where][name] = value
    key = letter = column = fault = ""
    try:
        key = _key(plan, cells)
        if plan.letter is not None:
            column = plan.columns[plan.letter]
            letter = text_of(cells[plan.letter]) or ""
            if not letter:
                raise ValueError("it names the letter, and nothing stands there")
        for field in plan.fields:
            column = plan.columns[min(field.columns.values())]
            given = {member: cells[place] for member, place in field.columns.items()}
            found = value_of(field, given)
            if found is not None:
                values[field.where][field.name] = found
        for registry, places in plan.receipts.items():
            column = plan.columns[places["number"]]
            number_given = text_of(cells[places["number"]])
            column = plan.columns[places["receipt"]]
            content = bytes_of(cells[places["receipt"]])
            if (number_given is None) is not (content is None):
                raise ValueError("a receipt has a number and its content: one of them is missing")
            if number_given is not None and content is not None:
                receipts[registry] = (number_given, content)
        column = ""
    except (ValueError, LineRefused) as error:
        fault = str(error)
        column = error.column if isinstance(error, LineRefused) else column
    return Row(
        number, key, letter, values["fields"], values["data"], column, fault, values["envelopes"], receipts
    )  # fmt: skip


def assemble_object(plan: Plan, number: int, members: Mapping[str, Any]) -> Row:
    """As `assemble`, of a line of NDJSON."""
    known = {name: at for at, name in enumerate(plan.columns)}
    cells: list[Cell] = [None] * len(plan.columns)
    for name, value in members.items():
        at = known.get(name)
        if at is not None:
            cells[at] = _cell(value)
        elif name not in plan.ignored:
            return Row(number, "", "", {}, {}, name[:200], "no field is called so")
    return assemble(plan, number, cells)


def refused(number: int, text: str, column: str = "") -> Row:
    """A row that could not be read."""
    return Row(number, "", "", {}, {}, column, text)


def _key(plan: Plan, cells: Sequence[Cell]) -> str:
    if not plan.key:
        return ""
    texts: list[str] = []
    for place in plan.key:
        column = plan.columns[place]
        spelled = _spelled(cells[place])
        if not spelled:
            raise LineRefused("rows are known by it, and nothing stands there", column)
        texts.append(spelled)
    return _encode(texts).decode()


def _spelled(cell: Cell) -> str:
    if isinstance(cell, Broken):
        return ""
    if isinstance(cell, Number | Day):
        return cell.text
    if isinstance(cell, Flag):
        return str(cell.value)
    if isinstance(cell, Value):
        return _encode(cell.value).decode()
    return cell or ""


def _cell(value: Any) -> Cell:
    """A member of a line: texts, numbers and truth as of a spreadsheet, the rest as the value that it is."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return Flag(value)
    if isinstance(value, int):
        return Number(str(value))
    if isinstance(value, Number):
        return value
    return Value(value) if not _has_number(value) else Broken("within it stands a number that is not small and whole")


def _has_number(value: Any) -> bool:
    if isinstance(value, Number) or (isinstance(value, int) and abs(value) > SAFE_INTEGER):
        return True
    if isinstance(value, dict):
        return any(_has_number(one) for one in value.values())
    return isinstance(value, list) and any(_has_number(one) for one in value)
