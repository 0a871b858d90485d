"""Letters as PDF/A-3b, set by typst, with the letter's canonical JSON inside as the file that they were made from."""

from __future__ import annotations

import functools
import hashlib
from typing import Final

import msgspec
import typst

from appliance.documents.codes import qr_svg
from appliance.documents.contracts import RenderLetterRequest
from appliance.documents.errors import FontsMissing, NotRendered
from appliance.documents.inert import inert
from appliance.documents.rendering import FONTS, TEMPLATES
from appliance.pdf.page import laid_out, read_page

FAMILIES: Final = ("Noto Serif CJK SC", "Noto Sans CJK SC")
ATTACHED: Final = "letter.json"
"""The name of the attached file."""
_ATTACH: Final = (
    f'\n#pdf.attach("{ATTACHED}", bytes(sys.inputs.attachment), relationship: "source", '
    'mime-type: "application/json", description: "The letter that this page shows 本页所示文书的数据")\n'
).encode()
_STANDARD: Final = "a-3b"
_WRAPPED: Final = {"statement", "sections", "tables", "notes"}
"""Members of a page that stand in columns."""


@functools.cache
def fonts() -> typst.Fonts:
    """The fonts of letters. The keeper reads them before it forks, so that all workers share them.

    Raises FontsMissing."""
    found = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS)])
    missing = sorted(set(FAMILIES) - set(found.families()))
    if missing:
        # Without a font typst leaves the text out.
        raise FontsMissing(f"the box lacks the font {missing[0]}: install fonts-noto-cjk")
    return found


@functools.cache
def _compiler() -> typst.Compiler:
    """One for the life of the worker: what typst found out about fonts and templates is kept."""
    return typst.Compiler(b"", font_paths=fonts(), ignore_system_fonts=True)


def template_digest(source: bytes) -> str:
    """SHA-256 of a template's bytes, hexadecimal: its name in records."""
    return hashlib.sha256(source).hexdigest()


def render_letter(request: RenderLetterRequest) -> bytes:
    """The PDF of a letter; equal requests give equal bytes. Raises FontsMissing, NotRendered, PageRefused."""
    source, data = _template(request)
    digest = template_digest(source)
    if request.template_digest not in ("", digest):
        raise NotRendered(f"template: its digest is {digest}, not the one that is asked for")
    inputs = {"data": data, "attachment": _attachment(request.attachment), "template": digest}
    if request.qr is not None:
        inputs["qr"] = qr_svg(request.qr)
    try:
        made = _compiler().compile(
            source + _ATTACH,
            format="pdf",
            sys_inputs=inputs,
            pdf_standards=[_STANDARD],
            pdf_tags=False,
            timestamp=request.time_s,
        )
    except (typst.TypstError, RuntimeError) as error:
        raise NotRendered(f"the letter cannot be set: {error}") from None
    if not isinstance(made, bytes):
        raise NotRendered("the letter cannot be set: it came in pieces")
    return made


def _template(request: RenderLetterRequest) -> tuple[bytes, str]:
    """The source, and its data as JSON with nothing hidden in it."""
    if request.template_source is None:
        if request.template != "letter":
            raise NotRendered("template: the box has no such template of its own")
        page = read_page(request.data)
        return _own(request.template_digest), _json(
            {name: inert(member, breaking=name in _WRAPPED) for name, member in laid_out(page).items()}
        )
    if not request.template_digest:
        raise NotRendered("template_digest: a template that is brought needs the digest that its quorum approved")
    try:
        data = msgspec.json.decode(request.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotRendered(f"data: {error}") from None
    return request.template_source, _json(inert(data))


def _own(digest: str) -> bytes:
    """The box's own template: the version with this digest, or the newest. The others stand beside it, letter-N.typ,
    so that letters set from them can be set again."""
    for name, source in TEMPLATES.items():
        if (name == "letter" or name.startswith("letter-")) and template_digest(source) == digest:
            return source
    return TEMPLATES["letter"]


def _json(data: object) -> str:
    return msgspec.json.encode(data).decode()


def _attachment(attachment: bytes) -> str:
    try:
        return attachment.decode()
    except UnicodeDecodeError:
        raise NotRendered("attachment: it is not JSON in UTF-8") from None
