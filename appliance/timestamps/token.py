"""Building a TimeStampToken by hand (RFC 3161, RFC 5652, RFC 5816, EN 319 422): the hot path, dense on purpose.

What does not change from stamp to stamp is encoded once, in `TokenBuilder`; a stamp only joins it with the imprint,
serial, time, nonce, digests and signature. The tests hold every byte against asn1crypto.

    ContentInfo { signedData, [0] SignedData {
        version 3, digestAlgorithms, encapContentInfo { id-ct-TSTInfo, [0] OCTET STRING TSTInfo },
        certificates [0] if asked for, signerInfos { SignerInfo {
            version 1, issuerAndSerialNumber, digestAlgorithm,
            [0] signed attributes { content-type, message-digest, signing-certificate-v2 },
            signatureAlgorithm, signature } } } }
"""

from __future__ import annotations

import os
import time

import msgspec

from appliance import der
from appliance.algorithms import DigestAlgorithm, SignatureScheme

_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_QC_STATEMENTS = der.oid("1.3.6.1.5.5.7.1.3")
_QUALIFIED_STAMP = der.oid("0.4.0.19422.1.1")

_SERIAL_HEAD = b"\x02\x11\x01"
"""INTEGER of 17 bytes that begins with 01: positive, minimal, of constant length, and 16 random bytes follow."""
_RANDOM_BYTES = 16

_TABLE = 4096
_LENGTHS = [der.header(0, length)[1:] for length in range(_TABLE)]


def _length(length: int) -> bytes:
    return _LENGTHS[length] if length < _TABLE else der.header(0, length)[1:]


class PreparedStamp(msgspec.Struct, frozen=True, gc=False):
    """A stamp that only lacks its signature."""

    to_be_signed: bytes
    """The exact bytes to sign: DER SET OF signed attributes."""
    time_us: int
    """genTime: microseconds since the epoch."""
    serial: str
    """Serial number, lower-case hexadecimal."""
    policy: str
    """Dotted decimals."""
    digest_name: str
    digest: bytes
    """What was stamped, with the name of its algorithm."""
    certificates: bool
    """Whether the token will carry certificates."""
    tst_info: bytes
    """DER TSTInfo."""


def tst_accuracy(accuracy_us: int) -> bytes:
    """DER Accuracy: seconds, millis [0], micros [1], what is zero left out. `accuracy_us` is at least 1."""
    seconds, rest = divmod(accuracy_us, 1_000_000)
    millis, micros = divmod(rest, 1000)
    content = der.integer(seconds) if seconds else b""
    if millis:
        content += der.tlv(der.context_primitive(0), der.integer_content(millis))
    if micros:
        content += der.tlv(der.context_primitive(1), der.integer_content(micros))
    return der.tlv(der.SEQUENCE, content)


def qualified_statement() -> bytes:
    """DER extensions [1] of a TSTInfo that say: a qualified electronic time-stamp (EN 319 422, section 9.1)."""
    statements = der.sequence(der.sequence(_QUALIFIED_STAMP))
    return der.tlv(der.context(1), der.sequence(_QC_STATEMENTS, der.octet_string(statements)))


def signing_certificate_v2(certificate: bytes, issuer: bytes, serial: bytes, digest: DigestAlgorithm) -> bytes:
    """DER SigningCertificateV2 of one certificate (RFC 5816, RFC 5035): its hash, issuer and serial number.

    `issuer` and `serial` are DER, as in the certificate. SHA-256 is the default and is left out, as DER wants.
    """
    algorithm = b"" if digest.name == "sha256" else digest.identifier
    directory_name = der.tlv(der.context(4), issuer)
    issuer_serial = der.sequence(der.sequence(directory_name), serial)
    identifier = der.sequence(algorithm, der.octet_string(digest.digest(certificate)), issuer_serial)
    return der.sequence(der.sequence(identifier))


def _attribute(kind: bytes, value: bytes) -> bytes:
    return der.sequence(kind, der.tlv(der.SET, value))


