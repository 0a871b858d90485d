"""The rows of a sheet, from a place in its XML on.

A slice begins where the one before ended: the sheet's XML is inflated from its beginning, its head is parsed, what lies
between is passed over, and the parser goes on at the row. It sees well-formed XML, so it really parses what is there.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from appliance.intake.cells import Broken, Cell, Day, Flag, Number
from appliance.intake.errors import IntakeRefused
from appliance.intake.workbook.opened import Workbook
from appliance.intake.workbook.parsing import local, new_parser

SHEET_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of a sheet's XML."""
HEAD_BYTES: Final = 1024 * 1024
"""Before its rows."""
SLICE_CHARACTERS: Final = 16 * 1024 * 1024
"""Of the texts of one slice."""
CELL_CHARACTERS: Final = 65_536
MOST_COLUMNS: Final = 16_384
MOST_NUMBER: Final = 1_048_576
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})\Z")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?)?Z?\Z", re.ASCII)


class SheetRow(NamedTuple):
    """A row that has cells."""

    number: int
    cells: dict[int, Cell]
    """By column, from 0."""
    shared: dict[int, int]
    """Numbers of the shared strings of the other cells, by column."""


def read_sheet(
    workbook: Workbook, at: int, number: int, most: int, *, look_up: bool = True
) -> tuple[list[SheetRow], int | None]:
    """At most `most` rows of the sheet from the byte `at` of its XML on (0: its first row), where row `number` is the
    first that may come; and where the next begins, None at the end. `look_up`: shared strings are wanted too. Raises
    IntakeRefused."""
    reader = _Reader(workbook, at, number, most)
    reader.read()
    if not look_up:
        return reader.rows, reader.next
    strings = workbook.strings({number for row in reader.rows for number in row.shared.values()})
    for row in reader.rows:
        for column, number_of in row.shared.items():
            row.cells[column] = strings[number_of]
    return reader.rows, reader.next


class _Done(Exception):
    """Enough rows."""


