"""The attributes of a seal as DER: CMS (RFC 5652), ESS (RFC 5035), CAdES (ETSI EN 319 122-1), RFC 6211.

The signed attributes of two seals that differ only in time and digest differ only in those bytes, so a `Template`
is built once for everything else and filled in on the hot path. That it is in DER order whatever is filled in
follows from X.690, section 11.6: attributes are compared by their length octets first and by their distinct type
right after, never by their values, and time and digest have one length each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from appliance import der
from appliance.seals.errors import SealRefused

OID_DATA = der.oid("1.2.840.113549.1.7.1")
OID_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
OID_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
OID_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
OID_SIGNING_TIME = der.oid("1.2.840.113549.1.9.5")
OID_ALGORITHM_PROTECTION = der.oid("1.2.840.113549.1.9.52")
OID_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
OID_COMMITMENT_TYPE = der.oid("1.2.840.113549.1.9.16.2.16")
OID_SIGNER_LOCATION = der.oid("1.2.840.113549.1.9.16.2.17")
OID_MIME_TYPE = der.oid("0.4.0.1733.2.1")
OID_SIGNATURE_TIMESTAMP = der.oid("1.2.840.113549.1.9.16.2.14")

Commitment = Literal["proof-of-origin", "proof-of-receipt", "proof-of-delivery", "proof-of-sender",
                     "proof-of-approval", "proof-of-creation"]  # fmt: skip
_COMMITMENT_OIDS: dict[str, bytes] = {
    name: der.oid(f"1.2.840.113549.1.9.16.6.{number}")
    for number, name in enumerate(
        ("proof-of-origin", "proof-of-receipt", "proof-of-delivery", "proof-of-sender", "proof-of-approval",
         "proof-of-creation"), start=1,
    )
}  # fmt: skip

# type "/" subtype and plain parameters, RFC 6838, section 4.2 and RFC 2045, section 5.1
_TOKEN = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MIME_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}=(?:{_TOKEN}))*")
_PLACE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]{1,128}")


class SealOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Optional signed attributes of a seal. Raises SealRefused for values outside their grammar."""

    mime_type: str | None = None
    """MIME type of the document (EN 319 122-1, section 5.2.5), at most 255 characters."""
    commitment: Commitment | None = None
    """What the seal commits its owner to (EN 319 122-1, section 5.2.3)."""
    country: str | None = None
    """Where the seal is made: ISO 3166 two-letter code (EN 319 122-1, section 5.2.6)."""
    locality: str | None = None
    """Where the seal is made: place, at most 128 characters without control characters."""

    def __post_init__(self) -> None:
        if self.mime_type is not None and not (len(self.mime_type) <= 255 and _MIME_TYPE.fullmatch(self.mime_type)):
            raise SealRefused("mime_type is not a MIME type of at most 255 characters")
        if self.commitment is not None and self.commitment not in _COMMITMENT_OIDS:
            raise SealRefused("commitment is not one of " + ", ".join(_COMMITMENT_OIDS))
        if self.country is not None and not re.fullmatch("[A-Z]{2}", self.country):
            raise SealRefused("country is not a code of two capital letters")
        if self.locality is not None and not _PLACE.fullmatch(self.locality):
            raise SealRefused("locality is not 1 to 128 characters without control characters")


NO_OPTIONS = SealOptions()


def attribute(oid: bytes, value: bytes) -> bytes:
    """An Attribute of one value; both already encoded."""
    return der.sequence(oid, der.tlv(der.SET, value))


def signing_time(seconds: int) -> bytes:
    """The signing-time attribute; seconds since the epoch, without leap seconds."""
    return attribute(OID_SIGNING_TIME, der.cms_time(seconds))


def signing_certificate_v2(certificate: bytes, hash_name: str, hash_algorithm: bytes) -> bytes:
    """The signing-certificate-v2 attribute of one certificate (RFC 5035, section 3): its hash, no issuerSerial.

    The hash already names the certificate; the SignerInfo's sid already holds issuer and serial number.
    `hash_algorithm` is the DER AlgorithmIdentifier, left out for SHA-256, the default.
    """
    digest = der.octet_string(hashlib.new(hash_name, certificate).digest())
    identifier = der.sequence(digest) if hash_name == "sha256" else der.sequence(hash_algorithm, digest)
    return attribute(OID_SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(identifier)))


def algorithm_protection(digest_algorithm: bytes, signature_algorithm: bytes) -> bytes:
    """The cms-algorithm-protection attribute (RFC 6211, EN 319 122-1, section 5.2.13)."""
    implicit = b"\xa1" + signature_algorithm[1:]  # [1] IMPLICIT SignatureAlgorithmIdentifier
    return attribute(OID_ALGORITHM_PROTECTION, der.sequence(digest_algorithm, implicit))


def optional_attributes(options: SealOptions) -> list[bytes]:
    """The attributes that `options` asks for."""
    attributes = []
    if options.mime_type is not None:
        attributes.append(attribute(OID_MIME_TYPE, der.utf8_string(options.mime_type)))
    if options.commitment is not None:
        attributes.append(attribute(OID_COMMITMENT_TYPE, der.sequence(_COMMITMENT_OIDS[options.commitment])))
    if options.country is not None or options.locality is not None:
        # SignerLocation: the tags are explicit because a DirectoryString is a CHOICE.
        parts = [
            der.tlv(der.context(number), der.utf8_string(text))
            for number, text in enumerate((options.country, options.locality))
            if text is not None
        ]
        attributes.append(attribute(OID_SIGNER_LOCATION, der.sequence(*parts)))
    return attributes


Template = Callable[[bytes, bytes], bytes]
"""(signing-time attribute, digest) -> DER SET OF signed attributes."""


def template(constant: list[bytes], time_attribute_size: int, digest_size: int) -> Template:
    """A template of content-type, the `constant` attributes, a signing-time of that size, a digest of that size.

    Without a signing-time (size 0) it is filled in with an empty one."""
    if not time_attribute_size:
        return _timeless_template(constant, digest_size)
    time_slot = signing_time(0 if time_attribute_size == len(signing_time(0)) else 4_000_000_000)
    digest_slot = attribute(OID_MESSAGE_DIGEST, der.octet_string(bytes(digest_size)))
    members = sorted([attribute(OID_CONTENT_TYPE, OID_DATA), time_slot, digest_slot, *constant])
    at_time, at_digest = members.index(time_slot), members.index(digest_slot)  # a digest is longer than any time
    before = der.header(der.SET, sum(map(len, members))) + b"".join(members[:at_time])
    between = b"".join(members[at_time + 1 : at_digest]) + digest_slot[:-digest_size]
    after = b"".join(members[at_digest + 1 :])

    def fill(time_attribute: bytes, digest: bytes) -> bytes:
        return before + time_attribute + between + digest + after

    return fill


def _timeless_template(constant: list[bytes], digest_size: int) -> Template:
    digest_slot = attribute(OID_MESSAGE_DIGEST, der.octet_string(bytes(digest_size)))
    members = sorted([attribute(OID_CONTENT_TYPE, OID_DATA), digest_slot, *constant])
    at_digest = members.index(digest_slot)
    before = der.header(der.SET, sum(map(len, members))) + b"".join(members[:at_digest]) + digest_slot[:-digest_size]
    after = b"".join(members[at_digest + 1 :])

    def fill(_time_attribute: bytes, digest: bytes) -> bytes:
        return before + digest + after

    return fill
