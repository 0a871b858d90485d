"""Certificates that others wrote, read with one kind of refusal.

The library raises errors of several classes for bytes that are no certificate, and not all of them are ValueErrors: one
that a caller forgot would be an internal error of the box's, on a page or in a ceremony.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class CertificateUnreadable(ValueError):
    """The bytes are no certificate (RFC 5280) that is understood here."""


def read_certificate(encoded: bytes) -> x509.Certificate:
    """The certificate of DER bytes, whose names, times and extensions can be read. Raises CertificateUnreadable."""
    try:
        made = x509.load_der_x509_certificate(encoded)
        # The library takes these apart only when it is asked for them.
        _ = made.subject, made.issuer, made.not_valid_before_utc, made.not_valid_after_utc, made.extensions
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise CertificateUnreadable(f"no certificate that can be read ({type(error).__name__})") from None
    return made


def certified_key(encoded: bytes) -> bytes:
    """The SubjectPublicKeyInfo, DER, that a certificate is about. Raises CertificateUnreadable."""
    try:
        return read_certificate(encoded).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateUnreadable(f"no key that can be read ({type(error).__name__})") from None