class _Reader:
    def __init__(self, workbook: Workbook, at: int, number: int, most: int) -> None:
        self._workbook, self._at, self._number, self._most = workbook, at, number, most
        self._parser: Any = None
        self._shift = 0
        """What the parser's places lack to be places in the sheet's XML."""
        self._in_rows = False
        self._inline: list[str] = []
        self._cells: dict[int, Cell] = {}
        self._shared: dict[int, int] = {}
        self._row = number - 1
        self._column = -1
        self._type, self._style, self._formula = "n", 0, False
        self._text: list[str] | None = None
        self._characters = 0
        self.rows: list[SheetRow] = []
        self.next: int | None = None

    def read(self) -> None:
        part = self._workbook.sheet
        self._parser = parser = new_parser(part)
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._data
        pieces = self._workbook.archive.pieces(part, SHEET_BYTES)
        try:
            for piece in self._placed(pieces):
                parser.Parse(piece, False)
            parser.Parse(b"", True)
        except _Done:
            pass
        except expat.ExpatError as error:
            raise IntakeRefused(f"row {self._row + 1}: the sheet is no XML: {error}") from None

    def _placed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The sheet's head, and then its XML from `at` on."""
        if not self._at:
            yield from pieces
            return
        head = b""
        for piece in pieces:
            head += piece
            found = re.search(rb"<(?:\w+:)?sheetData\s*>", head)
            if found is not None:
                break
            if len(head) > HEAD_BYTES:
                raise IntakeRefused("the sheet has no rows near its beginning")
        else:
            raise IntakeRefused("the sheet has no rows")
        yield head[: found.end()]
        self._shift = self._at - found.end()
        seen = len(head)
        if self._at < seen:
            yield head[self._at :]
        for piece in pieces:
            if seen + len(piece) > self._at:
                yield piece[max(0, self._at - seen) :]
            seen += len(piece)

    # The parser's calls

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = local(name)
        if name == "c" and self._in_rows:
            self._start_cell(attributes)
        elif name == "row" and self._in_rows:
            self._start_row(attributes)
        elif name in ("v", "t"):
            self._text = []
        elif name == "f":
            self._formula = True
        elif name == "sheetData":
            self._in_rows = True
        elif name == "mergeCell":
            raise IntakeRefused(f"the cells {attributes.get('ref', '')[:30]} are merged: give every row its own cells")

    def _start_row(self, attributes: dict[str, str]) -> None:
        place = self._parser.CurrentByteIndex + self._shift
        if len(self.rows) >= self._most or self._characters > SLICE_CHARACTERS:
            self.next = place
            raise _Done
        said = attributes.get("r")
        number = self._row + 1
        if said is not None:
            if not (said.isascii() and said.isdecimal()) or len(said) > 7 or int(said) < number:
                raise IntakeRefused(f"row {number}: the sheet calls it {said[:20]!r}: rows come in their order")
            number = int(said)
        if number > MOST_NUMBER:
            raise IntakeRefused(f"row {number}: a sheet has at most {MOST_NUMBER} rows")
        self._row, self._column = number, -1
        self._cells, self._shared = {}, {}

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        column = self._column + 1
        if reference is not None:
            found = _REFERENCE.match(reference)
            if found is None or int(found[2]) != self._row or _column(found[1]) < column:
                raise IntakeRefused(f"row {self._row}: the cell {reference[:20]!r} is out of its place")
            column = _column(found[1])
        if column >= MOST_COLUMNS:
            raise IntakeRefused(f"row {self._row}: more than {MOST_COLUMNS} columns")
        self._column = column
        self._type, self._formula = attributes.get("t", "n"), False
        style = attributes.get("s", "0")
        self._style = int(style) if style.isascii() and style.isdecimal() and len(style) < 10 else 0
        self._inline, self._text = [], None

    def _data(self, piece: str) -> None:
        if self._text is not None:
            self._text.append(piece)

    def _end(self, name: str) -> None:
        name = local(name)
        if name in ("v", "t") and self._text is not None:
            if self._in_rows:
                self._inline.append("".join(self._text))
            self._text = None
        elif name == "c" and self._in_rows:
            self._end_cell()
        elif name == "row" and self._in_rows:
            if self._cells or self._shared:
                self.rows.append(SheetRow(self._row, self._cells, self._shared))
        elif name == "sheetData":
            self._in_rows = False

    def _end_cell(self) -> None:
        text = "".join(self._inline)
        self._characters += len(text)
        cell: Cell
        if self._formula:
            cell = Broken("it is a formula: give its value")
        elif not text:
            return
        elif len(text) > CELL_CHARACTERS:
            cell = Broken(f"it has more than {CELL_CHARACTERS} characters")
        elif self._type == "s":
            if not (text.isascii() and text.isdecimal()) or len(text) > 8:
                raise IntakeRefused(f"row {self._row}: a cell names the shared string {text[:20]!r}")
            self._shared[self._column] = int(text)
            return
        elif self._type in ("str", "inlineStr"):
            cell = text
        elif self._type == "b":
            cell = Flag(text == "1")
        elif self._type == "e":
            cell = Broken(f"it is the error {text[:20]}")
        elif self._type == "d":
            cell = _iso(text)
        elif self._style in self._workbook.date_styles:
            cell = _day(text, from_1904=self._workbook.dates_from_1904)
        else:
            cell = Number(text)
        self._cells[self._column] = cell


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _iso(text: str) -> Cell:
    if _ISO.match(text) is None:
        return Broken(f"it is no date: {text[:30]!r}")
    plain = text.rstrip("Z")
    return Day(plain, timed="T" in plain)


def _day(text: str, *, from_1904: bool) -> Cell:
    """A serial number of the 1900 or the 1904 date system (ISO/IEC 29500-1, section 18.17.4)."""
    try:
        serial = float(text)
    except ValueError:
        return Broken(f"it is no number: {text[:30]!r}")
    # Before March 1900 the 1900 system counts a day that never was.
    if not (0 if from_1904 else 61) <= serial < 2_958_466:
        return Broken(f"it is no date that can be told: {text[:30]}")
    begin = datetime.datetime(1904, 1, 1) if from_1904 else datetime.datetime(1899, 12, 30)  # noqa: DTZ001 - no zone
    days = int(serial)
    seconds = round((serial - days) * 86_400)
    try:
        when = begin + datetime.timedelta(days=days, seconds=seconds)
    except OverflowError:
        return Broken(f"it is no date that can be told: {text[:30]}")
    return Day(when.isoformat() if seconds else when.date().isoformat(), timed=bool(seconds))
