"""The rules for a time-stamping unit's certificate: all faults are found and told at once. Pure.

RFC 3161, section 2.3: one key, one purpose, and the extended key usage says so, alone and critical. The unit's life
ends with the certificate or with the private key's usage period, whichever comes first (EN 319 421: a unit signs only
while its key may be used).
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance import der
from appliance.algorithms import SignatureScheme

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_LONGEST_SERIAL_BITS = 159  # 20 octets with a sign bit, RFC 5280, section 4.1.2.2


class Validity(msgspec.Struct, frozen=True):
    """When a unit may sign: microseconds since the epoch, `start_us` included and `end_us` not."""

    start_us: int
    end_us: int


def _us(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def unit_validity(certificate: x509.Certificate) -> Validity:
    """The certificate's validity, narrowed by its private key usage period if it has one.

    Both ends of X.509 periods are inclusive to the second (RFC 5280, section 4.1.2.5).
    """
    start, end = _us(certificate.not_valid_before_utc), _us(certificate.not_valid_after_utc)
    try:
        period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    except x509.ExtensionNotFound:
        pass
    else:
        if period.not_before is not None:
            start = max(start, _us(period.not_before))
        if period.not_after is not None:
            end = min(end, _us(period.not_after))
    return Validity(start, end + 1_000_000)


def issuer_and_serial(certificate: bytes) -> tuple[bytes, bytes]:
    """Issuer and serial number of a DER certificate, each DER exactly as it stands there."""
    body = der.Reader(certificate).enter().enter()
    body.raw_optional(der.context(0))
    serial = body.raw(der.INTEGER)
    body.raw(der.SEQUENCE)
    return body.raw(der.SEQUENCE), serial


def subject(certificate: bytes) -> bytes:
    """Subject of a DER certificate, DER exactly as it stands there."""
    body = der.Reader(certificate).enter().enter()
    body.raw_optional(der.context(0))
    for tag in (der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE):
        body.raw(tag)
    return body.raw(der.SEQUENCE)


def certificate_faults(
    certificate: x509.Certificate,
    chain: list[x509.Certificate],
    scheme: SignatureScheme,
    public_key: PublicKeyTypes,
    now_us: int,
) -> list[str]:
    """Every reason why this certificate cannot be a time-stamping unit's; empty if there is none."""
    faults = []
    if certificate.version is not x509.Version.v3:
        faults.append("the certificate is not of version 3")
    if certificate.serial_number <= 0 or certificate.serial_number.bit_length() > _LONGEST_SERIAL_BITS:
        faults.append("the certificate's serial number is not a positive number of at most 20 octets")
    if not certificate.subject.rdns:
        faults.append("the certificate has no subject")
    try:
        extensions = certificate.extensions
    except ValueError as error:
        return [*faults, f"the certificate's extensions cannot be read: {error}"]
    faults += _extension_faults(extensions)
    try:
        certified = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        faults.append("the certificate's public key cannot be read")
    else:
        if _spki(certified) != _spki(public_key):
            faults.append("the certificate is not for the key in the token")
        if not scheme.fits(certified):
            faults.append(f"the certificate's key does not fit the scheme {scheme.name}")
    validity = unit_validity(certificate)
    if now_us < validity.start_us:
        faults.append(f"the unit's validity begins at {_text(validity.start_us)}")
    if now_us >= validity.end_us:
        faults.append(f"the unit's validity ended at {_text(validity.end_us)}")
    return faults + _chain_faults([certificate, *chain])


def _extension_faults(extensions: x509.Extensions) -> list[str]:
    faults = []
    try:
        extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        faults.append("the certificate has no extended key usage")
    else:
        if list(extended.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
            faults.append("the certificate's extended key usage is not timeStamping alone")
        if not extended.critical:
            faults.append("the certificate's extended key usage is not critical")
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        pass
    else:
        if not (usage.digital_signature or usage.content_commitment):
            faults.append("the certificate's key usage lacks digitalSignature and contentCommitment")
        if (
            usage.key_encipherment
            or usage.data_encipherment
            or usage.key_agreement
            or usage.key_cert_sign
            or usage.crl_sign
        ):
            faults.append("the certificate's key usage allows more than signing")
    try:
        if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            faults.append("the certificate is a CA's")
    except x509.ExtensionNotFound:
        pass
    return faults


def _chain_faults(path: list[x509.Certificate]) -> list[str]:
    faults = []
    for place, (certificate, issuer) in enumerate(pairwise(path), 1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            faults.append(f"certificate {place} of the file is not issued by the one that follows")
    return faults


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _text(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
