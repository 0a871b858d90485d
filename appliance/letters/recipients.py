"""A field for named recipients: CMS AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084). Pure.

Each recipient's certificate names it by issuer and serial number and gives the key that the content key is encrypted to
(appliance.cms_recipients). `openssl cms -decrypt` and BouncyCastle open it. An envelope keeps a text from others and
says nothing of where it comes from: the sealed event that carries it does. What is inside says itself which field of
which letter it is (`addressed`), so that a message copied into another letter is seen to be a copy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import msgspec
import rfc8785
from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.cms_recipients import (
    CONTENT_KEY_BYTES,
    CURVE_NAMES,
    RSA_MINIMUM_BITS,
    NotOpened,
    agreement,
    open_agreement,
    open_transport,
    transport,
)
from appliance.letters.envelope import Context
from appliance.letters.errors import RecipientRefused

MOST_RECIPIENTS: Final = 32
LARGEST_CONTENT: Final = 16 * 1024 * 1024
LARGEST_MESSAGE: Final = LARGEST_CONTENT + 256 * 1024
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_UNREADABLE: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""What asn1crypto raises, at the first look at a member or later, for what is not of its type."""
_AES256_GCM: Final = "aes256_gcm"


@dataclass(frozen=True)
class Recipient:
    """Whom a message names."""

    issuer: bytes
    """DER of the issuer's name."""
    serial_number: int


class _Addressed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    context: Context
    value: Any  # JSON


class _GcmParameters(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """GCMParameters (RFC 5084, section 3.2)."""

    _fields: ClassVar = [("nonce", core.OctetString), ("tag_length", core.Integer, {"default": 12})]


def encrypt(content: bytes, recipients: Sequence[x509.Certificate]) -> bytes:
    """DER of a ContentInfo that each of 1 to 32 recipients can open. Validity and chain of the certificates are the
    caller's to check. Raises RecipientRefused."""
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise RecipientRefused(f"a field has 1 to {MOST_RECIPIENTS} recipients")
    if len({recipient_of(one) for one in recipients}) != len(recipients):
        raise RecipientRefused("a recipient stands twice")
    if len(content) > LARGEST_CONTENT:
        raise RecipientRefused(f"a field for recipients has at most {LARGEST_CONTENT} bytes")
    content_key, nonce = os.urandom(CONTENT_KEY_BYTES), os.urandom(_NONCE_BYTES)
    infos = [_recipient_info(one, content_key) for one in recipients]
    encrypted = AESGCM(content_key).encrypt(nonce, content, None)
    message = cms.AuthEnvelopedData(
        {
            "version": "v0",
            "recipient_infos": infos,
            "auth_encrypted_content_info": {
                "content_type": "data",
                "content_encryption_algorithm": {
                    "algorithm": _AES256_GCM,
                    "parameters": _GcmParameters({"nonce": nonce, "tag_length": _TAG_BYTES}),
                },
                "encrypted_content": encrypted[:-_TAG_BYTES],
            },
            "mac": encrypted[-_TAG_BYTES:],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "authenticated_enveloped_data", "content": message}).dump())


def addressed(value: Any, context: Context) -> bytes:
    """The content for a field: canonical JSON (RFC 8785) of {"context", "value"}. Raises RecipientRefused."""
    try:
        return rfc8785.dumps({"context": msgspec.to_builtins(context), "value": value})
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError):
        raise RecipientRefused("not a value of JSON") from None


def read_addressed(content: bytes, expected: Context) -> Any:
    """The value of a field, for a recipient who holds it against the letter that it came with.

    Raises RecipientRefused where it was made for another tenant, kind, field or reference."""
    try:
        found = msgspec.json.decode(content, type=_Addressed)
        canonical = addressed(found.value, found.context)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecipientRefused(f"not the content of a field: {error}") from None
    if canonical != content:
        raise RecipientRefused("the content of a field is canonical JSON")
    for name in ("tenant", "kind", "field", "reference"):
        if getattr(found.context, name) != getattr(expected, name):
            raise RecipientRefused(f"/context/{name}: the field was addressed in another letter")
    return found.value


def recipient_of(certificate: x509.Certificate) -> Recipient:
    """By what a message names the holder of a certificate."""
    return Recipient(certificate.issuer.public_bytes(), certificate.serial_number)


def recipients_of(der: bytes) -> list[Recipient]:
    """Whom a message names, in its order. Raises RecipientRefused for anything but a message as `encrypt` makes it."""
    return [recipient for recipient, _, _ in _parse(der).recipients]


