"""CMS SignedData as DER, put together from encoded parts; the hot end of a seal (RFC 5652, section 5).

Versions: a SignerInfo names its signer by issuer and serial number and so has version 1; a SignedData over id-data
with such signers alone has version 1.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance import der
from appliance.der import header
from appliance.seals.attributes import OID_DATA, OID_SIGNATURE_TIMESTAMP, OID_SIGNED_DATA, attribute
from appliance.seals.signed_data import SignedData, SignerInfo

_VERSION_1 = der.integer(1)

Assembler = Callable[[bytes, bytes], bytes]
"""(DER SET OF signed attributes, signature value) -> DER of what holds both."""


def signer_info_assembler(issuer_and_serial: bytes, digest_identifier: bytes, signature_identifier: bytes) -> Assembler:
    """Makes SignerInfo elements of one signer."""
    # The signed attributes are signed as SET OF and carried as [0] IMPLICIT: only the tag differs.
    before = _VERSION_1 + issuer_and_serial + digest_identifier + b"\xa0"

    def assemble(signed_attributes: bytes, signature: bytes) -> bytes:
        content = before + signed_attributes[1:] + signature_identifier + header(4, len(signature)) + signature
        return header(0x30, len(content)) + content

    return assemble


def detached_assembler(signer_info: Assembler, digest_identifier: bytes, certificates: list[bytes]) -> Assembler:
    """Makes whole ContentInfo elements of one signer over detached content."""
    before = _VERSION_1 + der.set_of([digest_identifier]) + der.sequence(OID_DATA) + _certificate_set(certificates)

    def assemble(signed_attributes: bytes, signature: bytes) -> bytes:
        signer = signer_info(signed_attributes, signature)
        body = before + header(0x31, len(signer)) + signer
        explicit = header(0x30, len(body)) + body
        content = OID_SIGNED_DATA + header(0xA0, len(explicit)) + explicit
        return header(0x30, len(content)) + content

    return assemble


def _certificate_set(certificates: list[bytes]) -> bytes:
    return der.tlv(der.context(0), b"".join(sorted(set(certificates)))) if certificates else b""


def content_info(
    version: int,
    digest_identifiers: list[bytes],
    content: bytes | None,
    certificates: list[bytes],
    crls: bytes | None,
    signers: list[bytes],
) -> bytes:
    """A ContentInfo with a SignedData over id-data; sets without repetition and in DER order."""
    encapsulated = OID_DATA if content is None else OID_DATA + der.tlv(der.context(0), der.octet_string(content))
    body = der.sequence(
        der.integer(version),
        der.set_of(set(digest_identifiers)),
        der.tlv(der.SEQUENCE, encapsulated),
        _certificate_set(certificates),
        crls or b"",
        der.set_of(set(signers)),
    )
    return der.sequence(OID_SIGNED_DATA, der.tlv(der.context(0), body))


def with_signer(
    existing: SignedData, signer: bytes, digest_identifiers: list[bytes], certificates: list[bytes]
) -> bytes:
    """`existing` with one SignerInfo more; every SignerInfo and certificate that was there is kept byte for byte.

    `digest_identifiers` are the forms of one AlgorithmIdentifier, preferred form first: one is added if there is none.
    """
    known = set(existing.digest_algorithms)
    added = [] if known.intersection(digest_identifiers) else digest_identifiers[:1]
    return content_info(
        existing.version,
        existing.digest_algorithms + added,
        existing.content,
        existing.certificates + certificates,
        existing.crls,
        [other.raw for other in existing.signers] + [signer],
    )


def with_signature_timestamp(existing: SignedData, signer: SignerInfo, token: bytes) -> bytes:
    """`existing` with the token as an unsigned signature-time-stamp attribute of one of its signers."""
    attributes = [*signer.unsigned, attribute(OID_SIGNATURE_TIMESTAMP, token)]
    unsigned = der.tlv(der.context(1), b"".join(sorted(set(attributes))))
    stamped = der.tlv(der.SEQUENCE, signer.before_unsigned + unsigned)
    return content_info(
        existing.version,
        existing.digest_algorithms,
        existing.content,
        existing.certificates,
        existing.crls,
        [stamped if other is signer else other.raw for other in existing.signers],
    )
