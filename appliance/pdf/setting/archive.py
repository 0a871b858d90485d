"""The file around the pages: PDF 1.7 as PDF/A-3b (ISO 19005-3) has it, with one file attached as its source."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from appliance.pdf.setting.face import Face, Part
from appliance.pdf.setting.sheet import HEIGHT, WIDTH
from appliance.pdf.syntax import text_string, write
from appliance.pdf.update import stream

_PACKED: Final = {b"/Filter": b"/FlateDecode"}
_CATALOGUE, _INFO, _PAGES, _METADATA, _PROFILE, _INTENT, _ATTACHMENT, _FILE, _UNICODE, _FREE = range(1, 11)
_FONT_OBJECTS: Final = 4
_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
    "<dc:format>application/pdf</dc:format>"
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>'
    "<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>"
    "<dc:language><rdf:Bag><rdf:li>zh-CN</rdf:li></rdf:Bag></dc:language>"
    "<pdf:Keywords>{keywords}</pdf:Keywords><xmp:CreatorTool>{creator}</xmp:CreatorTool>"
    "<xmp:CreateDate>{time}</xmp:CreateDate><xmp:ModifyDate>{time}</xmp:ModifyDate>"
    "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def _to_unicode() -> bytes:
    """CIDs are code points. Two blocks, since one may have 100 ranges only; surrogates are no characters."""
    highs = [high for high in range(256) if not 0xD8 <= high <= 0xDF]
    blocks = [highs[start : start + 100] for start in range(0, len(highs), 100)]
    ranges = "".join(
        f"{len(block)} beginbfrange\n" + "".join(f"<{h:02x}00><{h:02x}ff><{h:02x}00>\n" for h in block) + "endbfrange\n"
        for block in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo <</Registry (Adobe)/Ordering (UCS)/Supplement 0>> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000><ffff>\nendcodespacerange\n{ranges}"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


_TO_UNICODE: Final = stream(_PACKED, zlib.compress(_to_unicode(), 9))


class Profile(NamedTuple):
    """The profile of colours that PDF/A asks for, as typst's own files have it."""

    members: dict[bytes, bytes]
    content: bytes
    description: bytes
    """A text string as it stands."""
    origin: str
    """Which typst it is of."""


class Told(NamedTuple):
    """What the file says of itself."""

    title: str
    author: str
    keywords: str
    creator: str
    time_s: int


class Attachment(NamedTuple):
    """The file inside. `description` is for people."""

    name: str
    content: bytes
    media_type: str
    description: str


