"""B-LT and B-LTA: what a verifier needs later stands in the PDF, and a time-stamp over all of it.

B-LT: `with_validation_data` adds certificates, CRLs and OCSP answers as the document security store, with one entry for
each signature (ETSI EN 319 142-1, 5.4; ISO 32000-2, 12.8.4.3). B-LTA: `prepare_document_timestamp` makes room for an
RFC 3161 token over the whole PDF (5.5), as often as the last one grows old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from appliance.pdf.errors import PdfRefused
from appliance.pdf.reader import Pdf
from appliance.pdf.sealing import TOKEN_BYTES, Hole, declare_extension, with_field
from appliance.pdf.syntax import array, dictionary, reference, write
from appliance.pdf.update import Update, stream

_KINDS: Final = ((b"/Certs", b"/Cert", "certificates"), (b"/CRLs", b"/CRL", "crls"), (b"/OCSPs", b"/OCSP", "ocsps"))
_MOST_BYTES: Final = 16 * 1024 * 1024


class ValidationData(msgspec.Struct, frozen=True, kw_only=True):
    """DER: certificates, CertificateLists, OCSPResponses."""

    certificates: list[bytes] = []
    crls: list[bytes] = []
    ocsps: list[bytes] = []


class PreparedStamp(msgspec.Struct, frozen=True):
    """A PDF before its document time-stamp. The token is to be over `digest`."""

    hole: Hole

    def digest(self, algorithm: str = "sha256") -> bytes:
        """The message imprint of the token."""
        return hashlib.new(algorithm, self.hole.signed).digest()

    def complete(self, token: bytes) -> bytes:
        """The PDF, B-LTA where it was B-LT. Raises SealDoesNotFit."""
        return self.hole.filled(token)


def with_validation_data(pdf: bytes, data: ValidationData) -> bytes:
    """The PDF with a document security store, or a grown one: what is there already is not written again.

    Every signature gets an entry of its own for this data if it has none. Raises PdfRefused.
    """
    source = Pdf(pdf)
    update = Update(source)
    catalogue = source.members(source.root)
    old = dictionary(source.resolved(catalogue[b"/DSS"])) if b"/DSS" in catalogue else {}
    known = {
        hashlib.sha256(source.stream(number)[1]).digest(): number
        for name, _, _ in _KINDS
        for number in _numbers(source, old.get(name))
    }
    store: dict[bytes, bytes] = {b"/Type": b"/DSS"}
    entry: dict[bytes, bytes] = {}
    for name, short, member in _KINDS:
        numbers = _numbers(source, old.get(name))
        own = []
        for content in dict.fromkeys(getattr(data, member)):
            if len(content) > _MOST_BYTES:
                raise PdfRefused(f"one of the {member} is too large")
            digest = hashlib.sha256(content).digest()
            if digest not in known:
                known[digest] = update.add(stream({}, content))
            own.append(known[digest])
        numbers += [number for number in own if number not in numbers]
        if numbers:
            store[name] = _array(numbers)
        if own:
            entry[short] = _array(own)
    entries = dictionary(source.resolved(old[b"/VRI"])) if b"/VRI" in old else {}
    for contents in signature_values(source):
        entries.setdefault(b"/" + hashlib.sha1(contents).hexdigest().upper().encode(), write(entry))  # noqa: S324 - named so by the standard
    if entries:
        store[b"/VRI"] = write(entries)
    catalogue[b"/DSS"] = b"%d 0 R" % update.add(write(store))
    declare_extension(source, catalogue)
    update.put(source.root, write(catalogue))
    return update.written(write(store))[0]


def prepare_document_timestamp(pdf: bytes, room: int = TOKEN_BYTES) -> PreparedStamp:
    """Room for a token of at most `room` bytes over the whole PDF. Raises PdfRefused."""
    members = {b"/Type": b"/DocTimeStamp", b"/Filter": b"/Adobe.PPKLite", b"/SubFilter": b"/ETSI.RFC3161"}
    return PreparedStamp(with_field(Pdf(pdf), members, room, kind="Stamp"))


def signature_values(source: Pdf) -> list[bytes]:
    """The /Contents of each signature field, with the zeros that fill it up, in the order of the fields."""
    catalogue = source.members(source.root)
    if b"/AcroForm" not in catalogue:
        return []
    form = dictionary(source.resolved(catalogue[b"/AcroForm"]))
    found = []
    for field in array(source.resolved(form.get(b"/Fields", b"[]"))):
        members = dictionary(source.resolved(field))
        if members.get(b"/FT") == b"/Sig" and b"/V" in members:
            value = dictionary(source.resolved(members[b"/V"])).get(b"/Contents", b"")
            try:
                found.append(bytes.fromhex(value.strip(b"<>").decode("ascii")))
            except ValueError:
                raise PdfRefused("the value of a signature is not hexadecimal") from None
    return found


def _numbers(source: Pdf, value: bytes | None) -> list[int]:
    if value is None:
        return []
    numbers = [reference(one) for one in array(source.resolved(value))]
    if None in numbers:
        raise PdfRefused("its document security store holds what it should refer to")
    return [number for number in numbers if number is not None]


def _array(numbers: Iterable[int]) -> bytes:
    return b"[" + b" ".join(b"%d 0 R" % number for number in numbers) + b"]"
