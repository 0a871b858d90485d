"""CMS SignedData as DER, put together from encoded parts; the hot end of a seal (RFC 5652, section 5).

Versions: a SignerInfo names its signer by issuer and serial number and so has version 1; a SignedData over id-data
with such signers alone has version 1.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from appliance import der
from appliance.der import header
from appliance.seals.attributes import OID_DATA, OID_SIGNATURE_TIMESTAMP, OID_SIGNED_DATA, attribute
from appliance.seals.signed_data import SignedData, SignerInfo

_VERSION_1 = der.integer(1)


class Assembler(Protocol):
    """(DER SET OF signed attributes, signature value, whole [1] of unsigned attributes) -> DER of what holds them."""

    def __call__(self, signed_attributes: bytes, signature: bytes, unsigned: bytes = b"") -> bytes: ...


def signer_info_assembler(issuer_and_serial: bytes, digest_identifier: bytes, signature_identifier: bytes) -> Assembler:
    """Makes SignerInfo elements of one signer."""
    # The signed attributes are signed as SET OF and carried as [0] IMPLICIT: only the tag differs.
    before = _VERSION_1 + issuer_and_serial + digest_identifier + b"\xa0"

    def assemble(signed_attributes: bytes, signature: bytes, unsigned: bytes = b"") -> bytes:
        value = header(4, len(signature)) + signature
        content = before + signed_attributes[1:] + signature_identifier + value + unsigned
        return header(0x30, len(content)) + content

    return assemble


def detached_assembler(signer_info: Assembler, digest_identifier: bytes, certificates: list[bytes]) -> Assembler:
    """Makes whole ContentInfo elements of one signer over detached content."""
    before = _VERSION_1 + der.set_of([digest_identifier]) + der.sequence(OID_DATA) + _certificate_set(certificates)

    def assemble(signed_attributes: bytes, signature: bytes, unsigned: bytes = b"") -> bytes:
        signer = signer_info(signed_attributes, signature, unsigned)
        body = before + header(0x31, len(signer)) + signer
        explicit = header(0x30, len(body)) + body
        content = OID_SIGNED_DATA + header(0xA0, len(explicit)) + explicit
        return header(0x30, len(content)) + content

    return assemble


def _certificate_set(certificates: list[bytes]) -> bytes:
    return der.tlv(der.context(0), b"".join(sorted(set(certificates)))) if certificates else b""


def head(
    version: int,
    digest_identifiers: Collection[bytes],
    content: bytes | None,
    certificates: list[bytes],
    crls: bytes | None,
) -> bytes:
    """The members of a SignedData over id-data that stand before its signers; sets without repetition, in DER order."""
    encapsulated = OID_DATA if content is None else OID_DATA + der.tlv(der.context(0), der.octet_string(content))
    return b"".join(
        (
            der.integer(version),
            der.set_of(set(digest_identifiers)),
            der.tlv(der.SEQUENCE, encapsulated),
            _certificate_set(certificates),
            crls or b"",
        )
    )


def content_info(before_signers: bytes, signers: Collection[bytes]) -> bytes:
    """A ContentInfo with a SignedData: what `head` gave, and the SignerInfo elements, each once and in DER order."""
    body = der.sequence(before_signers, der.set_of(set(signers)))
    return der.sequence(OID_SIGNED_DATA, der.tlv(der.context(0), body))


def head_for(existing: SignedData, digest_identifiers: list[bytes], certificates: list[bytes]) -> bytes:
    """The head of `existing` once a signer is added: what was there is kept, our algorithm and certificates are added.

    `digest_identifiers` are the forms of one AlgorithmIdentifier, preferred form first: one is added if there is none.
    """
    added = [] if set(existing.digest_algorithms).intersection(digest_identifiers) else digest_identifiers[:1]
    return head(
        existing.version,
        existing.digest_algorithms + added,
        existing.content,
        existing.certificates + certificates,
        existing.crls,
    )


def timestamp_attributes(token: bytes, others: Collection[bytes] = ()) -> bytes:
    """The whole [1] of unsigned attributes: a signature-time-stamp beside `others`."""
    attributes = {*others, attribute(OID_SIGNATURE_TIMESTAMP, token)}
    return der.tlv(der.context(1), b"".join(sorted(attributes)))


def with_signature_timestamp(existing: SignedData, signer: SignerInfo, token: bytes) -> bytes:
    """`existing` with the token as an unsigned signature-time-stamp attribute of one of its signers."""
    stamped = der.tlv(der.SEQUENCE, signer.before_unsigned + timestamp_attributes(token, signer.unsigned))
    return content_info(
        head_for(existing, [], []),
        [stamped if other is signer else other.raw for other in existing.signers],
    )