class TokenBuilder:
    """The constant parts of one unit's tokens."""

    def __init__(
        self,
        *,
        scheme: SignatureScheme,
        certificate: bytes,
        chain: list[bytes],
        issuer: bytes,
        serial: bytes,
        after_time: bytes,
        after_nonce: bytes,
    ) -> None:
        """`certificate` and `chain` are DER; `issuer` and `serial` those of the certificate, DER.

        `after_time` is what stands in a TSTInfo between genTime and nonce, `after_nonce` what stands after the nonce.
        """
        digest = scheme.digest
        self._hash = digest.new
        self._after_time = after_time
        self._after_nonce = after_nonce
        self._second = -1
        self._second_text = b""
        # Their order is that of their encodings (X.690, section 11.6): fixed by types and lengths, whatever the digest.
        marker = b"\x00" * digest.size
        attributes = der.set_of(
            (
                _attribute(_CONTENT_TYPE, _TST_INFO),
                _attribute(_MESSAGE_DIGEST, der.octet_string(marker)),
                _attribute(_SIGNING_CERTIFICATE_V2, signing_certificate_v2(certificate, issuer, serial, digest)),
            )
        )
        self._before_digest, _, self._after_digest = attributes.partition(der.octet_string(marker))
        self._before_digest += der.header(der.OCTET_STRING, digest.size)
        self._before_content = der.integer(3) + der.tlv(der.SET, digest.identifier)
        self._certificates = der.tlv(der.context(0), b"".join(sorted((certificate, *chain))))
        self._before_attributes = der.integer(1) + der.sequence(issuer, serial) + digest.identifier
        self._before_signature = scheme.identifier

    def prepare(
        self,
        policy: bytes,
        policy_name: str,
        digest_name: str,
        digest: bytes,
        imprint: bytes,
        nonce: bytes,
        time_us: int,
        certificates: bool,
    ) -> PreparedStamp:
        """A TSTInfo with a fresh serial number, and the attributes to sign. `policy`, `imprint`, `nonce` are DER."""
        random = os.urandom(_RANDOM_BYTES)
        second, fraction = divmod(time_us, 1_000_000)
        if second != self._second:
            self._second_text = time.strftime("%Y%m%d%H%M%S", time.gmtime(second)).encode()
            self._second = second
        if fraction:
            moment = b"%s.%sZ" % (self._second_text, (b"%06d" % fraction).rstrip(b"0"))
        else:
            moment = self._second_text + b"Z"
        content = b"\x02\x01\x01%s%s%s%s\x18%c%s%s%s%s" % (
            policy,
            imprint,
            _SERIAL_HEAD,
            random,
            len(moment),
            moment,
            self._after_time,
            nonce,
            self._after_nonce,
        )
        tst_info = b"\x30" + _length(len(content)) + content
        to_be_signed = self._before_digest + self._hash(tst_info).digest() + self._after_digest
        return PreparedStamp(
            to_be_signed, time_us, "01" + random.hex(), policy_name, digest_name, digest, certificates, tst_info
        )

    def complete(self, prepared: PreparedStamp, signature: bytes) -> bytes:
        """The DER TimeStampToken. `signature` as it stands in a SignerInfo (DER for ECDSA)."""
        size = len(signature)
        # [0] IMPLICIT in the SignerInfo; as SET OF only where it is signed (RFC 5652, section 5.4)
        signer = b"%s\xa0%s%s\x04%s%s" % (
            self._before_attributes,
            prepared.to_be_signed[1:],
            self._before_signature,
            _length(size),
            signature,
        )
        signer = b"\x30" + _length(len(signer)) + signer
        tst_info = prepared.tst_info
        octets = b"\x04" + _length(len(tst_info)) + tst_info
        content = b"%s\xa0%s%s" % (_TST_INFO, _length(len(octets)), octets)
        signed_data = b"%s\x30%s%s%s\x31%s%s" % (
            self._before_content,
            _length(len(content)),
            content,
            self._certificates if prepared.certificates else b"",
            _length(len(signer)),
            signer,
        )
        signed_data = b"\x30" + _length(len(signed_data)) + signed_data
        body = b"%s\xa0%s%s" % (_SIGNED_DATA, _length(len(signed_data)), signed_data)
        return b"\x30" + _length(len(body)) + body
