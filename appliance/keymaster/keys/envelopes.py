"""A text for the holder of a card alone: CMS EnvelopedData (RFC 5652) to an RSA key, which is wrapped by RSAES-OAEP
with SHA-256 (RFC 3560), over AES-256-CBC (RFC 3565). `openssl cms -decrypt` and card tools open it.

The recipient is named by the SHA-1 of its key, as certificates name theirs (RFC 5280, 4.2.1.2). An envelope keeps a
text from others and says nothing of where it comes from: what is inside carries its own proof.
"""

from __future__ import annotations

import hashlib
import os

from asn1crypto import cms
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from appliance.cms_recipients import CONTENT_KEY_BYTES, RSA_MINIMUM_BITS, transport


class RecipientRefused(ValueError):
    """Not an RSA key that a text may be encrypted to."""


def recipient_key(spki: bytes) -> rsa.RSAPublicKey:
    """The RSA key of a DER SubjectPublicKeyInfo. Raises RecipientRefused."""
    try:
        key = serialization.load_der_public_key(spki)
    except ValueError:
        raise RecipientRefused("the key cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < RSA_MINIMUM_BITS:
        raise RecipientRefused(f"shares are encrypted to RSA keys of {RSA_MINIMUM_BITS} bits or more")
    return key


def seal(content: bytes, spki: bytes) -> bytes:
    """DER of a ContentInfo that only the holder of the key can open. Raises RecipientRefused."""
    recipient = recipient_key(spki)
    content_key, vector = os.urandom(CONTENT_KEY_BYTES), os.urandom(16)
    padder = block_padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(content_key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    identifier = cms.RecipientIdentifier("subject_key_identifier", _key_identifier(recipient))
    envelope = cms.EnvelopedData(
        {
            "version": "v2",
            "recipient_infos": [transport(recipient, content_key, identifier)],
            "encrypted_content_info": {
                "content_type": "data",
                "content_encryption_algorithm": {"algorithm": "aes256_cbc", "parameters": vector},
                "encrypted_content": encrypted,
            },
        }
    )
    return bytes(cms.ContentInfo({"content_type": "enveloped_data", "content": envelope}).dump())


def _key_identifier(key: rsa.RSAPublicKey) -> bytes:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return hashlib.sha1(encoded, usedforsecurity=False).digest()