def archived(
    pages: Sequence[bytes], fonts: Sequence[tuple[Face, Part]], told: Told, attachment: Attachment, profile: Profile
) -> bytes:
    """The file. `fonts`: by the number that the pages call them."""
    moment = datetime.fromtimestamp(told.time_s, UTC)
    date = moment.strftime("(D:%Y%m%d%H%M%SZ)").encode()
    first_page = _FREE + _FONT_OBJECTS * len(fonts)
    numbers = range(first_page, first_page + 2 * len(pages), 2)
    attached = b"[%d 0 R]" % _ATTACHMENT
    name = text_string(attachment.name)
    file = b"<</F %d 0 R/UF %d 0 R>>" % (_FILE, _FILE)
    packed = zlib.compress(attachment.content, 1)
    media_type = attachment.media_type.replace("/", "#2f").encode()
    objects = [
        write({
            b"/Type": b"/Catalog", b"/Pages": b"%d 0 R" % _PAGES, b"/Metadata": b"%d 0 R" % _METADATA,
            b"/Lang": b"(zh-CN)", b"/OutputIntents": b"[%d 0 R]" % _INTENT, b"/AF": attached,
            b"/Names": b"<</EmbeddedFiles<</Names[%b %d 0 R]>>>>" % (name, _ATTACHMENT),
        }),
        write({
            b"/Title": text_string(told.title), b"/Author": text_string(told.author),
            b"/Keywords": text_string(told.keywords), b"/Creator": text_string(told.creator),
            b"/CreationDate": date, b"/ModDate": date,
        }),
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (len(pages), b" ".join(b"%d 0 R" % number for number in numbers)),
        stream({b"/Type": b"/Metadata", b"/Subtype": b"/XML"}, _metadata(told, moment)),
        stream(profile.members, profile.content),
        write({
            b"/Type": b"/OutputIntent", b"/S": b"/GTS_PDFA1", b"/OutputConditionIdentifier": b"(Custom)",
            b"/OutputCondition": b"(sRGB)", b"/RegistryName": b"()", b"/Info": profile.description,
            b"/DestOutputProfile": b"%d 0 R" % _PROFILE,
        }),
        write({
            b"/Type": b"/Filespec", b"/AFRelationship": b"/Source", b"/F": name, b"/UF": name, b"/EF": file,
            b"/Desc": text_string(attachment.description),
        }),
        stream({
            b"/Type": b"/EmbeddedFile", b"/Subtype": b"/" + media_type, **_PACKED,
            b"/Params": b"<</ModDate%b/Size %d>>" % (date, len(attachment.content)),
        }, packed),
        _TO_UNICODE,
    ]  # fmt: skip
    for number, (face, part) in enumerate(fonts):
        objects += _font(face, part, _FREE + _FONT_OBJECTS * number)
    used = b"".join(b"/F%d %d 0 R" % (number, _FREE + _FONT_OBJECTS * number) for number in range(len(fonts)))
    for number, content in zip(numbers, pages, strict=True):
        objects.append(
            b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 %.4f %.4f]/Resources<</Font<<%b>>>>/Contents %d 0 R>>"
            % (_PAGES, WIDTH, HEIGHT, used, number + 1)
        )
        objects.append(stream(_PACKED, zlib.compress(content, 1)))
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    pieces = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
    pieces += [b"%d 0 obj\n%b\nendobj\n" % (number, body) for number, body in enumerate(objects, start=1)]
    *offsets, table = accumulate(map(len, pieces))
    body = b"".join(pieces)
    identifier = hashlib.sha256(body).hexdigest()[:32].encode()
    return b"%bxref\n0 %d\n0000000000 65535 f \n%btrailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (
        body,
        len(objects) + 1,
        b"".join(b"%010d 00000 n \n" % offset for offset in offsets),
        write({
            b"/Size": b"%d" % (len(objects) + 1), b"/Root": b"%d 0 R" % _CATALOGUE, b"/Info": b"%d 0 R" % _INFO,
            b"/ID": b"[<%b><%b>]" % (identifier, identifier),
        }),
        table,
    )  # fmt: skip


def _font(face: Face, part: Part, number: int) -> list[bytes]:
    name = b"/" + part.name.encode()
    left, bottom, right, top = face.tables.box
    return [
        write({
            b"/Type": b"/Font", b"/Subtype": b"/Type0", b"/BaseFont": name + b"-Identity-H",
            b"/Encoding": b"/Identity-H", b"/DescendantFonts": b"[%d 0 R]" % (number + 1),
            b"/ToUnicode": b"%d 0 R" % _UNICODE,
        }),
        write({
            b"/Type": b"/Font", b"/Subtype": b"/CIDFontType0", b"/BaseFont": name,
            b"/CIDSystemInfo": b"<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>",
            b"/FontDescriptor": b"%d 0 R" % (number + 2), b"/DW": b"1000", b"/W": b"[%b]" % part.widths,
        }),
        write({
            b"/Type": b"/FontDescriptor", b"/FontName": name, b"/Flags": b"6", b"/ItalicAngle": b"0",
            b"/FontBBox": b"[%d %d %d %d]" % (left, bottom, right, top), b"/StemV": b"80",
            b"/Ascent": b"880", b"/Descent": b"-120", b"/CapHeight": b"729", b"/FontFile3": b"%d 0 R" % (number + 3),
        }),
        stream({b"/Subtype": b"/CIDFontType0C"}, part.font),
    ]  # fmt: skip


def _metadata(told: Told, moment: datetime) -> bytes:
    return _XMP.format(
        title=escape(told.title),
        author=escape(told.author),
        keywords=escape(told.keywords),
        creator=escape(told.creator),
        time=moment.isoformat(),
    ).encode()
