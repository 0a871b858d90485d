"""PDFs that others made: judged, and made ready for a seal, by pyHanko, in a document worker.

What makes a page do something, or show something else at another time, is refused: scripts, actions that begin of
themselves, XFA, layers that are hidden at first, media. So is a signed PDF whose signatures do not hold, or that was
changed after them in a way that its signatures do not allow. What a reader should know and may accept is told.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel, SuspiciousModification
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import cms_embedder, pdf_byterange
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.validation import EmbeddedPdfSignature, SignatureCoverageLevel
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko.sign.validation.pdf_embedded import read_certification_data

from appliance.documents.contracts import PreparedForeign, PreparePdfRequest
from appliance.documents.first_signature import member, only_signed
from appliance.documents.holes import free_name, opened
from appliance.pdf import PdfRefused, SealPicture
from appliance.quoting import quote

_MOST_OBJECTS: Final = 200_000
_REFUSED_MEMBERS: Final = {
    "/JS": "a script",
    "/AA": "actions that begin of themselves",
    "/OpenAction": "an action that begins when it is opened",
    "/XFA": "an XFA form",
    "/RichMediaContent": "rich media",
    "/3DD": "a 3D model",
    "/AlternatePresentations": "a slide show",
}
_REFUSED_ACTIONS: Final = {
    "/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/ResetForm", "/Movie", "/Sound", "/Rendition", "/Hide",
    "/SetOCGState", "/Trans", "/GoToE", "/RichMediaExecute",
}  # fmt: skip
_REFUSED_ANNOTATIONS: Final = {"/Movie", "/Sound", "/Screen", "/RichMedia", "/3D"}
_ANNOTATIONS_SEEN: Final = {"/Widget", "/FreeText", "/Stamp", "/Text", "/Square", "/Ink", "/Link", "/Highlight"}
_NOT_SEEN: Final = 0x02 | 0x20
"""Flags of an annotation: hidden, not to be viewed (ISO 32000-1, 12.5.3)."""
_AFTER_END: Final = re.compile(rb"%%EOF(\r\n|\n|\r)?")
_OPEN_DESTINATION: Final = (generic.ArrayObject, generic.NameObject, generic.TextStringObject)


def prepare_foreign(request: PreparePdfRequest) -> PreparedForeign:
    """See the module. Raises PdfRefused."""
    try:
        reader = PdfFileReader(io.BytesIO(request.pdf), strict=True)
        if reader.encrypted:
            raise PdfRefused("pdf: it is encrypted")
        findings = sorted(_judge_parts(reader) | _judge_signatures(reader))
        signers, first_ends = _signed_before(reader, request.pdf)
        writer = IncrementalPdfFileWriter(io.BytesIO(request.pdf), strict=True)
        writer.register_extension(ESIC_EXTENSION_1)
        before, after = _seal_field(request, writer, free_name(writer, "Seal"))
    except PdfRefused:
        raise
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - pyHanko's readers raise whatever a broken file makes them meet
        raise PdfRefused(f"pdf: it cannot be read: {quote(str(error), 200)}") from None
    if not before.startswith(request.pdf):
        raise PdfRefused("pdf: it cannot be kept as it is")
    return PreparedForeign(before[len(request.pdf) :], after, request.room, findings, signers, first_ends)


def _judge_parts(reader: PdfFileReader) -> set[str]:
    """What the PDF is made of."""
    findings: set[str] = set()
    for value in _everything(reader):
        if not isinstance(value, generic.DictionaryObject):
            continue
        for name, what in _REFUSED_MEMBERS.items():
            if name in value and not _only_a_destination(name, value):
                raise PdfRefused(f"pdf: it has {what}")
        if member(value, "/S") in _REFUSED_ACTIONS:
            raise PdfRefused(f"pdf: it has an action {value['/S']}")
        if member(value, "/Subtype") in _REFUSED_ANNOTATIONS:
            raise PdfRefused(f"pdf: it has an annotation {value['/Subtype']}")
        if "/OCProperties" in value:
            findings |= _judge_layers(value["/OCProperties"])
        if "/EF" in value:
            findings.add("attachments")
        if member(value, "/S") == "/URI":
            findings.add("links")
        if member(value, "/FT") not in {None, "/Sig"}:
            findings.add("form-fields")
        if member(value, "/Subtype") in _ANNOTATIONS_SEEN and int(member(value, "/F") or 0) & _NOT_SEEN:
            findings.add("hidden-annotations")
    if reader.xrefs.total_revisions > 1 and not reader.embedded_signatures:
        findings.add("earlier-revisions")
    return findings


def _only_a_destination(name: str, value: generic.DictionaryObject) -> bool:
    """Whether an /OpenAction says which page is shown first, and no more."""
    if name != "/OpenAction":
        return False
    opened = value[name]
    return isinstance(opened, _OPEN_DESTINATION) or (
        isinstance(opened, generic.DictionaryObject) and member(opened, "/S") == "/GoTo" and "/Next" not in opened
    )


def _judge_layers(properties: Any) -> set[str]:
    """Layers are told of; one that is not shown at first, or shown by circumstances, is refused."""
    configurations = [member(properties, "/D"), *(member(properties, "/Configs") or ())]
    for one in configurations:
        if one is None:
            continue
        configuration = one.get_object()
        if (member(configuration, "/BaseState") or "/ON") != "/ON" or len(member(configuration, "/OFF") or ()):
            raise PdfRefused("pdf: it has a layer that is hidden at first")
        if len(member(configuration, "/AS") or ()):
            raise PdfRefused("pdf: it has a layer that is shown or hidden by circumstances")
    return {"layers"}


def _everything(reader: PdfFileReader) -> Iterator[Any]:
    """All values that the catalogue leads to, each object once."""
    seen: set[tuple[int, int]] = set()
    waiting: list[Any] = [reader.root]
    looked_at = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, generic.IndirectObject):
            key = (value.idnum, value.generation)
            if key in seen:
                continue
            seen.add(key)
            value = value.get_object()  # type: ignore[no-untyped-call]
        looked_at += 1
        if looked_at > _MOST_OBJECTS:
            raise PdfRefused("pdf: it has too many parts")
        yield value
        if isinstance(value, generic.DictionaryObject):
            waiting += [value.raw_get(name) for name in value]
        elif isinstance(value, generic.ArrayObject):
            waiting += [value.raw_get(at) for at in range(len(value))]


def _judge_signatures(reader: PdfFileReader) -> set[str]:
    """Whether what is signed already holds, with what came after it. Whom the signatures are of is not asked here."""
    certification = read_certification_data(reader)
    if certification is not None and certification.permission == MDPPerm.NO_CHANGES:
        raise PdfRefused("pdf: its certification forbids any change, a further seal too")
    for signature in reader.embedded_signatures:
        field = quote(signature.field_name, 64)
        if not _holds(signature):
            raise PdfRefused(f"pdf: its signature {field} does not hold")
        signature.compute_integrity_info()
        if signature.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
            raise PdfRefused(f"pdf: its signature {field} leaves parts of it out")
        changes = signature.diff_result
        if isinstance(changes, SuspiciousModification) or signature.summarise_integrity_info()["docmdp_ok"] is False:
            raise PdfRefused(f"pdf: it was changed after its signature {field} in a way that is not allowed")
        if changes is not None and changes.modification_level > ModificationLevel.FORM_FILLING:
            raise PdfRefused(f"pdf: it was changed after its signature {field} beyond forms and signatures")
    return {"signed"} if reader.embedded_signatures else set()


def _holds(signature: EmbeddedPdfSignature) -> bool:
    if signature.sig_object_type == "/DocTimeStamp":
        content = signature.signed_data["encap_content_info"]
        imprint = content["content"].parsed["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        return bool(imprint["hashed_message"].native == signature.compute_digest(algorithm))
    intact, valid = validate_sig_integrity(
        signature.signer_info, signature.signer_cert, "data", signature.compute_digest()
    )
    return intact and valid


def _field(request: PreparePdfRequest, writer: IncrementalPdfFileWriter, name: str) -> SigFieldSpec:
    if (request.place is None) != (request.picture is None):
        raise PdfRefused("place: a seal that is seen needs a place and a picture")
    if request.place is None:
        return SigFieldSpec(name)
    page, *sides = request.place
    left, bottom, right, top = map(round, sides)
    shown = _shown(writer, page)
    if not (shown[0] <= left < right <= shown[2] and shown[1] <= bottom < top <= shown[3]):
        raise PdfRefused("place: it is not wholly on the page")
    return SigFieldSpec(name, on_page=page, box=(left, bottom, right, top))


def _shown(writer: IncrementalPdfFileWriter, page: int) -> list[float]:
    """The part of a page that is shown, in points: its crop box, or its media box (ISO 32000-1, 14.11.2)."""
    value: Any = writer.find_page_for_modification(page)[0].get_object()  # type: ignore[no-untyped-call]
    while value is not None:
        for name in ("/CropBox", "/MediaBox"):
            if name in value:
                sides = [float(side) for side in value[name]]
                return [min(sides[::2]), min(sides[1::2]), max(sides[::2]), max(sides[1::2])]
        value = value.get("/Parent")
    raise PdfRefused("pdf: a page has no size")


def _drawn(writer: IncrementalPdfFileWriter, picture: SealPicture) -> generic.IndirectObject:
    """The picture written as objects of this file. Returns its form."""
    places = [writer.allocate_placeholder() for _ in picture.objects]
    for place, (value, content) in zip(places, picture.numbered([one.idnum for one in places]), strict=True):
        read: Any = generic.read_object(io.BytesIO(value), generic.Reference(place.idnum, 0, writer))
        if content is not None:
            members = {name: read.raw_get(name) for name in read if name != "/Length"}
            read = generic.StreamObject(members, encoded_data=content)
        writer.add_object(read, idnum=place.idnum)
    return places[0]


def _signed_before(reader: PdfFileReader, pdf: bytes) -> tuple[list[bytes], list[int]]:
    """Who signed already, and where the PDF ended before the first signature or time-stamp: nowhere, if that one's own
    revision changed what was there."""
    signatures = reader.embedded_signatures
    signers = [one.signer_cert.dump() for one in signatures if one.sig_object_type != "/DocTimeStamp"]
    first = min((one.signed_revision for one in signatures), default=0)
    if not first or not only_signed(reader, signatures):
        return signers, []
    end = _AFTER_END.search(pdf, reader.xrefs.get_startxref_for_revision(first - 1))
    return signers, [] if end is None else sorted({end.start() + len(b"%%EOF"), end.end()})


def _seal_field(request: PreparePdfRequest, writer: IncrementalPdfFileWriter, field: str) -> tuple[bytes, bytes]:
    """The field of the seal, as it is seen, and its signature dictionary."""
    cms = cms_embedder.PdfCMSEmbedder(_field(request, writer, field)).write_cms(field_name=field, writer=writer)
    widget = next(cms).get_object()
    if request.picture is not None:
        appearance: Any = generic.DictionaryObject()  # type: ignore[no-untyped-call]
        appearance[generic.pdf_name("/N")] = _drawn(writer, request.picture)
        widget[generic.pdf_name("/AP")] = appearance
        writer.update_container(widget)
    placeholder = pdf_byterange.SignatureObject(
        timestamp=datetime.fromtimestamp(request.time_s, UTC),
        subfilter=SigSeedSubFilter.PADES,
        name=request.name,
        bytes_reserved=2 * request.room,
    )
    return opened(cms, placeholder, request.room)
