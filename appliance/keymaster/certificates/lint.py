"""What every certificate of this box is held to before a real key signs it, and again when one comes from outside.

RFC 5280 (sections 4.1 and 4.2), RFC 3161 (section 2.3) and ETSI EN 319 412-2 as far as they can be judged from the
certificate and its issuer alone. Pure; each finding is a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.ceremonies import DocumentRefused

Role = Literal["seal", "stamp", "authority", "ocsp", "release"]
_UPPER_BOUNDS: Final = {NameOID.COMMON_NAME: 64, NameOID.ORGANIZATION_NAME: 64, NameOID.COUNTRY_NAME: 2}
_LONGEST: Final = timedelta(days=36_525)


class CertificateRefused(DocumentRefused):
    """A certificate that breaks a rule, or does not belong to the key."""

    code = "certificate-refused"
    title = "The certificate breaks a rule"


def check(certificate: x509.Certificate, role: Role, issuer: x509.Certificate | None) -> None:
    """Raises CertificateRefused with every finding. `issuer`: None for a self-signed one."""
    found = findings(certificate, role, issuer)
    if found:
        raise CertificateRefused("; ".join(found))


def findings(certificate: x509.Certificate, role: Role, issuer: x509.Certificate | None) -> list[str]:
    """What is wrong with a certificate; empty where nothing is."""
    found: list[str] = []
    for judge in (_form, _names, _key, lambda c: _purpose(c, role), lambda c: _chain(c, issuer, role)):
        try:
            found += judge(certificate)
        except (ValueError, TypeError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension) as error:
            found.append(f"it cannot be read: {error}")
    return found


def _form(certificate: x509.Certificate) -> Iterable[str]:
    if certificate.version is not x509.Version.v3:
        yield "it is not of version 3"
    serial = certificate.serial_number
    if serial <= 0 or serial.bit_length() > 159:
        yield "its serial number is not positive and of at most 20 octets"
    if serial.bit_length() < 64:
        yield "its serial number has fewer than 64 bits"
    if certificate.not_valid_after_utc <= certificate.not_valid_before_utc:
        yield "it ends before it begins"
    elif certificate.not_valid_after_utc - certificate.not_valid_before_utc > _LONGEST:
        yield "it holds for longer than a hundred years"
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in {"sha256", "sha384", "sha512"}:
        yield f"it is signed over {algorithm.name}"
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            yield f"it has a critical extension that nobody here knows: {extension.oid.dotted_string}"


def _names(certificate: x509.Certificate) -> Iterable[str]:
    if not list(certificate.subject):
        yield "it has no subject"
    for attribute in certificate.subject:
        limit = _UPPER_BOUNDS.get(attribute.oid)
        value = attribute.value
        if not isinstance(value, str) or not value or value != value.strip():
            yield "a name is empty, or begins or ends with a space"
        elif limit is not None and len(value) > limit:
            yield f"a name has more than {limit} characters: {attribute.rfc4514_attribute_name}"
        elif any(ord(character) < 32 or ord(character) in range(0x202A, 0x202F) for character in value):
            yield "a name has characters that cannot be seen"


def _key(certificate: x509.Certificate) -> Iterable[str]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and (key.key_size < 2048 or key.public_numbers().e < 65537):
        yield "its RSA key has fewer than 2048 bits or a small exponent"
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        yield "its key is of a kind that is not used here"


def _value(certificate: x509.Certificate, kind: Callable[..., x509.ExtensionType]) -> tuple[object, bool] | None:
    try:
        found = certificate.extensions.get_extension_for_class(kind)  # type: ignore[arg-type]
    except x509.ExtensionNotFound:
        return None
    return found.value, found.critical


def _purpose(certificate: x509.Certificate, role: Role) -> Iterable[str]:
    constraints, usage = _value(certificate, x509.BasicConstraints), _value(certificate, x509.KeyUsage)
    extended = _value(certificate, x509.ExtendedKeyUsage)
    authority = role == "authority"
    is_ca = constraints is not None and constraints[0].ca  # type: ignore[attr-defined]
    if is_ca is not authority or (authority and not constraints[1]):  # type: ignore[index]
        yield "its basic constraints are not those of its purpose"
    if usage is None:
        yield "it does not say what its key is for"
        return
    bits: x509.KeyUsage = usage[0]  # type: ignore[assignment]
    if authority and not (bits.key_cert_sign and bits.crl_sign):
        yield "an authority's key signs certificates and CRLs"
    if not authority and (bits.key_cert_sign or bits.crl_sign):
        yield "only an authority's key signs certificates and CRLs"
    if role == "release":
        if not bits.key_agreement or bits.digital_signature or bits.content_commitment or bits.key_encipherment:
            yield "a release key agrees on secrets and does nothing else"
        if extended is not None:
            yield "a release key has no further purpose"
    elif not authority and not (bits.digital_signature or bits.content_commitment):
        yield "its key does not sign"
    purposes = set() if extended is None else set(extended[0])  # type: ignore[call-overload]
    if role == "stamp" and (purposes != {ExtendedKeyUsageOID.TIME_STAMPING} or extended is None or not extended[1]):
        yield "a unit's sole purpose is time-stamping, marked critical (RFC 3161, section 2.3)"
    if role == "ocsp" and purposes != {ExtendedKeyUsageOID.OCSP_SIGNING}:
        yield "a responder's sole purpose is to sign OCSP answers (RFC 6960, section 4.2.2.2)"
    if role == "ocsp" and _value(certificate, x509.OCSPNoCheck) is None:
        yield "nobody asks whether a responder is revoked, and its certificate says so (RFC 6960, section 4.2.2.2.1)"
    if role == "seal" and ExtendedKeyUsageOID.TIME_STAMPING in purposes:
        yield "a seal key makes no stamps"


def _chain(certificate: x509.Certificate, issuer: x509.Certificate | None, role: Role) -> Iterable[str]:
    above = certificate if issuer is None else issuer
    if certificate.issuer != above.subject:
        yield "its issuer has another name"
    identifier = _value(certificate, x509.SubjectKeyIdentifier)
    if role == "authority" and identifier is None:
        yield "an authority's certificate names its key"
    named, held = _value(certificate, x509.AuthorityKeyIdentifier), _value(above, x509.SubjectKeyIdentifier)
    if issuer is not None and named is None:
        yield "it does not name its issuer's key"
    if named is not None and held is not None:
        expected = held[0].digest  # type: ignore[attr-defined]
        if named[0].key_identifier not in (None, expected):  # type: ignore[attr-defined]
            yield "it names another key of its issuer"
    if issuer is None:
        return
    constraints = _value(issuer, x509.BasicConstraints)
    if constraints is None or not constraints[0].ca:  # type: ignore[attr-defined]
        yield "its issuer is no authority"
    if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
        yield "it holds for longer than its issuer"


def check_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Whether the issuer's key signed it. Raises CertificateRefused."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise CertificateRefused("it is not signed by the key of its issuer") from None
