"""Letters as PDF/A-3b, with the letter's canonical JSON inside as the file that they were made from.

The box sets its own template itself (appliance.pdf.setting) where it knows how; all else is set by typst.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import zlib
from typing import Final

import msgspec
import segno
import typst

from appliance.documents.codes import qr_modules, qr_svg
from appliance.documents.contracts import RenderLetterRequest
from appliance.documents.errors import FontsMissing, NotRendered
from appliance.documents.inert import inert
from appliance.documents.rendering import FONTS, TEMPLATES
from appliance.documents.setter import faces, profile_of
from appliance.pdf.keywords import written_keywords
from appliance.pdf.page import LetterPage, laid_out, read_page
from appliance.pdf.setting import TEMPLATE as SET_HERE
from appliance.pdf.setting import Attachment, BeyondSetter, Profile, set_letter

FAMILIES: Final = ("Noto Serif CJK SC", "Noto Sans CJK SC")
ATTACHED: Final = "letter.json"
"""The name of the attached file."""
_MEDIA_TYPE: Final = "application/json"
_DESCRIPTION: Final = "The letter that this page shows 本页所示文书的数据"
_ATTACH: Final = (
    f'\n#pdf.attach("{ATTACHED}", bytes(sys.inputs.attachment), relationship: "source", '
    f'mime-type: "{_MEDIA_TYPE}", description: "{_DESCRIPTION}")\n'
).encode()
_STANDARD: Final = "a-3b"
_TYPST: Final = b"(Typst "
_GROUND: Final = f"zlib {zlib.ZLIB_RUNTIME_VERSION}, segno {segno.__version__}"
"""What a page that the box's own setter sets hangs on, beside what its creator says."""
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
    faces()
    _typsts_ground()
    return found


@functools.cache
def _typsts_ground() -> str:
    """What a page that typst sets hangs on, beside typst: it takes a character from any font that has it."""
    found = sorted((str(path.relative_to(FONTS)), path.stat().st_size) for path in FONTS.rglob("*") if path.is_file())
    return f"fonts {hashlib.sha256(_json(found).encode()).hexdigest()[:16]}, segno {segno.__version__}"


@functools.cache
def _compiler() -> typst.Compiler:
    """One for the life of the worker: what typst found out about fonts and templates is kept."""
    return typst.Compiler(b"", font_paths=fonts(), ignore_system_fonts=True)


def template_digest(source: bytes) -> str:
    """SHA-256 of a template's bytes, hexadecimal: its name in records."""
    return hashlib.sha256(source).hexdigest()


def render_letter(request: RenderLetterRequest) -> bytes:
    """The PDF of a letter; equal requests give equal bytes. Raises FontsMissing, NotRendered, PageRefused."""
    page = None
    if request.template_source is None:
        if request.template != "letter":
            raise NotRendered("template: the box has no such template of its own")
        page, source = read_page(request.data), _own(request.template_digest)
    elif request.template_digest:
        source = request.template_source
    else:
        raise NotRendered("template_digest: a template that is brought needs the digest that its quorum approved")
    digest = template_digest(source)
    if request.template_digest not in ("", digest):
        raise NotRendered(f"template: its digest is {digest}, not the one that is asked for")
    attachment = _attachment(request.attachment)
    if page is not None and digest == SET_HERE and not request.creator.startswith(_TYPST):
        with contextlib.suppress(BeyondSetter):
            return _set_here(request, page, digest)
    data = _json(inert(_given(request.data))) if page is None else _json(_laid_out(page))
    keywords = written_keywords(digest, _typsts_ground(), None if page is None else page.circumstances)
    # Templates from before keywords came whole put the digest among them by themselves.
    return _set_by_typst(
        request, source,
        {"data": data, "attachment": attachment, "template": digest, "keywords": _json(keywords)},
    )  # fmt: skip


def _set_here(request: RenderLetterRequest, page: LetterPage, template: str) -> bytes:
    """Raises BeyondSetter, NotRendered, FontsMissing."""
    return set_letter(
        page,
        None if request.qr is None else qr_modules(request.qr),
        Attachment(ATTACHED, request.attachment, _MEDIA_TYPE, _DESCRIPTION),
        request.time_s,
        faces(),
        _profile(),
        written_keywords(template, _GROUND, page.circumstances),
    )


@functools.cache
def _profile() -> Profile:
    return profile_of(_made(_compiler().compile(b"", format="pdf", pdf_standards=[_STANDARD], timestamp=0)))


def _set_by_typst(request: RenderLetterRequest, source: bytes, inputs: dict[str, str]) -> bytes:
    if request.qr is not None:
        inputs = {**inputs, "qr": qr_svg(request.qr)}
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
    return _made(made)


def _made(made: bytes | list[bytes] | None) -> bytes:
    if not isinstance(made, bytes):
        raise NotRendered("the letter cannot be set: it came in pieces")
    return made


def _laid_out(page: LetterPage) -> dict[str, object]:
    """What the template is given, with nothing hidden in it."""
    return {name: inert(member, breaking=name in _WRAPPED) for name, member in laid_out(page).items()}


def _given(data: str) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotRendered(f"data: {error}") from None


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
