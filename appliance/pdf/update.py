"""Incremental updates (ISO 32000-1, 7.5.6): objects after the end of a PDF, with a table that leads back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count

from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import array, write


class Update:
    """Objects to be written after a PDF."""

    def __init__(self, pdf: Pdf) -> None:
        self.pdf = pdf
        self._next = count(pdf.size)
        self._bodies: dict[int, bytes] = {}

    def new(self) -> int:
        """A number for an object."""
        return next(self._next)

    def put(self, number: int, body: bytes) -> None:
        """Write an object: a value, or a stream whole."""
        self._bodies[number] = body

    def add(self, body: bytes) -> int:
        """A new object. Returns its number."""
        number = self.new()
        self.put(number, body)
        return number

    def written(
        self, salt: bytes, last: int | None = None, hole: tuple[bytes, int, bytes] | None = None
    ) -> list[bytes]:
        """The bytes from the PDF's beginning to its new end; with a `hole`, in two pieces around it.

        `salt` tells this revision from others in the file's identifier. The object `last` is written last, with
        (text before the hole, size of the hole, text after it) as its body.
        """
        pieces = [self.pdf.data if self.pdf.data.endswith(b"\n") else self.pdf.data + b"\n"]
        at = len(pieces[0])
        offsets: dict[int, int] = {}
        for number, body in self._bodies.items():
            offsets[number] = at
            piece = b"%d 0 obj\n%b\nendobj\n" % (number, body)
            pieces.append(piece)
            at += len(piece)
        if last is None or hole is None:
            return [b"".join([*pieces, self._table(offsets, at, salt)])]
        before, size, after = hole
        offsets[last] = at
        head = b"%d 0 obj\n%b" % (last, before)
        tail = after + b"\nendobj\n"
        at += len(head) + size + len(tail)
        return [b"".join([*pieces, head]), tail + self._table(offsets, at, salt)]

    def _table(self, offsets: dict[int, int], at: int, salt: bytes) -> bytes:
        lines = [b"xref\n"]
        for first, run in _runs(sorted(offsets)):
            lines.append(b"%d %d\n" % (first, len(run)))
            lines += [b"%010d 00000 n \n" % offsets[number] for number in run]
        old = self.pdf.trailer
        trailer = {
            b"/Size": b"%d" % max(self.pdf.size, max(offsets) + 1),
            b"/Root": old[b"/Root"],
            **({b"/Info": old[b"/Info"]} if b"/Info" in old else {}),
            b"/ID": self._identifier(salt),
            b"/Prev": b"%d" % self.pdf.last_table,
        }
        lines.append(b"trailer\n" + write(trailer) + b"\nstartxref\n%d\n%%%%EOF\n" % at)
        return b"".join(lines)

    def _identifier(self, salt: bytes) -> bytes:
        """The first half stays, the second is this revision's (14.4)."""
        old = self.pdf.trailer.get(b"/ID")
        new = b"<" + hashlib.sha256((old or b"") + salt).hexdigest()[:32].encode() + b">"
        first = array(old)[0] if old is not None else new
        return b"[" + first + new + b"]"


def _runs(numbers: Iterable[int]) -> Iterable[tuple[int, list[int]]]:
    """Numbers that follow each other, together."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run[0], run
            run = []
        run.append(number)
    if run:
        yield run[0], run


def stream(members: dict[bytes, bytes], content: bytes) -> bytes:
    """A stream's body."""
    return write({**members, b"/Length": b"%d" % len(content)}) + b"\nstream\n" + content + b"\nendstream"
