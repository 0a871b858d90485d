"""A tenant's seal as a picture: PNG or SVG, set by typst on a page of its size, and taken out as a form."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Final

import typst

from appliance.documents.contracts import SealPictureRequest
from appliance.documents.errors import NotRendered
from appliance.pdf import SealPicture, read_picture

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS: Final = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT"}
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
    png = request.only_png or request.image.startswith(_PNG)
    svg = _of_png(request.image) if png else _of_svg(request.image)
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
    width, height = _checked_png(image)
    encoded = base64.b64encode(image).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" href="data:image/png;base64,{encoded}"/></svg>'
    )


def _checked_png(image: bytes) -> tuple[int, int]:
    """Width and height. A PNG (ISO/IEC 15948) of its pixels alone: one picture, no text, nothing after its end."""
    if not image.startswith(_PNG):
        raise NotRendered("image: it is no PNG")
    at, names = len(_PNG), list[bytes]()
    while at < len(image):
        length = int.from_bytes(image[at : at + 4], "big")
        name, content = image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        if image[at + 8 + length : at + 12 + length] != zlib.crc32(name + content).to_bytes(4, "big"):
            raise NotRendered("image: the PNG is damaged")
        if name not in _PNG_CHUNKS:
            raise NotRendered(f"image: a seal's PNG may not have a chunk {name.decode('ascii', 'replace')}")
        names.append(name)
        at += 12 + length
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or names.count(b"IHDR") + names.count(b"IEND") != 2:
        raise NotRendered("image: the PNG is not whole")
    width, height = struct.unpack(">II", image[16:24])
    if not (width > 0 and height > 0 and width * height <= _MOST_PIXELS):
        raise NotRendered(f"image: a seal has at most {_MOST_PIXELS} pixels")
    return width, height


def _of_svg(image: bytes) -> str:
    if (found := _ACTIVE.search(image)) is not None:
        raise NotRendered(f"image: a seal's SVG may not have {found[0][:40].decode('utf-8', 'replace')}")
    try:
        return image.decode()
    except UnicodeDecodeError:
        raise NotRendered("image: it is neither PNG nor SVG in UTF-8") from None
