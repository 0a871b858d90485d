"""CMS SignedData (RFC 5652) taken apart: strict, bounded, nothing believed yet. Stamps and seals both stand on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.ber import definite
from appliance.der import OCTET_STRING, SEQUENCE, SET, DerError, Reader, tlv
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.signatures import Algorithm, read_algorithm

SIGNED_DATA = "1.2.840.113549.1.7.2"
DATA = "1.2.840.113549.1.7.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"

_MOST_CERTIFICATES = 32
_MOST_CRLS = 16
_MOST_SIGNERS = 16
_MOST_ATTRIBUTES = 32
_MOST_VALUES = 8


@dataclass(frozen=True)
class Attributes:
    """Attributes as they stand: (object identifier, encoded values), in order."""

    members: tuple[tuple[str, tuple[bytes, ...]], ...] = ()

    def values(self, oid: str) -> tuple[bytes, ...]:
        """All values of all attributes of this type."""
        return tuple(value for name, values in self.members if name == oid for value in values)

    def sole(self, oid: str, name: str) -> bytes:
        """The encoded value of an attribute that must stand there once, with one value (RFC 5652, section 5.3).

        Raises Refusal (FORMAT_FAILURE)."""
        value = self.optional(oid, name)
        if value is None:
            raise Refusal("signed attributes", SubIndication.FORMAT_FAILURE, f"The signed attribute {name} is missing.")
        return value

    def optional(self, oid: str, name: str) -> bytes | None:
        """Like sole; None if there is none."""
        found = [values for member, values in self.members if member == oid]
        if not found:
            return None
        if len(found) > 1 or len(found[0]) != 1:
            raise Refusal(
                "signed attributes", SubIndication.FORMAT_FAILURE, f"The attribute {name} stands there more than once."
            )
        return found[0][0]


@dataclass(frozen=True)
class SignerInfo:
    """One signer's part (RFC 5652, section 5.3)."""

    issuer: bytes | None
    """Encoded Name of the certificate's issuer, with `serial`; or None where `key_identifier` names the certificate."""
    serial: int | None
    key_identifier: bytes | None
    digest_algorithm: Algorithm
    signed: Attributes
    signed_bytes: bytes
    """The DER SET OF signed attributes: the exact bytes that the signature covers."""
    signature_algorithm: Algorithm
    signature: bytes
    unsigned: Attributes = field(default_factory=Attributes)


@dataclass(frozen=True)
class SignedData:
    """A SignedData (RFC 5652, section 5.1)."""

    content_type: str
    content: bytes | None
    """The enveloped content, or None for a detached signature."""
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    signers: tuple[SignerInfo, ...]


def read_signed_data(encoded: bytes) -> SignedData:
    """A ContentInfo with a SignedData. Raises DerError for what is malformed or over a limit."""
    outer = Reader(definite(encoded))
    content_info = outer.enter()
    outer.finish()
    if content_info.oid() != SIGNED_DATA:
        raise DerError("the content is not a SignedData")
    wrapped = content_info.enter(0xA0)
    content_info.finish()
    reader = wrapped.enter()
    wrapped.finish()
    reader.integer(max_bytes=1)
    reader.read(SET)
    encapsulated = reader.enter()
    content_type = encapsulated.oid()
    content = None
    if (explicit := encapsulated.enter_optional(0xA0)) is not None:
        content = explicit.octet_string()
        explicit.finish()
    encapsulated.finish()
    certificates = _members(reader.enter_optional(0xA0), _MOST_CERTIFICATES, "certificates")
    crls = _members(reader.enter_optional(0xA1), _MOST_CRLS, "CRLs")
    signers = _members(reader.enter(SET), _MOST_SIGNERS, "signers")
    reader.finish()
    return SignedData(
        content_type=content_type,
        content=content,
        certificates=tuple(one for one in certificates if one[0] == SEQUENCE),
        crls=tuple(one for one in crls if one[0] == SEQUENCE),
        signers=tuple(_signer(one) for one in signers),
    )


def _members(reader: Reader | None, most: int, what: str) -> list[bytes]:
    members: list[bytes] = []
    while reader:
        if len(members) == most:
            raise DerError(f"more than {most} {what}")
        members.append(reader.raw())
    return members


def _signer(encoded: bytes) -> SignerInfo:
    reader = Reader(encoded).enter()
    reader.integer(max_bytes=1)
    issuer = serial = key_identifier = None
    if reader.peek() == 0x80:
        key_identifier = reader.read(0x80)
    else:
        name = reader.enter()
        issuer, serial = name.raw(SEQUENCE), name.integer()
        name.finish()
    digest_algorithm = read_algorithm(reader)
    signed_raw = reader.raw_optional(0xA0)
    if signed_raw is None:
        raise DerError("a signer without signed attributes, which RFC 3161 and CAdES demand")
    signature_algorithm = read_algorithm(reader)
    signature = reader.octet_string()
    unsigned_raw = reader.raw_optional(0xA1)
    reader.finish()
    signed_bytes = tlv(SET, Reader(signed_raw).read(0xA0))
    return SignerInfo(
        issuer=issuer,
        serial=serial,
        key_identifier=key_identifier,
        digest_algorithm=digest_algorithm,
        signed=_attributes(Reader(signed_bytes).enter(SET)),
        signed_bytes=signed_bytes,
        signature_algorithm=signature_algorithm,
        signature=signature,
        unsigned=Attributes() if unsigned_raw is None else _attributes(Reader(unsigned_raw).enter(0xA1)),
    )


def _attributes(reader: Reader) -> Attributes:
    members: list[tuple[str, tuple[bytes, ...]]] = []
    while reader:
        if len(members) == _MOST_ATTRIBUTES:
            raise DerError(f"more than {_MOST_ATTRIBUTES} attributes")
        attribute = reader.enter()
        oid = attribute.oid()
        values = _members(attribute.enter(SET), _MOST_VALUES, "values of an attribute")
        attribute.finish()
        members.append((oid, tuple(values)))
    return Attributes(tuple(members))


def octets(encoded: bytes) -> bytes:
    """The content of one encoded OCTET STRING."""
    reader = Reader(encoded)
    content = reader.read(OCTET_STRING)
    reader.finish()
    return content


def identifier(encoded: bytes) -> str:
    """One encoded OBJECT IDENTIFIER as dotted decimals."""
    reader = Reader(encoded)
    oid = reader.oid()
    reader.finish()
    return oid
