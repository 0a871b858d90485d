"""The visible seal: a picture that a signature carries as its appearance, never the page itself.

The picture is set once by typst, on a page of its own size, when the seal object is registered (the task SEAL_PICTURE).
That page becomes a form (ISO 32000-1, 8.10) with everything that it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.pdf.errors import PdfRefused
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import array, reference, references, write
from appliance.pdf.update import Update

_MOST_OBJECTS: Final = 64
_MOST_BYTES: Final = 4 * 1024 * 1024
_FORBIDDEN: Final = (b"/JS", b"/JavaScript", b"/AA", b"/A", b"/OC", b"/Ref", b"/OPI", b"/PS")


class SealPicture(msgspec.Struct, frozen=True, array_like=True):
    """A form and what it uses, to be written into a PDF. `width` and `height` in points."""

    width: float
    height: float
    objects: list[tuple[bytes, bytes | None]]
    """Values (or a stream's dictionary and its content); the first is the form. Where one refers to object n 0, the
    n-th of this list is meant, counted from 1."""

    def add_to(self, update: Update) -> int:
        """Write it. Returns the number of the form."""
        numbers = [update.new() for _ in self.objects]
        for number, (value, content) in zip(numbers, self.numbered(numbers), strict=True):
            update.put(number, value if content is None else value + b"\nstream\n" + content + b"\nendstream")
        return numbers[0]

    def numbered(self, numbers: Sequence[int]) -> list[tuple[bytes, bytes | None]]:
        """The objects as they refer to each other under these numbers. Raises PdfRefused."""
        moved = dict(enumerate(numbers, start=1))
        return [(_renumbered(value, moved), content) for value, content in self.objects]


def read_picture(pdf: bytes) -> SealPicture:
    """The first page of a PDF as typst writes them. Raises PdfRefused."""
    if len(pdf) > _MOST_BYTES:
        raise PdfRefused("the picture is larger than a seal's may be")
    source = Pdf(pdf)
    page = source.members(source.pages()[0])
    try:
        left, bottom, right, top = (float(side) for side in array(source.resolved(page.get(b"/MediaBox", b""))))
    except ValueError:
        raise PdfRefused("the picture's page has no size") from None
    contents = reference(page.get(b"/Contents", b""))
    if contents is None:
        raise PdfRefused("the picture's page has not one stream of content")
    resources = source.resolved(page.get(b"/Resources", b"<<>>"))
    used = _used(source, resources)
    moved = {number: at for at, number in enumerate(used, start=2)}
    members, content = source.stream(contents)
    form = {
        b"/Type": b"/XObject",
        b"/Subtype": b"/Form",
        b"/BBox": b"[%g %g %g %g]" % (left, bottom, right, top),
        b"/Resources": _renumbered(resources, moved),
        **({b"/Filter": members[b"/Filter"]} if b"/Filter" in members else {}),
        b"/Length": b"%d" % len(content),
    }
    if b"/Group" in page:
        form[b"/Group"] = _renumbered(source.resolved(page[b"/Group"]), moved)
    objects: list[tuple[bytes, bytes | None]] = [(write(form), content)]
    for number in used:
        if source.is_stream(number):
            dictionary, bytes_of_it = source.stream(number)
            dictionary[b"/Length"] = b"%d" % len(bytes_of_it)
            objects.append((_renumbered(write(dictionary), moved), bytes_of_it))
        else:
            objects.append((_renumbered(source.value(number), moved), None))
    return SealPicture(right - left, top - bottom, objects)


def _used(source: Pdf, value: bytes) -> list[int]:
    """All objects that a value leads to."""
    found: list[int] = []
    waiting = [value]
    while waiting:
        for match in references(waiting.pop()):
            number = int(match[1])
            if number in found:
                continue
            if len(found) == _MOST_OBJECTS:
                raise PdfRefused("the picture has more parts than a seal's may have")
            found.append(number)
            inner = source.value(number)
            if any(name in inner for name in _FORBIDDEN if name + b" " in inner or name + b"/" in inner):
                raise PdfRefused("the picture has parts that a seal's may not have")
            waiting.append(inner)
    return found


def _renumbered(value: bytes, moved: dict[int, int]) -> bytes:
    pieces, at = [], 0
    for match in references(value):
        number = moved.get(int(match[1]))
        if number is None:
            raise PdfRefused("the picture refers to what it does not hold")
        pieces += [value[at : match.start()], b"%d 0 R" % number]
        at = match.end()
    return b"".join([*pieces, value[at:]])
