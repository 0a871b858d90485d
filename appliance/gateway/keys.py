"""Keys of messages: what signs and what a content key is encrypted to. A closed list; nothing in a message adds to it.

    RS256  RSASSA-PKCS1-v1_5 with SHA-256        RSA-OAEP-256  RSAES-OAEP with SHA-256 (RFC 8017)
    PS256  RSASSA-PSS with SHA-256, salt of 32   ECDH-ES       P-256, NIST SP 800-56A; Concat KDF of RFC 7518, 4.6
    ES256  ECDSA on P-256 with SHA-256
    ES384  ECDSA on P-384 with SHA-384

Signatures are in their X.509 form here (ECDSA: DER); a format that writes them otherwise converts them.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.gateway.errors import MessageRefused

Signing = Literal["RS256", "PS256", "ES256", "ES384"]
Encryption = Literal["ECDH-ES", "RSA-OAEP-256"]
SCHEMES: Final[dict[str, Signing]] = {
    "rsa-pkcs1-sha256": "RS256",
    "rsa-pss-sha256": "PS256",
    "ecdsa-p256-sha256": "ES256",
    "ecdsa-p384-sha384": "ES384",
}
"""Schemes of hsm.mechanisms that sign messages."""
KEY_BYTES: Final = 32
POINT_BYTES: Final = 65
RSA_MINIMUM_BITS: Final = 2048
RSA_MOST_BITS: Final = 8192
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1}


class Opener(Protocol):
    """A private key of P-256 that agrees on secrets: hsm.agreement.AgreementKey, or `SoftwareKey`."""

    public_key: ec.EllipticCurvePublicKey

    def agree(self, peer: bytes) -> bytes:
        """The 32 bytes agreed on with an uncompressed point."""
        ...


class SoftwareKey:
    """A partner's private key of P-256, in memory."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key()

    def agree(self, peer: bytes) -> bytes:
        return self._key.exchange(ec.ECDH(), read_point(peer))


Recipient = Opener | rsa.RSAPrivateKey


def fits_signing(algorithm: str, key: PublicKeyTypes) -> bool:
    """Whether a public key is one of this algorithm, of a size that is strong enough."""
    if algorithm in _CURVES:
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES[algorithm])
    return _strong_rsa(key)


def encryption_for(key: PublicKeyTypes) -> Encryption | None:
    """How a content key is encrypted to this public key; None where it is not."""
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ECDH-ES"
    return "RSA-OAEP-256" if _strong_rsa(key) else None


def _strong_rsa(key: PublicKeyTypes) -> bool:
    return isinstance(key, rsa.RSAPublicKey) and RSA_MINIMUM_BITS <= key.key_size <= RSA_MOST_BITS


def verifies(algorithm: str, key: PublicKeyTypes, signature: bytes, message: bytes) -> bool:
    """Whether a signature in X.509 form holds."""
    if not fits_signing(algorithm, key):
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(hashes.SHA384() if algorithm == "ES384" else hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
            key.verify(signature, message, pss if algorithm == "PS256" else padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """Uncompressed, 65 bytes (SEC 1, 2.3.3)."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """Raises MessageRefused for what is no uncompressed point of P-256."""
    try:
        if len(point) == POINT_BYTES:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        pass
    raise MessageRefused("not a point of P-256")


def derived(agreed: bytes, algorithm: str, sender: str, receiver: str) -> bytes:
    """Concat KDF with SHA-256 (NIST SP 800-56A, 5.8.1), its OtherInfo as RFC 7518, section 4.6.2: 32 bytes.

    `algorithm`: "A256GCM" for a content key, "ECDH-ES+A256KW" for one that wraps it."""
    parts = b"".join(
        len(one).to_bytes(4, "big") + one for one in (algorithm.encode(), sender.encode(), receiver.encode())
    )
    return ConcatKDFHash(hashes.SHA256(), KEY_BYTES, parts + (8 * KEY_BYTES).to_bytes(4, "big")).derive(agreed)


def agree_afresh(receiver: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """(ephemeral point, what it agrees on with the receiver)."""
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    return point_of(ephemeral.public_key()), ephemeral.exchange(ec.ECDH(), receiver)


def encrypt_key(key: rsa.RSAPublicKey, content_key: bytes) -> bytes:
    """RSAES-OAEP with SHA-256 (RFC 8017, section 7.1)."""
    return key.encrypt(content_key, _OAEP)


def decrypt_key(key: rsa.RSAPrivateKey, encrypted: bytes) -> bytes:
    """Raises MessageRefused."""
    try:
        content_key = key.decrypt(encrypted, _OAEP)
    except ValueError:
        content_key = b""
    if len(content_key) != KEY_BYTES:
        raise MessageRefused("the content key does not open")
    return content_key
