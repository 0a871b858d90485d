"""Rows as files, read by the standard library's reader of CSV."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from appliance.api.tables import table


class Line(msgspec.Struct):
    number: int
    said: str | None


LINES = [Line(1, 'a "b", c\nd'), Line(2, None), Line(3, "=1+1"), Line(4, "@x"), Line(5, "－"), Line(6, "\tx")]


def asked(accept: str) -> Any:
    return SimpleNamespace(headers={b"accept": accept.encode()})


def test_lines_of_json_name_where_the_next_part_is() -> None:
    made = table(asked("*/*"), Line, LINES, first=True, following="7")
    assert [json.loads(line) for line in made.body.splitlines()] == [msgspec.to_builtins(line) for line in LINES]
    assert b"cinnabar-next: 7\r\n" in made.headers
    assert b"cinnabar-next" not in table(asked("*/*"), Line, LINES, first=True, following=None).headers


@pytest.mark.parametrize("accept", ["text/csv", " Text/CSV "])
def test_parts_of_a_table_put_together_are_one_without_formulas(accept: str) -> None:
    parts = [
        table(asked(accept), Line, rows, first=first, following=None)
        for rows, first in ((LINES[:2], True), (LINES[2:], False), ([], False))
    ]
    assert {part.media_type for part in parts} == {b"text/csv"}
    text = b"".join(part.body for part in parts).decode()
    assert text.startswith("\ufeffnumber,said\r\n")
    assert list(csv.reader(io.StringIO(text[1:], newline="")))[1:] == [
        ["1", 'a "b", c\nd'], ["2", ""], ["3", "'=1+1"], ["4", "'@x"], ["5", "－"], ["6", "'\tx"],
    ]  # fmt: skip


def test_truth_has_one_spelling_in_both_forms() -> None:
    class Mark(msgspec.Struct):
        waiting: bool
        pending: bool

    marks = [Mark(waiting=True, pending=False)]
    assert table(asked("text/csv"), Mark, marks, first=False, following=None).body == b"true,false\r\n"
    assert table(asked("*/*"), Mark, marks, first=True, following=None).body == b'{"waiting":true,"pending":false}\n'
