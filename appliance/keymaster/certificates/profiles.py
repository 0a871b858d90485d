"""The certificates of a box: profiles as functions from names and keys to builders, without I/O.

Profiles follow RFC 5280; the time-stamping profile RFC 3161 (section 2.3) and ETSI EN 319 422; the seal profile the
legal-person profile of ETSI EN 319 412-3 as far as a private CA can. Serial numbers have 159 random bits.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, PublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How much earlier than its making a certificate begins, for clients whose clocks run behind."""

LONGEST_SERVER = timedelta(days=397)
"""Of every TLS server's certificate, the front's and those by EST: what browsers take (CA/Browser Forum, Baseline
Requirements, section 6.3.2, less a day)."""


@dataclass(frozen=True)
class Issuer:
    """A certificate authority that can sign: its certificate, its key (in the HSM), and where its CRL and its OCSP
    answers are found over plain HTTP; empty: its certificates name no such address."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes
    hash: hashes.SHA256 | hashes.SHA384
    crl_url: str
    ocsp_url: str = ""


def name(common_name: str, organisation: str, country: str = "CN") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*uses: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in uses for use in every})


def authority(
    subject: x509.Name,
    key: CertificateIssuerPrivateKeyTypes,
    public_key: PublicKeyTypes,
    hash_algorithm: hashes.HashAlgorithm,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.Certificate:
    """A self-signed CA certificate that issues end entities only."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)  # type: ignore[arg-type]
        .sign(key, hash_algorithm)  # type: ignore[arg-type]
    )


def _issuer_key(issuer: Issuer) -> x509.AuthorityKeyIdentifier:
    """By which of its keys the issuer signs (RFC 5280, section 4.2.1.1)."""
    own = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _end_entity(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    end = min(now + lifetime, issuer.certificate.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)  # type: ignore[arg-type]
        .add_extension(_issuer_key(issuer), critical=False)
    )
    if issuer.crl_url:
        place = x509.UniformResourceIdentifier(issuer.crl_url)
        builder = builder.add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)]), critical=False
        )
    if issuer.ocsp_url:
        where = x509.UniformResourceIdentifier(issuer.ocsp_url)
        builder = builder.add_extension(
            x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)]),
            critical=False,
        )
    return builder


def _sign(issuer: Issuer, builder: x509.CertificateBuilder) -> x509.Certificate:
    return builder.sign(issuer.key, issuer.hash)


def time_stamping_unit(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.Certificate:
    """A TSU's certificate: sole, critical purpose time-stamping (RFC 3161, 2.3); the key stops a quarter of the
    lifetime before the certificate does, so that its last stamps stay checkable (EN 319 422, private key usage)."""
    builder = (
        _end_entity(issuer, subject, public_key, now, lifetime, serial)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(
            x509.PrivateKeyUsagePeriod(
                not_before=(now - CLOCK_TOLERANCE).replace(microsecond=0),
                not_after=(now + lifetime * 3 / 4).replace(microsecond=0),
            ),
            critical=False,
        )
    )
    return _sign(issuer, builder)


def seal(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.Certificate:
    """An institution's seal certificate: commitment to content, document signing (RFC 9336)."""
    builder = (
        _end_entity(issuer, subject, public_key, now, lifetime, serial)
        .add_extension(_key_usage("digital_signature", "content_commitment"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]), critical=False)
    )
    return _sign(issuer, builder)


def release(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.Certificate:
    """A release key's certificate: it agrees on secrets and does nothing else (RFC 5480, section 3)."""
    builder = _end_entity(issuer, subject, public_key, now, lifetime, serial)
    return _sign(issuer, builder.add_extension(_key_usage("key_agreement"), critical=True))


def tls_server(
    issuer: Issuer, subject: x509.Name, public_key: PublicKeyTypes, now: datetime, lifetime: timedelta, names: list[str]
) -> x509.Certificate:
    """A server's certificate for host names and IP addresses, the front's too; for LONGEST_SERVER at most."""
    alternatives: list[x509.GeneralName] = []
    for host in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            alternatives.append(x509.DNSName(host))
    builder = (
        _end_entity(issuer, subject, public_key, now, min(lifetime, LONGEST_SERVER))
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )
    return _sign(issuer, builder)


def tls_client(
    issuer: Issuer, subject: x509.Name, public_key: PublicKeyTypes, now: datetime, lifetime: timedelta
) -> x509.Certificate:
    """An application's certificate. Who it is stands in the register, under the certificate's digest."""
    builder = (
        _end_entity(issuer, subject, public_key, now, lifetime)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    return _sign(issuer, builder)


def ocsp_responder(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    now: datetime,
    lifetime: timedelta,
    serial: int | None = None,
) -> x509.Certificate:
    """A delegated responder's certificate (RFC 6960, section 4.2.2.2). Nobody asks whether it is revoked
    (id-pkix-ocsp-nocheck), so it is short-lived and names no CRL."""
    builder = (
        _end_entity(replace(issuer, crl_url="", ocsp_url=""), subject, public_key, now, lifetime, serial)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
    )
    return _sign(issuer, builder)


@dataclass(frozen=True)
class Revocation:
    """One entry of a CRL."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified
    invalid: datetime | None = None
    """Since when the key is known, or thought, to be another's (RFC 5280, section 5.3.2)."""


def revocation_list(
    issuer: Issuer, number: int, revoked: list[Revocation], now: datetime, lifetime: timedelta
) -> x509.CertificateRevocationList:
    """A complete CRL (RFC 5280, section 5). `number` must rise with every CRL of the issuer."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + lifetime)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_issuer_key(issuer), critical=False)
    )
    for entry in revoked:
        item = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.at)
        if entry.reason is not x509.ReasonFlags.unspecified:
            item = item.add_extension(x509.CRLReason(entry.reason), critical=False)
        if entry.invalid is not None:
            item = item.add_extension(x509.InvalidityDate(entry.invalid.replace(tzinfo=None)), critical=False)
        builder = builder.add_revoked_certificate(item.build())
    return builder.sign(issuer.key, issuer.hash)
