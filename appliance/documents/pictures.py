"""A tenant's seal as a picture: PNG or SVG, set by typst on a page of its size, and taken out as a form."""

from __future__ import annotations

import base64
import re
import struct
from typing import Final

import typst

from appliance.documents.contracts import SealPictureRequest
from appliance.documents.errors import NotRendered
from appliance.pdf import SealPicture, read_picture

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS: Final = 4_000_000
_ACTIVE: Final = re.compile(
    rb"<!DOCTYPE|<!ENTITY|<\s*(?:\w+:)?(?:script|foreignObject|image|use|text|tspan|style|a|animate\w*|set)\b"
    rb"|\bon\w+\s*=|href|url\s*\(\s*['\"]?\s*(?!#)|@import",
    re.IGNORECASE,
)
"""What a drawing of a seal does not need: it could act, or bring in what is not in the file. Text is drawn as paths, so
that the seal looks the same everywhere."""
_TEMPLATE: Final = b"""#set page(width: SIDEmm, height: SIDEmm, margin: 0mm, fill: none)
#image(bytes(sys.inputs.image), format: "svg", width: 100%, height: 100%, fit: "contain")
"""


def render_picture(request: SealPictureRequest) -> SealPicture:
    """Raises NotRendered, PdfRefused."""
    svg = _of_png(request.image) if request.image.startswith(_PNG) else _of_svg(request.image)
    compiler = typst.Compiler(b"", ignore_system_fonts=True)
    try:
        made = compiler.compile(
            _TEMPLATE.replace(b"SIDE", f"{request.side_mm:.2f}".encode()),
            format="pdf",
            sys_inputs={"image": svg},
            pdf_standards=["a-3b"],
            pdf_tags=False,
            timestamp=0,
        )
    except (typst.TypstError, RuntimeError) as error:
        raise NotRendered(f"image: {error}") from None
    if not isinstance(made, bytes):
        raise NotRendered("image: it came in pieces")
    return read_picture(made)


def _of_png(image: bytes) -> str:
    if len(image) < 33 or image[12:16] != b"IHDR":
        raise NotRendered("image: the PNG has no header")
    width, height = struct.unpack(">II", image[16:24])
    if not (width > 0 and height > 0 and width * height <= _MOST_PIXELS):
        raise NotRendered(f"image: a seal has at most {_MOST_PIXELS} pixels")
    encoded = base64.b64encode(image).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{encoded}"/></svg>'
    )


def _of_svg(image: bytes) -> str:
    if (found := _ACTIVE.search(image)) is not None:
        raise NotRendered(f"image: a seal's SVG may not have {found[0][:40].decode('utf-8', 'replace')}")
    try:
        return image.decode()
    except UnicodeDecodeError:
        raise NotRendered("image: it is neither PNG nor SVG in UTF-8") from None
