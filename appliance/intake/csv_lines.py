"""CSV (RFC 4180), a window of the file at a time: whole records, and where the last of them ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from appliance.intake.errors import IntakeRefused
from appliance.intake.form import Form

FIELD_CHARACTERS: Final = 65_536
"""Of one cell. No text of a letter has as many."""
_MARK: Final = b"\xef\xbb\xbf"


class _Lines:
    """Lines as csv.reader asks for them; it counts the bytes that it has handed out."""

    def __init__(self, data: bytes, start: int, encoding: str, number: int) -> None:
        self._data, self._encoding, self.number = data, encoding, number
        self.consumed = start

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        data, start = self._data, self.consumed
        if start >= len(data):
            raise StopIteration
        end = data.find(b"\n", start) + 1 or len(data)
        self.consumed = end
        try:
            return data[start:end].decode(self._encoding)
        except UnicodeDecodeError as error:
            raise IntakeRefused(f"row {self.number}: not {self._encoding} at its byte {error.start}") from None


def read_records(
    data: bytes, form: Form, *, first: bool, last: bool, number: int
) -> Iterator[tuple[int, list[str], int]]:
    """(number, cells, bytes of the window used up to its end) of each record of a window, the first one being record
    `number` of the file. `first`, `last`: whether the window begins and ends with the file. Raises IntakeRefused."""
    csv.field_size_limit(FIELD_CHARACTERS)
    whole = data if last else data[: data.rfind(b"\n") + 1]
    start = len(_MARK) if first and form.encoding == "utf-8" and data.startswith(_MARK) else 0
    lines = _Lines(whole, start, form.encoding, number)
    records = csv.reader(lines, delimiter=form.delimiter, strict=True)
    while True:
        lines.number = number
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            if not last and lines.consumed >= len(whole) and "unexpected end of data" in str(error):
                return  # the rest of the record is in the next window
            raise IntakeRefused(f"row {number}: it is not CSV: {error}") from None
        yield number, record, lines.consumed
        number += 1
