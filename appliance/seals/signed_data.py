"""A strict, bounded reader of the CMS SignedData that someone brings for a further signature or a time-stamp.

Only containers are taken apart; every inner value (a SignerInfo, a certificate) stays the bytes it was, so that what
is put together again keeps every signature and every signed byte. RFC 5652, sections 3 and 5.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance import der
from appliance.algorithms import DIGESTS_BY_OID
from appliance.ber import with_definite_lengths
from appliance.der import Reader, context, context_primitive
from appliance.seals.errors import ContentMismatch, SignedDataRejected

MAX_SIGNERS = 64
MAX_CERTIFICATES = 256
MAX_ATTRIBUTES = 64

_OID_DATA = "1.2.840.113549.1.7.1"
_OID_SIGNED_DATA = "1.2.840.113549.1.7.2"
_OID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_OID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
# Archive time-stamps of these forms cover the whole set of certificates: adding one would break them.
_BRITTLE = {"1.2.840.113549.1.9.16.2.27": "archive-time-stamp", "1.2.840.113549.1.9.16.2.48": "archive-time-stamp-v2"}


class SignerInfo(NamedTuple):
    """One signer, as far as it matters to who adds beside it."""

    raw: bytes
    """The whole element."""
    digest_algorithm: str
    """Dotted OID."""
    message_digest: bytes
    signature: bytes
    before_unsigned: bytes
    """The content of the element up to the unsigned attributes."""
    unsigned: list[bytes]
    """Unsigned attributes, each whole."""


class SignedData(NamedTuple):
    """A SignedData over id-data, in parts."""

    version: int
    digest_algorithms: list[bytes]
    """DER AlgorithmIdentifiers."""
    content: bytes | None
    """The enveloped content; None when detached."""
    certificates: list[bytes]
    """DER of each CertificateChoices."""
    crls: bytes | None
    """The whole [1] element."""
    signers: list[SignerInfo]


def parse_signed_data(data: bytes) -> SignedData:
    """Read a ContentInfo with a SignedData over id-data and at least one signer with signed attributes.

    DER, but for containers of indefinite length, as they come from streams. Raises SignedDataRejected for anything
    else, saying what.
    """
    try:
        return _parse(with_definite_lengths(data) if data[1:2] == b"\x80" else data)
    except der.DerError as error:
        raise SignedDataRejected(f"the CMS is not DER as expected: {error}") from None


def _parse(data: bytes) -> SignedData:
    outer = Reader(data)
    content_info = outer.enter()
    outer.finish()
    if content_info.oid() != _OID_SIGNED_DATA:
        raise SignedDataRejected("the CMS is not a SignedData")
    explicit = content_info.enter(context(0))
    content_info.finish()
    body = explicit.enter()
    explicit.finish()
    version = body.integer()
    if version not in (1, 3, 4, 5):
        raise SignedDataRejected(f"SignedData version {version} is unknown")
    digest_algorithms = _members(body.enter(der.SET), MAX_SIGNERS, "digest algorithms")
    encapsulated = body.enter()
    if (content_type := encapsulated.oid()) != _OID_DATA:
        raise SignedDataRejected(f"the SignedData is over {content_type}, not over data")
    content = None
    if wrapped := encapsulated.enter_optional(context(0)):
        content = wrapped.octet_string()
        wrapped.finish()
    encapsulated.finish()
    certificate_set = body.enter_optional(context(0))
    certificates = _members(certificate_set, MAX_CERTIFICATES, "certificates") if certificate_set else []
    crls = body.raw_optional(context(1))
    signers = [_signer(raw) for raw in _members(body.enter(der.SET), MAX_SIGNERS, "signers")]
    body.finish()
    if not signers:
        raise SignedDataRejected("the SignedData has no signer")
    return SignedData(version, digest_algorithms, content, certificates, crls, signers)


def _members(reader: Reader, limit: int, what: str) -> list[bytes]:
    members: list[bytes] = []
    while reader:
        if len(members) == limit:
            raise SignedDataRejected(f"more than {limit} {what}")
        members.append(reader.raw())
    return members


def _signer(raw: bytes) -> SignerInfo:
    outer = Reader(raw)
    signer = outer.enter()
    begin = signer.position
    version = signer.integer()
    if version == 1:
        signer.raw(der.SEQUENCE)  # issuerAndSerialNumber
    elif version == 3:
        signer.read(context_primitive(0))  # subjectKeyIdentifier
    else:
        raise SignedDataRejected(f"SignerInfo version {version} is unknown")
    digest_algorithm = signer.enter().oid()
    signed = signer.enter_optional(context(0))
    if signed is None:
        raise SignedDataRejected("a signer has no signed attributes, so nothing shows which digest it covers")
    message_digest = _message_digest(_members(signed, MAX_ATTRIBUTES, "signed attributes"))
    if (known := DIGESTS_BY_OID.get(digest_algorithm)) is not None and len(message_digest) != known.size:
        raise SignedDataRejected("a signer's message digest has not the length of its digest algorithm")
    signer.raw(der.SEQUENCE)
    signature = signer.octet_string()
    before_unsigned = raw[begin : signer.position]
    unsigned: list[bytes] = []
    if attributes := signer.enter_optional(context(1)):
        unsigned = _members(attributes, MAX_ATTRIBUTES, "unsigned attributes")
    signer.finish()
    for attribute in unsigned:
        if name := _BRITTLE.get(Reader(attribute).enter().oid()):
            raise SignedDataRejected(f"an {name} covers all certificates: nothing can be added without breaking it")
    return SignerInfo(raw, digest_algorithm, message_digest, signature, before_unsigned, unsigned)


def _message_digest(attributes: list[bytes]) -> bytes:
    content_types, digests = [], []
    for raw in attributes:
        attribute = Reader(raw).enter()
        kind = attribute.oid()
        values = attribute.enter(der.SET)
        attribute.finish()
        if kind == _OID_CONTENT_TYPE:
            content_types.append(values.oid())
            values.finish()
        elif kind == _OID_MESSAGE_DIGEST:
            digests.append(values.octet_string())
            values.finish()
    if content_types != [_OID_DATA]:
        raise SignedDataRejected("a signer's content-type attribute does not say data, once")
    if len(digests) != 1:
        raise SignedDataRejected("a signer has not exactly one message-digest attribute")
    return digests[0]


def check_coverage(existing: SignedData, digest_oid: str, digest: bytes, document: bytes | None) -> None:
    """Check by their message digests that all signers of `existing` cover the content with this digest.

    A signer with another digest algorithm can only be compared when the document is at hand. No signature is verified.
    Raises ContentMismatch, SignedDataRejected.
    """
    for signer in existing.signers:
        if signer.digest_algorithm == digest_oid:
            expected = digest
        elif document is not None and (other := DIGESTS_BY_OID.get(signer.digest_algorithm)) is not None:
            expected = other.digest(document)
        else:
            raise SignedDataRejected(
                f"a signer of the CMS uses the digest algorithm {signer.digest_algorithm}, "
                "which cannot be compared" + ("" if document is not None else " without the document")
            )
        if signer.message_digest != expected:
            raise ContentMismatch("a signer of the CMS covers other content")
