"""Statements signed by a card: a detached CMS SignedData (RFC 5652) over the 32 bytes of the challenge.

The certificate is the one that the constitution holds, byte for byte: no chain is built and no name is believed. The
constitution is what gives it trust and what takes it away.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.ceremonies.errors import OTHER_CHALLENGE, StatementRefused
from appliance.certificate_reading import CertificateUnreadable, certified_key, read_certificate
from appliance.der import DerError, Reader
from appliance.evidence.cms import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SignedData,
    SignerInfo,
    identifier,
    octets,
    read_signed_data,
)
from appliance.evidence.findings import Refusal
from appliance.evidence.signatures import check_key, check_signature, digest, digest_name

SIGNED_DATA_BYTES = 64 * 1024


def check_card_signature(
    certificate: bytes, signed_data: bytes, content: bytes, at: datetime.datetime, *, other: str = OTHER_CHALLENGE
) -> None:
    """Check a detached CMS over `content` by the holder of `certificate` (DER), which must be valid `at` that instant
    and, where it limits its key's use, permit signatures. `other`: what to say where other content was signed.

    Raises StatementRefused."""
    if len(signed_data) > SIGNED_DATA_BYTES:
        raise StatementRefused(f"a card's signature has at most {SIGNED_DATA_BYTES} bytes")
    card = read_card_certificate(certificate)
    if not card.not_valid_before_utc <= at <= card.not_valid_after_utc:
        raise StatementRefused("the card's certificate is not valid at this time")
    try:
        signed = read_signed_data(signed_data)
        signer = _sole_signer(signed, certificate, card)
        _check(signed, signer, card, content, other)
    except DerError as error:
        raise StatementRefused(f"the card's signature cannot be read: {error}") from None
    except Refusal as error:
        raise StatementRefused(f"the card's signature does not hold: {error}") from None


def read_card_certificate(encoded: bytes) -> x509.Certificate:
    """The certificate of a card. Raises StatementRefused for what cannot sign statements."""
    try:
        card = read_certificate(encoded)
        use = card.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return card
    except CertificateUnreadable:
        raise StatementRefused("the card's certificate cannot be read") from None
    if not (use.digital_signature or use.content_commitment):
        raise StatementRefused("the card's certificate is not for signatures")
    return card


def check_new_card(encoded: bytes, at: datetime.datetime) -> None:
    """Whether a card's certificate can sign statements from now on: read, valid `at` this instant, for signatures, and
    with a key that counts. Raises StatementRefused."""
    card = read_card_certificate(encoded)
    if not card.not_valid_before_utc <= at <= card.not_valid_after_utc:
        raise StatementRefused("the card's certificate is not valid at this time")
    try:
        check_key(certified_key(encoded))
    except (CertificateUnreadable, Refusal) as error:
        raise StatementRefused(f"the card's key cannot sign statements: {error}") from None


def _sole_signer(signed: SignedData, certificate: bytes, card: x509.Certificate) -> SignerInfo:
    if signed.content is not None or signed.content_type != DATA:
        raise StatementRefused("a card signs detached, as plain data")
    if len(signed.signers) != 1:
        raise StatementRefused("a card's signature has one signer")
    if any(other != certificate for other in signed.certificates):
        raise StatementRefused("the card's signature brings another certificate than the officer's")
    signer = signed.signers[0]
    if signer.key_identifier is not None:
        try:
            named = card.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            named = b""
        fits = signer.key_identifier == named
    else:
        fits = signer.issuer == _issuer(certificate) and signer.serial == card.serial_number
    if not fits:
        raise StatementRefused("the card's signature names another certificate than the officer's")
    return signer


def _issuer(certificate: bytes) -> bytes:
    """The encoded issuer as it stands in the certificate (RFC 5280, section 4.1)."""
    body = Reader(certificate).enter().enter()
    body.raw_optional(0xA0)
    body.integer()
    body.raw()
    return body.raw()


def _check(signed: SignedData, signer: SignerInfo, card: x509.Certificate, content: bytes, other: str) -> None:
    if identifier(signer.signed.sole(CONTENT_TYPE, "content-type")) != signed.content_type:
        raise StatementRefused("the card signed another type of content")
    name = digest_name(signer.digest_algorithm, "card's signature")
    said = octets(signer.signed.sole(MESSAGE_DIGEST, "message-digest"))
    if not hmac.compare_digest(said, digest(name, content)):
        raise StatementRefused(other)
    public_key = card.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    check_signature(public_key, signer.signature_algorithm, name, signer.signature, signer.signed_bytes)


def card_credential_id(certificate: bytes) -> str:
    """Credential.id of a card: SHA-256 of its certificate, hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()
