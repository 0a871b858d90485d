"""What a reader finds in a PDF that it repairs.

Where a table seems broken to it, it leaves all tables alone and goes by what stands in the file: of objects with the
same number the last, and any trailer. What is added to a PDF must not be another page for such a reader than it is for
one that follows the tables.
"""

from __future__ import annotations

import re
from typing import Final

from appliance.pdf.errors import PdfRefused
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import dictionary

_OBJECT: Final = re.compile(rb"(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,10}[\x00\t\n\x0c\r ]+obj")
_COMMENT: Final = re.compile(rb"%[^\r\n]*")
_TRAILER: Final = re.compile(rb"trailer")
_NAME: Final = re.compile(rb"/[A-Za-z#0-9]{4,24}")
_CODE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_TABLES: Final = frozenset((b"/XRef", b"/ObjStm", b"/XRefStm"))
"""Streams that hold objects, or say where objects are, and what leads to them: no PDF of ours has them."""


def reads_alike_repaired(old: Pdf, new: Pdf) -> bool:
    """Whether objects of the old PDF, and its catalogue, are in the new one what its tables say, also by its bytes."""
    data, begins = new.data, len(old.data)
    # Comments are space to some readers, and to others none.
    for text in (data, _COMMENT.sub(lambda found: b" " * len(found[0]), data)):
        last = {int(found[1]): found.start(1) for found in _OBJECT.finditer(text, begins)}
        if any(number < old.size and new.offset(number) != at for number, at in last.items()):
            return False
    if any(_CODE.sub(_decoded, found[0]) in _TABLES for found in _NAME.finditer(data, begins)):
        return False
    return all(_leads_to(data, found.end(), old) for found in _TRAILER.finditer(data, begins))


def _decoded(code: re.Match[bytes]) -> bytes:
    return bytes.fromhex(code[1].decode())


def _leads_to(data: bytes, at: int, old: Pdf) -> bool:
    try:
        return dictionary(data, at).get(b"/Root") == old.trailer[b"/Root"]
    except PdfRefused:
        return False
