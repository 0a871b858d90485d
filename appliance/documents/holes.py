"""Room for the value of a signature in a PDF that pyHanko writes: the file before it and after it."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any

from pyhanko.pdf_utils import misc
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.signers import cms_embedder, pdf_byterange


def free_name(writer: IncrementalPdfFileWriter, kind: str) -> str:
    """A name that no signature field has."""
    taken = {name for name, _, _ in enumerate_sig_fields(writer)}
    return next(name for number in count(1) if (name := f"{kind}{number}") not in taken)


def opened(cms: Generator[Any, Any, None], placeholder: pdf_byterange.PdfSignedData, room: int) -> tuple[bytes, bytes]:
    """The file before and after the room of `room` bytes. `cms`: pyHanko's embedder, its field made."""
    cms.send(cms_embedder.SigObjSetup(sig_placeholder=placeholder))
    prepared, output = cms.send(cms_embedder.SigIOSetup(md_algorithm="sha256"))
    whole = output.getvalue()
    start, end = prepared.reserved_region_start, prepared.reserved_region_end
    if whole[start:end] != b"<" + b"0" * (2 * room) + b">":
        raise misc.PdfWriteError("the place of the value is not where it should be")
    return whole[:start], whole[end:]
