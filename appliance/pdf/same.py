"""Whether a PDF that the box rendered shows what its attached JSON says.

Rendering is deterministic, so the first revision of the file is made anew, from the attached JSON and the template
whose digest is recorded, and compared byte by byte. What later revisions add may be seals and what makes them last, in
the place that the page keeps for them, and nothing else: an overlay would show what nobody rendered.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple

from appliance.pdf.errors import PdfRefused
from appliance.pdf.keywords import circumstances_of, renderer_of, template_of
from appliance.pdf.page import MOST_SEALS, Circumstances
from appliance.pdf.places import seal_place
from appliance.pdf.reader import Pdf
from appliance.pdf.repaired import reads_alike_repaired
from appliance.pdf.syntax import array, dictionary, reference

_END: Final = re.compile(rb"startxref\r?\n(\d{1,10})\r?\n%%EOF\r?\n?")
_DATE: Final = re.compile(rb"\(D:(\d{14})Z\)")
_MOST_BYTES: Final = 16 * 1024 * 1024
_SLACK: Final = 1.0
"""Points."""


class Sameness(Enum):
    """What came of the comparison."""

    SAME = "same"
    DIFFERS = "differs"
    """The page is not what the attached JSON gives."""
    ADDED = "added"
    """The page is, but what came later is more than seals."""
    OTHER_RENDERER = "other-renderer"
    """It was set by another version of the setter, of typst, or of what these build on, than made it anew: nothing can
    be said."""


class Rendering(NamedTuple):
    """What a PDF says of how it was made."""

    attachment: bytes
    """The canonical JSON inside."""
    template_digest: str
    """SHA-256, hexadecimal."""
    time_s: int
    creator: bytes
    """What set it, typst or the box's own setter, and in which version, as the file tells it."""
    renderer: bytes
    """What else its bytes hang on: versions of fonts and libraries, as the file tells them."""
    circumstances: Circumstances | None
    """What the page shows that its event does not say; None where the file does not tell."""


def first_revision(pdf: bytes) -> bytes:
    """The file as it was before anything was added. Raises PdfRefused."""
    source = Pdf(pdf)
    end = _END.search(pdf, source.first_table)
    if end is None or int(end[1]) != source.first_table:
        raise PdfRefused("its first revision has no end")
    return pdf[: end.end()]


def read_rendering(pdf: bytes) -> Rendering:
    """What the first revision says. Raises PdfRefused."""
    source = Pdf(_trimmed(first_revision(pdf)))
    info = source.members(reference(source.trailer.get(b"/Info", b"")) or 0)
    keywords = info.get(b"/Keywords", b"")
    template = template_of(keywords)
    date = _DATE.fullmatch(info.get(b"/CreationDate", b""))
    if template is None or date is None:
        raise PdfRefused("it does not say from which template, or when, it was made")
    try:
        time_s = int(datetime.strptime(date[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        time_s = -1
    if time_s < 0:
        raise PdfRefused("its time of making is none")
    return Rendering(
        _attached(source), template, time_s, info.get(b"/Creator", b""), renderer_of(keywords),
        circumstances_of(keywords),
    )  # fmt: skip


def same_letter(pdf: bytes, render: Callable[[Rendering], bytes]) -> Sameness:
    """Compare a PDF with what `render` makes of its own attached JSON, with the template that it names, at its time.

    `render` looks the template up by its digest, makes the page's data from the JSON by the rules of the letter's kind,
    has the page set by what set it (`creator`), and may raise; it takes neither template nor rules from the PDF.
    Raises PdfRefused where the PDF is not one that the box rendered.
    """
    revision = first_revision(pdf)
    rendering = read_rendering(pdf)
    anew = render(rendering)
    if _trimmed(anew) != _trimmed(revision):
        made = read_rendering(anew)
        same_renderer = (made.creator, made.renderer) == (rendering.creator, rendering.renderer)
        return Sameness.DIFFERS if same_renderer else Sameness.OTHER_RENDERER
    return Sameness.SAME if _only_seals_added(Pdf(_trimmed(revision)), Pdf(pdf)) else Sameness.ADDED


def _trimmed(pdf: bytes) -> bytes:
    """Without the line feed at its end, which an update adds."""
    return pdf.rstrip(b"\r\n")


def _attached(source: Pdf) -> bytes:
    for file in array(source.resolved(source.members(source.root).get(b"/AF", b"[]"))):
        members = dictionary(source.resolved(file))
        if members.get(b"/AFRelationship") != b"/Source":
            continue
        number = reference(dictionary(members.get(b"/EF", b"<<>>")).get(b"/F", b""))
        if number is None:
            break
        stream, content = source.stream(number)
        match stream.get(b"/Filter"):
            case None:
                return content
            case b"/FlateDecode":
                return _inflated(content)
        break
    raise PdfRefused("it has no JSON attached as its source")


def _inflated(content: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(content, _MOST_BYTES)
    except zlib.error:
        raise PdfRefused("its attached JSON cannot be unpacked") from None
    if inflating.unconsumed_tail or not inflating.eof:
        raise PdfRefused("its attached JSON is too large")
    return plain


def _only_seals_added(old: Pdf, new: Pdf) -> bool:
    if new.root != old.root or new.trailer.get(b"/Info") != old.trailer.get(b"/Info"):
        return False
    # An object whose number is not below the size is none.
    if new.size < old.size or not reads_alike_repaired(old, new):
        return False
    pages = old.pages()
    last = pages[-1]
    for number in range(1, old.size):
        if new.offset(number) == old.offset(number):
            continue
        before, after = old.members(number), new.members(number)
        if number == old.root:
            allowed = {b"/AcroForm", b"/DSS", b"/Extensions"}
            # Readers that know XFA show it in place of the pages.
            if b"/XFA" in dictionary(new.resolved(after.get(b"/AcroForm", b"<<>>"))):
                return False
        elif number in pages:
            allowed = {b"/Annots"}
        else:
            return False
        if any(before.get(name) != after.get(name) for name in (before.keys() | after.keys()) - allowed):
            return False
        seen = number == last
        if number in pages and not _annotations_are_seals(old, new, before, after, seen=seen):
            return False
    return new.pages() == pages


def _annotations_are_seals(
    old: Pdf, new: Pdf, before: dict[bytes, bytes], after: dict[bytes, bytes], *, seen: bool
) -> bool:
    """`seen`: whether seals may be seen on this page."""
    there = array(old.resolved(before.get(b"/Annots", b"[]")))
    now = array(new.resolved(after.get(b"/Annots", b"[]")))
    return now[: len(there)] == there and all(
        _is_seal(dictionary(new.resolved(one)), seen) for one in now[len(there) :]
    )


def _is_seal(annotation: dict[bytes, bytes], seen: bool) -> bool:
    if annotation.get(b"/Subtype") != b"/Widget" or annotation.get(b"/FT") != b"/Sig":
        return False
    if annotation.keys() & {b"/A", b"/AA"}:  # what it would do
        return False
    try:
        left, bottom, right, top = (float(side) for side in array(annotation.get(b"/Rect", b"")))
    except ValueError:
        return False
    if left == right and bottom == top:
        return True
    first, last = seal_place(0, MOST_SEALS), seal_place(MOST_SEALS - 1, MOST_SEALS)
    return (
        seen
        and left <= right  # any two opposite corners are a rectangle to readers
        and bottom <= top
        and left >= first.left - _SLACK
        and bottom >= first.bottom - _SLACK
        and right <= last.right + _SLACK
        and top <= last.top + _SLACK
    )
