"""A partner's side: messages written with its keys, answers read with them. Needs no box. Pure.

sent = write_message(sheet, keys, write_call(Call(call="letter", letter=id)), now_ms)
answer = open_answer(sheet, key, sent, received)           # an `Answer`
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.certificate_reading import CertificateUnreadable, read_certificate
from appliance.gateway.content import Answer, read_answer
from appliance.gateway.errors import AnswerRefused, MessageRefused, PartnerRefused
from appliance.gateway.formats import prepare, read_message
from appliance.gateway.keys import Signing, SoftwareKey, fits_signing, verifies
from appliance.gateway.messages import Head, Parties, fresh_nonce
from appliance.gateway.sheet import PartnerSheet

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class PartnerKeys:
    """What a partner signs with, in memory."""

    sign: PrivateKey
    certificate: bytes
    """DER, of `sign`."""


@dataclass(frozen=True)
class Sent:
    """A message, and what its answer is held to."""

    message: bytes
    nonce: str


def write_message(
    sheet: PartnerSheet, keys: PartnerKeys, content: bytes, now_ms: int, nonce: str | None = None
) -> Sent:
    """Encrypt and sign a message to the tenant. Raises PartnerRefused where the keys are not the profile's."""
    if not fits_signing(sheet.sign, keys.sign.public_key()):
        raise PartnerRefused(f"sign: the profile wants a key for {sheet.sign}")
    recipient = load_der_public_key(sheet.keys[0].key) if sheet.keys else None
    if not isinstance(recipient, ec.EllipticCurvePublicKey):
        raise PartnerRefused("keys: the tenant has none that messages are encrypted to")
    head = Head(Parties(sheet.partner, sheet.tenant), nonce or fresh_nonce(), now_ms)
    digest = hashlib.sha256(keys.certificate).digest()
    prepared = prepare(sheet.format, content, head, recipient, sheet.sign, digest)
    return Sent(prepared.complete(_signature(keys.sign, sheet.sign, prepared.to_be_signed)), head.nonce)


def open_answer(sheet: PartnerSheet, key: PrivateKey, sent: Sent, received: bytes) -> Answer:
    """What the box answered to this message. `key`: to which answers are encrypted. Raises AnswerRefused."""
    try:
        read = read_message(sheet.format, received, Parties(sheet.tenant, sheet.partner))
        certificate = sheet.answer_certificates[0]
        signer = read_certificate(certificate).public_key()
        named = read.certificate in (None, hashlib.sha256(certificate).digest())
        stated = read.algorithm in (None, sheet.answer_algorithm)
        if not (named and stated and verifies(sheet.answer_algorithm, signer, read.signature, read.signed)):
            raise AnswerRefused("the tenant's key did not sign it")
        content = read.open(key if isinstance(key, rsa.RSAPrivateKey) else SoftwareKey(key))
    except (MessageRefused, CertificateUnreadable, UnsupportedAlgorithm, IndexError):
        raise AnswerRefused("it was altered, or is not for this partner") from None
    return read_answer(content, sent.message, sent.nonce)


def nonce_of(sheet: PartnerSheet, message: bytes) -> str:
    """The nonce of a message of one's own. Raises MessageRefused."""
    return read_message(sheet.format, message, Parties(sheet.partner, sheet.tenant)).head.nonce


def _signature(key: PrivateKey, algorithm: Signing, text: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(text, ec.ECDSA(hashes.SHA384() if algorithm == "ES384" else hashes.SHA256()))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
    return key.sign(text, pss if algorithm == "PS256" else padding.PKCS1v15(), hashes.SHA256())
