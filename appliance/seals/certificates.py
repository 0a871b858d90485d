"""Which certificate may stand behind a seal: rules without I/O, applied once when a profile is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.algorithms import SignatureScheme
from appliance.der import INTEGER, SEQUENCE, Reader, context, sequence
from appliance.seals.errors import CertificateUnfit

_FOREIGN_PURPOSES = {
    ExtendedKeyUsageOID.TIME_STAMPING: "time-stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP signing",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
}


@dataclass(frozen=True)
class SealCertificate:
    """A checked seal certificate with its chain."""

    der: bytes
    chain: tuple[bytes, ...]
    """DER of the further certificates, issuer first."""
    issuer_and_serial: bytes
    """DER IssuerAndSerialNumber (RFC 5652, section 10.2.4)."""
    not_before: int
    not_after: int
    """Seconds since the epoch, both within the validity."""


def check_seal_certificate(certificates: Sequence[x509.Certificate], scheme: SignatureScheme) -> SealCertificate:
    """Check the certificate of a seal key (the first) and its chain (the others, issuer first).

    Raises CertificateUnfit when the key is none of the scheme's, the certificate is a CA's or is for another purpose
    (time-stamping above all), lacks the key usage of signatures over documents (digitalSignature or
    contentCommitment, EN 319 412-2, section 4.3.2), or the chain does not follow name by name and signature by
    signature.
    """
    if not certificates:
        raise CertificateUnfit("a seal key needs its certificate")
    own = certificates[0]
    if not scheme.fits(own.public_key()):
        raise CertificateUnfit(f"the certificate's key is not one of {scheme.name}")
    _check_extensions(own)
    for subject, issuer in pairwise(certificates):
        try:
            subject.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CertificateUnfit(f"the chain breaks above {subject.subject.rfc4514_string()}") from error
    encoded = own.public_bytes(Encoding.DER)
    return SealCertificate(
        der=encoded,
        chain=tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates[1:]),
        issuer_and_serial=_issuer_and_serial(encoded),
        not_before=_seconds(own.not_valid_before_utc),
        not_after=_seconds(own.not_valid_after_utc),
    )


def _issuer_and_serial(certificate: bytes) -> bytes:
    # The issuer as it is encoded in the certificate: re-encoding a name can change its string types.
    tbs = Reader(certificate).enter().enter()
    tbs.raw_optional(context(0))
    serial = tbs.raw(INTEGER)
    tbs.raw(SEQUENCE)
    return sequence(tbs.raw(SEQUENCE), serial)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _check_extensions(certificate: x509.Certificate) -> None:
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise CertificateUnfit("the certificate has no key usage") from None
    if not (usage.digital_signature or usage.content_commitment) or usage.key_cert_sign or usage.crl_sign:
        raise CertificateUnfit("the certificate's key usage is not that of signatures over documents alone")
    for extension in extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                raise CertificateUnfit("the certificate is a CA's")
            case x509.ExtendedKeyUsage() as purposes:
                for purpose in purposes:
                    if purpose in _FOREIGN_PURPOSES:
                        raise CertificateUnfit(f"the certificate is for {_FOREIGN_PURPOSES[purpose]}")
