"""Letters set by the box itself: the page of its own template, without typst, where it knows how to.

`set_letter` raises BeyondSetter on everything else (a character that the face lacks or that is joined with others, text
from the right, a value that does not fit its place), and typst sets the letter. Which of both set a PDF, and in which
version, the PDF says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.pdf.page import LetterPage
from appliance.pdf.setting.archive import Attachment, Profile, Told, archived
from appliance.pdf.setting.errors import BeyondSetter
from appliance.pdf.setting.face import Face
from appliance.pdf.setting.letter import TEMPLATE, set_pages
from appliance.pdf.setting.sheet import Sheet

__all__ = ["SETTER", "TEMPLATE", "Attachment", "BeyondSetter", "Face", "Profile", "set_letter"]

SETTER: Final = "Cinnabar letter setter 2"
"""Name and version: another version wherever a page would come out otherwise."""


def _creator(faces: tuple[Face, Face], profile: Profile) -> str:
    """What a PDF says of its making: all that a page's bytes hang on beside its data."""
    regular = faces[0].tables
    return f"{SETTER}, {regular.postscript_name} {regular.revision:.3f}, profile of {profile.origin}"


def set_letter(
    page: LetterPage,
    qr: Sequence[bytearray] | None,
    attachment: Attachment,
    time_s: int,
    faces: tuple[Face, Face],
    profile: Profile,
    keywords: Sequence[str],
) -> bytes:
    """The PDF of a letter; equal arguments give equal bytes. Raises BeyondSetter.

    `qr`: modules by rows; `faces`: regular and bold; `time_s`: of its making, seconds since the epoch; `keywords`: as
    appliance.pdf.keywords writes them."""
    sheet = Sheet(faces)
    set_pages(sheet, page, qr)
    told = Told(
        f"{page.title.zh} {page.title.en}",
        page.issuer.zh if page.issuer.one else f"{page.issuer.zh} {page.issuer.en}",
        ", ".join(keywords),
        _creator(faces, profile),
        time_s,
    )
    fonts = [(face, face.part(used)) for face, used in zip(faces, sheet.used, strict=True)]
    return archived([b"".join(content) for content in sheet.pages], fonts, told, attachment, profile)
