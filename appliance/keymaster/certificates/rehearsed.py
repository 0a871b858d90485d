"""Making a certificate with care: rehearsed with a throwaway key, linted, then signed, and the two compared.

The real key signs only what was seen: the bytes that the throwaway key signed are those of the certificate that
leaves, but for the signature itself.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import replace

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from appliance.keymaster.certificates.lint import CertificateRefused, Role, check, check_signature
from appliance.keymaster.certificates.profiles import Issuer
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.keys.ownership import note, noted

ISSUED = "issued.der"


class Particulars(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate gets that is not in the proposal: the same in every run of the step."""

    serial: str
    """Hexadecimal."""
    now: int
    """Seconds since the epoch."""

    @property
    def moment(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC)

    @property
    def number(self) -> int:
        return int(self.serial, 16)


def particulars(ctx: ExecutionContext) -> Particulars:
    """Chosen once, kept over a crash."""
    now = int(datetime.datetime.now(datetime.UTC).timestamp())
    chosen = Particulars(serial=f"{x509.random_serial_number():x}", now=now)
    return msgspec.json.decode(note(ctx, "particulars.json", msgspec.json.encode(chosen)), type=Particulars)


def throwaway(issuer: Issuer) -> Issuer:
    """The same authority with a key of the same kind that is forgotten afterwards."""
    public = issuer.key.public_key()
    key: CertificateIssuerPrivateKeyTypes
    if isinstance(public, ec.EllipticCurvePublicKey):
        key = ec.generate_private_key(public.curve)
    elif isinstance(public, rsa.RSAPublicKey):
        key = rsa.generate_private_key(65537, public.key_size)
    else:
        raise CertificateRefused("authorities sign by ECDSA or RSA")
    return replace(issuer, key=key)


async def issue(
    ctx: ExecutionContext,
    issuer: Issuer,
    build: Callable[[Issuer], x509.Certificate],
    role: Role,
    key: str,
    *,
    self_signed: bool = False,
) -> tuple[bytes, dict[str, object]]:
    """The certificate (DER), on record (control RECORD), and the facts of its making. `key`: name of the signing key.

    A run after a crash gives the certificate of the first. Raises CertificateRefused, what recording raises."""
    above = None if self_signed else issuer.certificate
    stand_in = throwaway(issuer)
    rehearsed = build(stand_in)
    check(rehearsed, role, above)
    _check_rehearsal(rehearsed, stand_in)
    done = noted(ctx, ISSUED)
    certificate = build(issuer) if done is None else x509.load_der_x509_certificate(done)
    if rehearsed.tbs_certificate_bytes != certificate.tbs_certificate_bytes:
        raise CertificateRefused("the real key signed other bytes than the throwaway key")
    check(certificate, role, above)
    check_signature(certificate, certificate if self_signed else issuer.certificate)
    der = certificate.public_bytes(serialization.Encoding.DER)
    if done is None:
        await ctx.room.record_signature("certificate", key, certificate.subject.rfc4514_string(), der)
        note(ctx, ISSUED, der)
    return der, told(certificate)


def _check_rehearsal(certificate: x509.Certificate, by: Issuer) -> None:
    public, parameters = by.key.public_key(), certificate.signature_algorithm_parameters
    try:
        if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            public.verify(certificate.signature, certificate.tbs_certificate_bytes, parameters)
        elif isinstance(public, rsa.RSAPublicKey):
            algorithm = certificate.signature_hash_algorithm
            public.verify(certificate.signature, certificate.tbs_certificate_bytes, parameters, algorithm)  # type: ignore[arg-type]
    except InvalidSignature:
        raise CertificateRefused("the throwaway key's signature does not verify") from None


def told(certificate: x509.Certificate) -> dict[str, object]:
    """A certificate as transcripts and pages tell of it."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    return {
        "certificate": hashlib.sha256(der).hexdigest(),
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "to_be_signed": hashlib.sha256(certificate.tbs_certificate_bytes).hexdigest(),
    }
