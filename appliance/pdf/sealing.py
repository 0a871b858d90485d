"""PAdES baseline seals on PDFs that the box rendered (ETSI EN 319 142-1), made in two pure steps:

    prepared = prepare_seal(pdf, profile, now_us, room=room_for(profile, TOKEN_BYTES), place=..., picture=...)
    signature = key.sign(prepared.to_be_signed)                    # the caller's
    sealed = prepared.complete(signature)                          # B-B
    sealed = prepared.complete(signature, token)                   # B-T: an RFC 3161 token over the signature value

Each seal is an incremental update, so what was sealed before stays as it was: a further seal is made in the same way on
the sealed PDF. Levels B-LT and B-LTA: appliance.pdf.lasting.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from appliance.pdf.errors import PdfRefused, SealDoesNotFit
from appliance.pdf.picture import SealPicture
from appliance.pdf.places import Place
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import array, dictionary, reference, text_string, write
from appliance.pdf.update import Update
from appliance.seals import PreparedSeal, SealProfile

_DIGITS: Final = 10
_RANGE: Final = b"/ByteRange[0 %10d %10d %10d]"
_BESIDE_CERTIFICATES: Final = 1024
"""What a CMS holds beside certificates and signature: attributes and headers, generously."""
_LARGEST_SIGNATURE: Final = {"ml-dsa-44": 2420, "ml-dsa-65": 3309, "ml-dsa-87": 4627}
TOKEN_BYTES: Final = 6 * 1024
"""Room for a time-stamp token with its chain."""
MOST_FIELDS: Final = 64
_FIELD_FLAGS: Final = b"132"
"""Of the annotation: printed, locked (ISO 32000-1, 12.5.3)."""
_SIGNATURES_EXIST_APPEND_ONLY: Final = b"3"


class Hole(msgspec.Struct, frozen=True):
    """A PDF with room for the value of a signature: what is signed is `before` and `after` together."""

    before: bytes
    after: bytes
    room: int
    """Bytes of the value that fit."""

    @property
    def signed(self) -> bytes:
        return self.before + self.after

    def filled(self, value: bytes) -> bytes:
        """The whole PDF. Raises SealDoesNotFit."""
        if len(value) > self.room:
            raise SealDoesNotFit(f"the seal has {len(value)} bytes, its place {self.room}")
        return b"".join((self.before, b"<", value.hex().encode().ljust(2 * self.room, b"0"), b">", self.after))


class PreparedPdf(msgspec.Struct, frozen=True):
    """A PDF before its signature. `to_be_signed` goes to the key."""

    hole: Hole
    seal: PreparedSeal
    profile: SealProfile

    @property
    def to_be_signed(self) -> bytes:
        return self.seal.to_be_signed

    def complete(self, signature: bytes, timestamp: bytes | None = None) -> bytes:
        """The sealed PDF: B-B, or B-T with an RFC 3161 token over the signature value. Raises SealDoesNotFit."""
        return self.hole.filled(self.profile.complete(self.seal, signature, timestamp))


def room_for(profile: SealProfile, timestamp_bytes: int = TOKEN_BYTES) -> int:
    """Bytes to keep for the CMS of this profile with a token of at most `timestamp_bytes` (0: no token)."""
    signature = _LARGEST_SIGNATURE.get(profile.scheme.name, 512)
    return sum(map(len, profile.certificates)) + signature + timestamp_bytes + _BESIDE_CERTIFICATES


def prepare_seal(
    pdf: bytes,
    profile: SealProfile,
    time_us: int,
    *,
    room: int,
    place: Place | None = None,
    picture: SealPicture | None = None,
    name: str | None = None,
) -> PreparedPdf:
    """A seal on a PDF that the box rendered, or sealed before. `time_us`: the claimed time (/M), in microseconds since
    the epoch; `place` and `picture`: where it is seen and as what, both or neither; `name`: who seals.

    Raises PdfRefused, CertificateNotValid.
    """
    if (place is None) != (picture is None):
        raise PdfRefused("a seal that is seen needs a place and a picture")
    source = Pdf(pdf)
    moment = datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("(D:%Y%m%d%H%M%SZ)").encode()
    members = {
        b"/Type": b"/Sig",
        b"/Filter": b"/Adobe.PPKLite",
        b"/SubFilter": b"/ETSI.CAdES.detached",
        b"/M": moment,
    }
    if name is not None:
        members[b"/Name"] = text_string(name)
    hole = with_field(source, members, room, kind="Seal", place=place, picture=picture)
    algorithm = profile.digest_algorithm
    seal = profile.prepare_timeless(algorithm.digest(hole.signed), algorithm.name, time_us)
    return PreparedPdf(hole, seal, profile)


def prepare_foreign_seal(
    pdf: bytes, added: bytes, after: bytes, room: int, profile: SealProfile, time_us: int
) -> PreparedPdf:
    """A seal on a PDF that someone brought, with what a document worker would have follow it (the task PREPARE_PDF).

    The PDF is signed as it was brought, whatever the worker did, and the time is that which the worker was given.
    Raises CertificateNotValid.
    """
    hole = Hole(pdf + added, after, room)
    algorithm = profile.digest_algorithm
    seal = profile.prepare_timeless(algorithm.digest(hole.signed), algorithm.name, time_us)
    return PreparedPdf(hole, seal, profile)


def with_field(
    source: Pdf,
    signature: Mapping[bytes, bytes],
    room: int,
    *,
    kind: Literal["Seal", "Stamp"],
    place: Place | None = None,
    picture: SealPicture | None = None,
) -> Hole:
    """An update with a signature field and its signature dictionary, whose /Contents is the hole."""
    update = Update(source)
    catalogue = source.members(source.root)
    form, fields = _form(source, catalogue)
    pages = source.pages()
    if place is not None and not -len(pages) <= place.page < len(pages):
        raise PdfRefused("the PDF has no such page")
    page = pages[place.page if place is not None else 0]
    number, value = update.new(), update.new()
    widget = {
        b"/Type": b"/Annot", b"/Subtype": b"/Widget", b"/FT": b"/Sig",
        b"/T": b"(%b%d)" % (kind.encode(), len(fields) + 1),
        b"/V": b"%d 0 R" % value, b"/F": _FIELD_FLAGS, b"/P": b"%d 0 R" % page, b"/Rect": b"[0 0 0 0]",
    }  # fmt: skip
    if place is not None and picture is not None:
        widget[b"/Rect"] = b"[%.3f %.3f %.3f %.3f]" % place[1:]
        widget[b"/AP"] = b"<</N %d 0 R>>" % picture.add_to(update)
    update.put(number, write(widget))
    update.put(page, write(_with_annotation(source, page, number)))
    form[b"/Fields"] = b"[" + b" ".join([*fields, b"%d 0 R" % number]) + b"]"
    form[b"/SigFlags"] = _SIGNATURES_EXIST_APPEND_ONLY
    catalogue[b"/AcroForm"] = write(form)
    declare_extension(source, catalogue)
    update.put(source.root, write(catalogue))
    blank = _RANGE % (0, 0, 0)
    opening = write(signature)[:-2] + blank + b"/Contents"
    before, after = update.written(
        repr((sorted(signature.items()), number)).encode(), value, (opening, 2 * room + 2, b">>")
    )
    start = len(before) + 2 * room + 2
    if start + len(after) >= 10**_DIGITS:
        raise PdfRefused("it is too large")
    filled = _RANGE % (len(before), start, len(after))
    return Hole(before[: -len(blank) - len(b"/Contents")] + filled + b"/Contents", after, room)


def declare_extension(source: Pdf, catalogue: dict[bytes, bytes]) -> None:
    """Say in the catalogue that the file has what ETSI adds to ISO 32000-1 (7.12): PAdES signatures and their store."""
    extensions = dictionary(source.resolved(catalogue.get(b"/Extensions", b"<<>>")))
    extensions.setdefault(b"/ESIC", b"<</BaseVersion/1.7/ExtensionLevel 1>>")
    catalogue[b"/Extensions"] = write(extensions)


def _form(source: Pdf, catalogue: Mapping[bytes, bytes]) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The interactive form and its fields, or a new one."""
    if b"/AcroForm" not in catalogue:
        return {}, []
    form = dictionary(source.resolved(catalogue[b"/AcroForm"]))
    if b"/XFA" in form:
        raise PdfRefused("its form is XFA")
    fields = array(source.resolved(form.get(b"/Fields", b"[]")))
    if len(fields) >= MOST_FIELDS:
        raise PdfRefused("it has too many signatures")
    return form, fields


def _with_annotation(source: Pdf, page: int, number: int) -> dict[bytes, bytes]:
    members = source.members(page)
    there = array(source.resolved(members.get(b"/Annots", b"[]")))
    if any(reference(one) is None for one in there):
        raise PdfRefused("an annotation of its page is not an object of its own")
    members[b"/Annots"] = b"[" + b" ".join([*there, b"%d 0 R" % number]) + b"]"
    return members
