"""Keywords of a letter's PDF: from which template it was set and by what, and what its page shows that its event does
not say. Whoever has the event sets the page again with that, and compares (appliance.pdf.same).

All of it is ASCII, texts percent-encoded (RFC 3986), and no value holds what parts keywords.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from appliance.pdf.errors import PdfRefused
from appliance.pdf.page import Circumstances

_TEXT: Final = rb"([A-Za-z0-9%._~:/-]*)"
_TEMPLATE: Final = re.compile(rb"template-sha256:([0-9a-f]{64})")
_RENDERER: Final = re.compile(rb"renderer:" + _TEXT)
_CIRCUMSTANCES: Final = re.compile(
    rb", page-rules:([1-9][0-9]{0,5}), organisation:" + _TEXT + rb", verify:" + _TEXT
    + rb", rehearsal:(yes|no), hidden:([a-z0-9_.]*)"
)  # fmt: skip


def written_keywords(template: str, renderer: str, circumstances: Circumstances | None) -> list[str]:
    """`template`: SHA-256, hexadecimal; `renderer`: all else that the file's bytes hang on, beside its creator."""
    told = [f"template-sha256:{template}", f"renderer:{_quoted(renderer)}"]
    if circumstances is not None:
        told += [
            f"page-rules:{circumstances.rules}",
            f"organisation:{_quoted(circumstances.organisation)}",
            f"verify:{_quoted(circumstances.verify)}",
            f"rehearsal:{'yes' if circumstances.rehearsal else 'no'}",
            f"hidden:{'.'.join(circumstances.hidden)}",
        ]
    return told


@lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    return quote(text, safe=":/")


def template_of(keywords: bytes) -> str | None:
    """The template's digest, of the document's `/Keywords` as they stand."""
    found = _TEMPLATE.search(keywords)
    return None if found is None else found[1].decode()


def renderer_of(keywords: bytes) -> bytes:
    """As it stands; empty in PDFs from before it was told."""
    found = _RENDERER.search(keywords)
    return b"" if found is None else found[1]


def circumstances_of(keywords: bytes) -> Circumstances | None:
    """None in PDFs from before they were told, and where the page is not of an event. Raises PdfRefused."""
    found = _CIRCUMSTANCES.search(keywords)
    if found is None:
        return None
    return Circumstances(
        rules=int(found[1]),
        organisation=_text(found[2]),
        verify=_text(found[3]),
        rehearsal=found[4] == b"yes",
        hidden=[name for name in found[5].decode().split(".") if name],
    )


def _text(quoted: bytes) -> str:
    try:
        return unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        raise PdfRefused("its keywords are not UTF-8") from None
