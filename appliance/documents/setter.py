"""What the box's own setter of letters needs: the faces, and the profile of colours, which typst's files have."""

from __future__ import annotations

import functools
import mmap
import struct
from typing import Final

from appliance.documents.errors import FontsMissing
from appliance.documents.rendering import FONTS
from appliance.pdf.reader import Pdf
from appliance.pdf.setting import Face, Profile
from appliance.pdf.syntax import array, dictionary, reference

_FAMILY: Final = "Noto Serif CJK SC"
_FILES: Final = ("NotoSerifCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc")


@functools.cache
def faces() -> tuple[Face, Face]:
    """Regular and bold. The keeper opens them before it forks; what a worker finds out of them is its own.

    Raises FontsMissing."""
    regular, bold = map(_face, _FILES)
    return regular, bold


def _face(name: str) -> Face:
    try:
        with (FONTS / name).open("rb") as file:
            return Face(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), _FAMILY)
    except (OSError, LookupError, ValueError, struct.error) as error:
        raise FontsMissing(f"the box lacks the font {name}: install fonts-noto-cjk ({error})") from None


def profile_of(pdf: bytes) -> Profile:
    """The profile that a PDF/A of typst holds. Raises PdfRefused."""
    source = Pdf(pdf)
    (intent,) = array(source.resolved(source.members(source.root)[b"/OutputIntents"]))
    told = dictionary(source.resolved(intent))
    members, content = source.stream(reference(told[b"/DestOutputProfile"]) or 0)
    members.pop(b"/Length")
    info = source.members(reference(source.trailer[b"/Info"]) or 0)
    return Profile(members, content, told[b"/Info"], info[b"/Creator"].decode("ascii").strip("()"))