def decrypt(der: bytes, certificate: x509.Certificate, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The content, for the holder of a certificate. Raises RecipientRefused if it is not for it, or was altered."""
    message = _parse(der)
    wanted = recipient_of(certificate)
    for recipient, info, encrypted_key in message.recipients:
        if recipient != wanted:
            continue
        try:
            if isinstance(info, cms.KeyTransRecipientInfo) and isinstance(key, rsa.RSAPrivateKey):
                content_key = open_transport(info, key)
            elif isinstance(info, cms.KeyAgreeRecipientInfo) and isinstance(key, ec.EllipticCurvePrivateKey):
                content_key = open_agreement(info, encrypted_key, key)
            else:
                raise NotOpened("the key is of another kind")
            return AESGCM(content_key).decrypt(message.nonce, message.encrypted, None)
        except (NotOpened, InvalidTag, *_UNREADABLE):
            raise RecipientRefused("the message does not open with this key, or was altered") from None
    raise RecipientRefused("the message is not for this certificate")


@dataclass(frozen=True)
class _Message:
    recipients: list[tuple[Recipient, Any, bytes]]
    nonce: bytes
    encrypted: bytes
    """With the tag at the end."""


def _recipient_info(certificate: x509.Certificate, content_key: bytes) -> cms.RecipientInfo:
    key = certificate.public_key()
    name = cms.IssuerAndSerialNumber(
        {
            "issuer": asn1_x509.Name.load(certificate.issuer.public_bytes()),
            "serial_number": certificate.serial_number,
        }
    )
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_MINIMUM_BITS:
            raise RecipientRefused(f"RSA keys have at least {RSA_MINIMUM_BITS} bits")
        _check_usage(certificate, "key_encipherment")
        return transport(key, content_key, cms.RecipientIdentifier("issuer_and_serial_number", name))
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVE_NAMES:
        _check_usage(certificate, "key_agreement")
        identifier = cms.KeyAgreementRecipientIdentifier("issuer_and_serial_number", name)
        return agreement(key, content_key, identifier)
    raise RecipientRefused("fields are encrypted to RSA keys and to keys of P-256, P-384 and P-521")


def _check_usage(certificate: x509.Certificate, usage: str) -> None:
    """A certificate that says what its key is for says this too (RFC 5280, section 4.2.1.3)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError:
        raise RecipientRefused("the certificate's extensions cannot be read") from None
    if not getattr(extension, usage):
        raise RecipientRefused(f"the certificate's key is not for {usage.replace('_', ' ')}")


def _parse(der: bytes) -> _Message:
    if len(der) > LARGEST_MESSAGE:
        raise RecipientRefused(f"a message has at most {LARGEST_MESSAGE} bytes")
    try:
        info = cms.ContentInfo.load(der, strict=True)
        if info["content_type"].native != "authenticated_enveloped_data":
            raise RecipientRefused("not a CMS AuthEnvelopedData")
        return _checked(info["content"])
    except RecipientRefused:
        raise
    except _UNREADABLE:
        raise RecipientRefused("not a CMS AuthEnvelopedData") from None


def _checked(message: cms.AuthEnvelopedData) -> _Message:
    content = message["auth_encrypted_content_info"]
    algorithm = content["content_encryption_algorithm"]
    if algorithm["algorithm"].native != _AES256_GCM or content["content_type"].native != "data":
        raise RecipientRefused("the content is not data encrypted by AES-256-GCM")
    if message["auth_attrs"].native or message["unauth_attrs"].native:
        raise RecipientRefused("a message has no attributes")
    parameters = _GcmParameters.load(algorithm["parameters"].dump(), strict=True)
    nonce, tag = parameters["nonce"].native, message["mac"].native
    if len(nonce) != _NONCE_BYTES or parameters["tag_length"].native != _TAG_BYTES or len(tag) != _TAG_BYTES:
        raise RecipientRefused("AES-256-GCM has a nonce of 12 bytes and a tag of 16")
    infos = message["recipient_infos"]
    if not 1 <= len(infos) <= MOST_RECIPIENTS:
        raise RecipientRefused(f"a field has 1 to {MOST_RECIPIENTS} recipients")
    recipients = [_named(one) for one in infos]
    if len({recipient for recipient, _, _ in recipients}) != len(recipients):
        raise RecipientRefused("a recipient stands twice")
    return _Message(recipients, nonce, (content["encrypted_content"].native or b"") + tag)


def _named(one: cms.RecipientInfo) -> tuple[Recipient, Any, bytes]:
    info = one.chosen
    if one.name == "ktri":
        identifier, encrypted_key = info["rid"], info["encrypted_key"].native
    elif one.name == "kari" and len(info["recipient_encrypted_keys"]) == 1:
        entry = info["recipient_encrypted_keys"][0]
        identifier, encrypted_key = entry["rid"], entry["encrypted_key"].native
    else:
        raise RecipientRefused("recipients are named by key transport or key agreement, one each")
    if identifier.name != "issuer_and_serial_number":
        raise RecipientRefused("recipients are named by their certificate's issuer and serial number")
    name = identifier.chosen
    return Recipient(name["issuer"].dump(), name["serial_number"].native), info, encrypted_key


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """Certificates of recipients, PEM. Raises RecipientRefused."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise RecipientRefused("not certificates in PEM") from None


__all__ = [
    "MOST_RECIPIENTS",
    "Context",
    "Recipient",
    "addressed",
    "decrypt",
    "encrypt",
    "read_addressed",
    "read_certificates",
    "recipient_of",
    "recipients_of",
]
