"""Which column of a file is which member of a letter's event: made once for a file, applied to every row."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class FieldPlan(_Part, frozen=True, kw_only=True):
    """Where one value comes from."""

    where: Literal["fields", "data", "envelopes"]
    """envelopes: of a field that its sender encrypted."""
    name: str
    type: str
    columns: dict[str, int]
    """Places among the plan's columns, by member of the value; "": the whole."""
    currency: str | None = None
    """Of money whose currency has no column."""
    choices: dict[str, str] = {}
    """Of a choice: names by their words, case folded."""
    zone: str = ""


class Plan(_Part, frozen=True, kw_only=True):
    """See the module."""

    columns: list[str]
    """Headers, in the file's order; of NDJSON, the names that a line may have."""
    ignored: list[str] = []
    """Of NDJSON: names that are passed over."""
    fields: list[FieldPlan]
    letter: int | None = None
    """The column that names the letter whose event a row is."""
    key: list[int] = []
    """Columns by which a row is known again; empty: by its number in the file."""
    constants: dict[str, Any] = {}
    """Values for all rows, by `fields.NAME` or `data.NAME`."""
    receipts: dict[str, dict[str, int]] = {}
    """Places of a receipt's `number` and `receipt` among the columns, by registry."""


def column_of(plan: Plan, pointer: str) -> str:
    """The header of the column that a refusal's pointer (`/fields/NAME/...`) is about; empty where there is none."""
    parts = pointer.split("/")
    if pointer == "/letter" and plan.letter is not None:
        return plan.columns[plan.letter]
    if len(parts) < 3 or parts[0]:
        return ""
    if parts[1] == "receipts" and parts[2] in plan.receipts:
        return plan.columns[plan.receipts[parts[2]]["number"]]
    where = ("fields", "envelopes") if parts[1] == "fields" else (parts[1],)  # that it is no envelope is said of fields
    for field in plan.fields:
        if field.where in where and field.name == parts[2]:
            member = parts[3] if len(parts) > 3 else ""
            place = field.columns.get(member, min(field.columns.values()))
            return plan.columns[place]
    return ""
