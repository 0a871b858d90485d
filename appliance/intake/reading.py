"""A file's headers, and its rows slice by slice: what a document worker does with one window of it.

A `Place` says where a slice begins; each slice says where the next one does. Of CSV and NDJSON a window is a run of the
file's bytes that begins there; of a workbook it is the whole file. Nothing is kept from slice to slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from appliance.intake.cells import Cell
from appliance.intake.csv_lines import read_records
from appliance.intake.errors import IntakeRefused, LineRefused
from appliance.intake.form import Form
from appliance.intake.json_lines import read_lines
from appliance.intake.plan import Plan
from appliance.intake.rows import Row, assemble, assemble_object, refused
from appliance.intake.values import text_of
from appliance.intake.workbook import SheetRow, Workbook, read_sheet

MOST_ROWS: Final = 1_048_575
"""Of one file: as many as a sheet has beside its headers."""
ROWS_A_SLICE: Final = 4_096
"""Of a workbook four times as many, so that its beginning is inflated less often."""
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""Of CSV and NDJSON, where no row is longer."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where in a file a slice begins."""

    at: int = 0
    """Byte of the file; of a workbook, of its sheet's XML."""
    number: int = 1
    """Of the row there, from 1."""


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """Rows of a file."""

    rows: list[Row]
    count: int
    next: Place | None
    """None: these are the last."""


def read_header(form: Form, window: bytes, *, last: bool) -> tuple[list[str], Place]:
    """The headers, and where the rows begin; of NDJSON there are none. Raises IntakeRefused."""
    if form.format == "ndjson":
        return [], Place()
    if form.format == "csv":
        for number, cells, end in read_records(window, form, first=True, last=last, number=1):
            return cells, Place(end, number + 1)
        raise IntakeRefused("row 1: the file has no headers, or they are too long")
    rows, following = read_sheet(Workbook(window, form.sheet), 0, 1, 1)
    if not rows or rows[0].number != 1:
        raise IntakeRefused("row 1: the sheet has no headers there")
    found = rows[0].cells
    header: list[str] = []
    for column in range(max(found) + 1):
        try:
            header.append(text_of(found.get(column)) or "")
        except ValueError as error:
            raise IntakeRefused(f"row 1, column {column + 1}: its header: {error}") from None
    return header, Place(following or -1, 2)


def read_slice(
    form: Form, plan: Plan | None, window: bytes, place: Place, *, last: bool, most: int = ROWS_A_SLICE
) -> Slice:
    """The next rows of a file, read by the plan; without one they are only counted. `last`: the window reaches the end
    of the file. Raises IntakeRefused for what no later row can be read after."""
    if form.format == "xlsx":
        return _of_sheet(form, plan, window, place, most)
    rows: list[Row] = []
    count, end, number = 0, 0, place.number
    found: Iterator[tuple[int, Any, int]]
    if form.format == "csv":
        found = read_records(window, form, first=place.at == 0, last=last, number=number)
    else:
        found = read_lines(window, first=place.at == 0, last=last, number=number)
    for at, content, stop in found:
        end, number = stop, at + 1
        if content:  # else a blank line
            count += 1
            if plan is not None:
                rows.append(_row(plan, at, content))
        if count >= most:
            break
    if last and end >= len(window):
        return Slice(rows, count, None)
    if not end:
        raise IntakeRefused(f"row {place.number}: it has more than {len(window)} bytes")
    return Slice(rows, count, Place(place.at + end, number))


def _row(plan: Plan, number: int, content: list[str] | dict[str, Any] | LineRefused) -> Row:
    if isinstance(content, LineRefused):
        return refused(number, str(content))
    if isinstance(content, dict):
        return assemble_object(plan, number, content)
    if len(content) != len(plan.columns):
        return refused(number, f"it has {len(content)} cells, and the file {len(plan.columns)} columns")
    return assemble(plan, number, content)


def _of_sheet(form: Form, plan: Plan | None, window: bytes, place: Place, most: int) -> Slice:
    if place.at < 0:
        return Slice([], 0, None)
    found, following = read_sheet(
        Workbook(window, form.sheet), place.at, place.number, most * 4, look_up=plan is not None
    )
    number = found[-1].number + 1 if found else place.number
    after = None if following is None else Place(following, number)
    return Slice([] if plan is None else [_sheet_row(plan, row) for row in found], len(found), after)


def _sheet_row(plan: Plan, row: SheetRow) -> Row:
    beyond = max(row.cells)
    if beyond >= len(plan.columns):
        return refused(row.number, f"column {beyond + 1} has no header")
    cells: list[Cell] = [row.cells.get(column) for column in range(len(plan.columns))]
    return assemble(plan, row.number, cells)
