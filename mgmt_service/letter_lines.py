"""A letter's values as pages show them, wherever a letter stands on one."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from appliance.audit.letters import LetterLine
from appliance.letters.kind import Field
from mgmt_service.kinds import KindBook, field_label, grouped, told, value_text

LETTER: Final = re.compile(r"[0-9a-f]{32}")
"""A letter's id."""


class LetterRow(msgspec.Struct, frozen=True):
    """A letter in a list."""

    letter: str
    kind: str
    kind_title: str
    state: str
    state_title: str
    final: bool
    gist: str
    """Its first clear values."""
    balance: str
    events: int
    changed: str


class FieldLine(msgspec.Struct, frozen=True):
    """A value for people."""

    name: str
    label: str
    confidentiality: str
    """clear, hidden, recipients or veiled."""
    value: str
    """Empty where it is not shown."""
    shown: bool
    columns: list[str] = []
    rows: list[list[str]] = []
    letter: str = ""
    """The letter that the value names."""


def letter_row(book: KindBook, line: LetterLine) -> LetterRow:
    """The letter in one line."""
    loaded = book.of_digest(line.kind_digest)
    fields = {} if loaded is None else loaded.kind.fields
    state = None if loaded is None else loaded.kind.states.get(line.state)
    texts = [value_text(fields.get(name), line.fields[name]) for name in (fields or line.fields) if name in line.fields]
    return LetterRow(
        letter=line.letter,
        kind=line.kind,
        kind_title=line.kind if loaded is None else told(loaded.kind.title),
        state=line.state,
        state_title=line.state if state is None else told(state.title),
        final=state is not None and state.final,
        gist=" · ".join(text[:60] for text in texts[:2]),
        balance=f"{grouped(line.balance)} {line.currency}" if line.balance is not None else "",
        events=line.number,
        changed=line.changed,
    )


def letter_fields(fields: dict[str, Field], line: LetterLine, values: dict[str, Any]) -> list[FieldLine]:
    """What a letter says, in the order of its kind's `fields`. `values`: of hidden fields, where they are shown."""
    names = [name for name in fields if name in line.fields or name in line.hidden or name in line.encrypted]
    names += sorted({*line.fields, *line.hidden, *line.encrypted} - set(names))
    return [_field(fields, name, line, values) for name in names]


def _field(fields: dict[str, Field], name: str, line: LetterLine, values: dict[str, Any]) -> FieldLine:
    field = fields.get(name)
    if name in line.fields:
        return field_line(fields, name, line.fields[name], "clear" if field is None else field.confidentiality)
    if name in values:
        return field_line(fields, name, values[name], "hidden")
    kind = "hidden" if name in line.hidden else "veiled" if field is None else field.confidentiality
    return FieldLine(name, field_label(fields, name), kind, "", shown=False)


def field_line(fields: dict[str, Field], name: str, value: Any, confidentiality: str = "clear") -> FieldLine:
    """A value with its label; a table with its columns."""
    field, label = fields.get(name), field_label(fields, name)
    if isinstance(value, list):
        columns = {} if field is None else field.columns
        rows = [one for one in value if isinstance(one, dict)]
        names = list(columns) or sorted({key for row in rows for key in row})
        cells = [[value_text(columns.get(key), row[key]) if key in row else "" for key in names] for row in rows]
        return FieldLine(
            name, label, confidentiality, "", shown=True, columns=[field_label(columns, key) for key in names],
            rows=cells,
        )  # fmt: skip
    linked = str(value) if field is not None and field.type == "letter" and LETTER.fullmatch(str(value)) else ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = value_text(field, value) if field is not None or not isinstance(value, (dict, list)) else text
    return FieldLine(name, label, confidentiality, shown, shown=True, letter=linked)
