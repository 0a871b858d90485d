"""The tasks as their callers see them: name, request, answer, and the errors that a task raises itself.

What runs is registered in appliance.documents.tasks under the same names. A new task is a contract here, a pure
function there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from appliance.documents.errors import FontsMissing, NotRendered, TrustUnavailable
from appliance.errors import BadRequest, CinnabarError, InvalidMember
from appliance.evidence import Report
from appliance.evidence.held_letters import HeldLetter
from appliance.evidence.verify import TooMuch
from appliance.intake.errors import IntakeRefused
from appliance.intake.form import Form
from appliance.intake.plan import Plan
from appliance.intake.reading import Place as FilePlace
from appliance.intake.reading import Slice
from appliance.letters.errors import RecipientRefused
from appliance.pdf import PageRefused, PdfRefused, Place, SealPicture, ValidationData
from appliance.repeated import refuse_repeated
from appliance.seals.errors import ContentMismatch, SealRefused, SignedDataRejected
from appliance.seals.further import ExistingSeal
from appliance.verify_request import VerifyRequest

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Contract(Generic[Request, Result]):
    """See the module. `coding` is that of request and answer."""

    name: str
    request: type[Request]
    answer: type[Result]
    coding: Literal["json", "msgpack"]
    errors: tuple[type[CinnabarError], ...]

    def encoder(self) -> Callable[[Any], bytes]:
        return msgspec.json.Encoder().encode if self.coding == "json" else msgspec.msgpack.Encoder().encode

    def decode_request(self, data: bytes | memoryview) -> Request:
        """Raises InvalidMember, BadRequest."""
        try:
            if self.coding == "json":
                text = bytes(data)
                request = msgspec.json.decode(text, type=self.request)
                refuse_repeated(text)
                return request
            return msgspec.msgpack.decode(data, type=self.request)
        except msgspec.ValidationError as error:
            raise InvalidMember(f"{error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"The body is not {self.coding.upper()}: {error}.") from None
        except RecursionError:
            raise BadRequest(f"The body's {self.coding.upper()} is nested too deeply.") from None

    def decode_answer(self, data: bytes) -> Result:
        """Raises msgspec.DecodeError."""
        if self.coding == "json":
            return msgspec.json.decode(data, type=self.answer)
        return msgspec.msgpack.decode(data, type=self.answer)


class FurtherRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Read a CMS to which a signature will be added: the arguments of appliance.seals.read_existing."""

    existing: bytes
    digest_algorithm: str
    certificates: list[bytes]
    """DER, of the new signer and its chain."""
    digest: bytes | None
    document: bytes | None


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Set a document for people from one of the box's own templates."""

    template: Literal["ceremony"]
    data: str
    """JSON; what is in it is text, never markup."""
    time_s: Annotated[int, msgspec.Meta(ge=0)]
    """The document's time of making, in seconds since the epoch: equal requests give equal bytes."""


class RenderLetterRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Set a letter as PDF/A-3 with its JSON inside."""

    data: str
    """JSON of what stands on the page: for the box's own template appliance.pdf.LetterPage, for another what it
    takes. What is in it is text, never markup."""
    time_s: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800)]
    """The document's time of making, in seconds since the epoch: equal requests give equal bytes."""
    attachment: bytes
    """The letter's canonical JSON, put into the PDF as it is."""
    qr: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    """What the QR says."""
    template: Literal["letter"] = "letter"
    template_source: Annotated[bytes, msgspec.Meta(max_length=1 << 20)] | None = None
    """A tenant's own template, typst."""
    template_digest: str = ""
    """SHA-256 that the template must have, hexadecimal; needed with `template_source`. Of the box's own template it
    chooses the version, the newest without one."""
    creator: bytes = b""
    """What set the letter that is made anew, as its PDF says (appliance.pdf.Rendering): typst's is set by typst."""


class SealPictureRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Make a seal's picture ready to be put into PDFs, once, when the seal object is registered."""

    image: Annotated[bytes, msgspec.Meta(max_length=2 << 20)]
    """PNG or SVG."""
    side_mm: Annotated[float, msgspec.Meta(ge=5, le=100)] = 38.0
    """The longer side of the square that it is fitted into, in millimetres."""
    only_png: bool = False
    """What officers register is a PNG."""


class PreparePdfRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Judge a PDF that someone brings, and make room in it for a seal."""

    pdf: bytes
    time_s: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800)]
    """The time that the seal claims, seconds since the epoch."""
    room: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)]
    """Bytes to keep for the CMS: appliance.pdf.room_for."""
    name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    """Who seals."""
    place: Place | None = None
    picture: SealPicture | None = None
    """Where the seal is seen and as what, both or neither."""


class PreparedForeign(msgspec.Struct, frozen=True, array_like=True):
    """What is to follow the PDF: appliance.pdf.prepare_foreign_seal puts it together."""

    added: bytes
    """From the end of the PDF to where the seal's value begins."""
    after: bytes
    """What follows the value."""
    room: int
    findings: list[str]
    """What a reader should know: attachments, earlier-revisions, form-fields, hidden-annotations, layers, links,
    signed."""
    signers: list[bytes] = []
    """DER of the certificates whose signatures the PDF bears already, in order; time-stamps are not among them."""
    first_ends: list[int] = []
    """Where the PDF ended before its first signature: with and without the line end that follows. None where the
    first signature came together with a change, or a form was filled after it: then that PDF is no longer shown."""


class ProlongPdfRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Add to a PDF that was just sealed what a verifier needs later (PAdES B-LT), and room for a time-stamp over all
    of it (B-LTA)."""

    pdf: bytes
    data: ValidationData
    room: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    """Bytes to keep for the time-stamp's token; 0: none."""


class Prolonged(msgspec.Struct, frozen=True, array_like=True):
    """What is to follow the PDF."""

    added: bytes
    """All of it, or what stands before the token."""
    after: bytes = b""
    """What follows the token."""


class AddressedRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Read a field that its sender encrypted to named recipients (CMS AuthEnvelopedData): how many it names."""

    envelope: bytes


class LetterFileRequest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Read an evidence file that anybody brings: which letter it is of, under the box's own trust bundle."""

    content: bytes


class LetterFileAnswer(msgspec.Struct, frozen=True, array_like=True):
    """None: of none that passes."""

    held: HeldLetter | None


class FileOfRows(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Read a file of rows: its headers, or the rows of a slice (appliance.intake)."""

    form: Form
    window: bytes
    """Bytes of the file from `place` on; of a workbook the whole file."""
    last: bool
    """Whether the window reaches the end of the file."""
    place: FilePlace = FilePlace()
    plan: Plan | None = None
    """None: the rows are only counted."""
    most: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 4_096
    """Rows of the slice."""


class FileHeader(msgspec.Struct, frozen=True, array_like=True):
    """The headers of a file of rows, and where the rows begin."""

    header: list[str]
    place: FilePlace


VERIFY: Final = Contract(
    "verify", VerifyRequest, Report, "json", (BadRequest, InvalidMember, TooMuch, TrustUnavailable)
)
LETTER_FILE: Final = Contract("letter-file", LetterFileRequest, LetterFileAnswer, "msgpack", (TrustUnavailable,))
FURTHER_SIGNATURE: Final = Contract(
    "further-signature", FurtherRequest, ExistingSeal, "msgpack", (SealRefused, SignedDataRejected, ContentMismatch)
)
RENDER: Final = Contract("render", RenderRequest, bytes, "msgpack", (FontsMissing, NotRendered))
RENDER_LETTER: Final = Contract(
    "render-letter", RenderLetterRequest, bytes, "msgpack", (FontsMissing, NotRendered, PageRefused)
)
SEAL_PICTURE: Final = Contract("seal-picture", SealPictureRequest, SealPicture, "msgpack", (NotRendered, PdfRefused))
PREPARE_PDF: Final = Contract("prepare-pdf", PreparePdfRequest, PreparedForeign, "msgpack", (PdfRefused,))
PROLONG_PDF: Final = Contract("prolong-pdf", ProlongPdfRequest, Prolonged, "msgpack", (PdfRefused,))
ADDRESSED: Final = Contract("addressed", AddressedRequest, int, "msgpack", (RecipientRefused,))
INTAKE_HEADER: Final = Contract("intake-header", FileOfRows, FileHeader, "msgpack", (IntakeRefused,))
INTAKE_SLICE: Final = Contract("intake-slice", FileOfRows, Slice, "msgpack", (IntakeRefused,))
