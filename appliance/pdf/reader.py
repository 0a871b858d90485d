"""A strict reader of PDFs whose cross-reference tables are the classic ones, as typst and this room write them.

It finds objects; streams are never decoded. Whatever else a PDF may be (cross-reference streams, hybrid files,
encryption, repaired tables) is refused: such PDFs come from others and are read in a document worker.
"""

from __future__ import annotations

import re
from typing import Final

from appliance.pdf.errors import PdfRefused
from appliance.pdf.syntax import array, dictionary, dictionary_and_end, reference, skip_space, value_end

_TAIL: Final = re.compile(rb"startxref\r?\n(\d{1,10})\r?\n%%EOF\r?\n?\Z")
_SUBSECTION: Final = re.compile(rb"(\d{1,10}) (\d{1,10}) ?\r?\n")
_TRAILER: Final = re.compile(rb"trailer\s*")
_OBJECT: Final = re.compile(rb"(\d{1,10}) (\d{1,5}) obj\s*")
_STREAM: Final = re.compile(rb"\s*stream\r?\n")
_ENTRY: Final = 20
MOST_REVISIONS: Final = 64
MOST_OBJECTS: Final = 200_000
_MOST_PAGES: Final = 10_000
_MOST_SUBSECTIONS: Final = 2_048


class Pdf:
    """One file, with all its revisions. Raises PdfRefused."""

    def __init__(self, data: bytes) -> None:
        if not data.startswith(b"%PDF-1."):
            raise PdfRefused("it does not begin as a PDF does")
        tail = _TAIL.search(data, max(0, len(data) - 64))
        if tail is None:
            raise PdfRefused("it does not end as a PDF does")
        self.data = data
        self.last_table = int(tail[1])
        self._subsections: list[tuple[int, int, int]] = []
        self.trailer: dict[bytes, bytes] = {}
        at, seen = self.last_table, set[int]()
        while True:
            if at in seen or len(seen) >= MOST_REVISIONS or at >= len(data):
                raise PdfRefused("its cross-reference tables do not follow each other")
            seen.add(at)
            trailer = self._read_table(at)
            self.trailer = self.trailer or trailer
            for name in (b"/Encrypt", b"/XRefStm"):  # readers go by the tables of every revision
                if name in trailer:
                    raise PdfRefused(f"its trailer has {name.decode()}")
            if b"/Prev" not in trailer:
                break
            at = _number(trailer[b"/Prev"])
        self.size = _number(self.trailer.get(b"/Size", b""))
        if not 0 < self.size <= MOST_OBJECTS:
            raise PdfRefused("its number of objects is out of range")
        root = reference(self.trailer.get(b"/Root", b""))
        if root is None:
            raise PdfRefused("it has no catalogue")
        self.root = root
        self.first_table = at
        self.revisions = len(seen)

    def _read_table(self, at: int) -> dict[bytes, bytes]:
        data = self.data
        if data[at : at + 4] != b"xref":
            raise PdfRefused("it has no classic cross-reference table")
        at = skip_space(data, at + 4)
        while found := _SUBSECTION.match(data, at):
            first, count = int(found[1]), int(found[2])
            if len(self._subsections) >= _MOST_SUBSECTIONS:
                raise PdfRefused("its cross-reference tables have too many parts")
            if count > MOST_OBJECTS or found.end() + count * _ENTRY > len(data):
                raise PdfRefused("a cross-reference table runs over the end")
            self._subsections.append((first, count, found.end()))
            at = found.end() + count * _ENTRY
        trailer = _TRAILER.match(data, at)
        if trailer is None:
            raise PdfRefused("a cross-reference table has no trailer")
        return dictionary(data, trailer.end())

    def offset(self, number: int) -> int:
        """Where an object begins in the file."""
        for first, count, start in self._subsections:
            if first <= number < first + count:
                entry = self.data[start + (number - first) * _ENTRY : start + (number - first + 1) * _ENTRY]
                if entry[17:18] != b"n" or not entry[:10].isdigit() or entry[10:17] != b" 00000 ":
                    break
                return int(entry[:10])
        raise PdfRefused(f"it has no object {number}")

    def start(self, number: int) -> int:
        """Where the value of an object begins."""
        found = _OBJECT.match(self.data, self.offset(number))
        if found is None or (int(found[1]), int(found[2])) != (number, 0):
            raise PdfRefused(f"object {number} is not where the table says")
        return found.end()

    def value(self, number: int) -> bytes:
        """The value of an object that is no stream, or the dictionary of one."""
        at = self.start(number)
        return self.data[at : value_end(self.data, at)]

    def members(self, number: int) -> dict[bytes, bytes]:
        """The members of an object that is a dictionary, or of a stream's dictionary."""
        return dictionary(self.data, self.start(number))

    def stream(self, number: int) -> tuple[dict[bytes, bytes], bytes]:
        """A stream's dictionary and its bytes as they stand."""
        members, at = dictionary_and_end(self.data, self.start(number))
        found = _STREAM.match(self.data, at)
        if found is None:
            raise PdfRefused(f"object {number} is not a stream")
        length = _number(self.resolved(members.get(b"/Length", b"")))
        content = self.data[found.end() : found.end() + length]
        if not self.data[found.end() + length :][:20].lstrip().startswith(b"endstream"):
            raise PdfRefused(f"the stream {number} has not the length that it says")
        return members, content

    def is_stream(self, number: int) -> bool:
        """Whether an object is a stream."""
        at = self.start(number)
        return _STREAM.match(self.data, value_end(self.data, at)) is not None

    def resolved(self, value: bytes) -> bytes:
        """A value, or what it refers to."""
        number = reference(value)
        return value if number is None else self.value(number)

    def pages(self) -> list[int]:
        """The numbers of the page objects, in order."""
        found: list[int] = []
        waiting = [self.members(self.root).get(b"/Pages", b"")]
        seen = set[int]()
        while waiting:
            number = reference(waiting.pop())
            if number is None or number in seen or len(found) > _MOST_PAGES:
                raise PdfRefused("its pages are not a tree")
            seen.add(number)
            members = self.members(number)
            if members.get(b"/Type") == b"/Page":
                found.append(number)
            else:
                waiting += reversed(array(self.resolved(members.get(b"/Kids", b""))))
        if not found:
            raise PdfRefused("it has no page")
        return found


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > 10:
        raise PdfRefused("a number is not where it should be")
    return int(value)
