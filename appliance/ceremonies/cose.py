"""Public keys as authenticators give them: COSE keys (RFC 9052, section 7; RFC 9053; WebAuthn level 3, section 5.8.5).

A key is taken only in the one encoding that CTAP2 prescribes, so that one key cannot stand in a constitution twice.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.ceremonies.errors import StatementRefused

KEY_BYTES = 2_048
"""Longest COSE key that is taken."""

ES256, EDDSA, ES384, ES512, RS256 = -7, -8, -35, -36, -257
ALGORITHMS = (ES256, EDDSA, ES384, ES512, RS256)
"""COSE algorithms of approval credentials, the preferred first."""

_CURVES: dict[int, tuple[int, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    ES256: (1, ec.SECP256R1(), hashes.SHA256()),
    ES384: (2, ec.SECP384R1(), hashes.SHA384()),
    ES512: (3, ec.SECP521R1(), hashes.SHA512()),
}
_RSA_BITS = range(2048, 8193)

Check = Callable[[bytes, bytes], None]
"""check(signature, message); raises InvalidSignature."""
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def read_cbor(data: bytes) -> object:
    """Exactly one CBOR item. Raises StatementRefused."""
    stream = BytesIO(data)
    try:
        value: object = cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError, TypeError, ArithmeticError):
        raise StatementRefused("an authenticator's data is not CBOR") from None
    if stream.read(1):
        raise StatementRefused("bytes follow the CBOR item of an authenticator's data")
    return value


def check_cose_signature(key: bytes, signature: bytes, message: bytes) -> None:
    """Check a signature by the COSE key. ECDSA signatures are DER (WebAuthn level 3, section 6.5.5).

    Raises StatementRefused."""
    try:
        read_cose_key(key)(signature, message)
    except InvalidSignature:
        raise StatementRefused("the signature does not fit the statement and the officer's key") from None


def read_cose_key(key: bytes) -> Check:
    """What checks signatures by this key. Raises StatementRefused for a key that is not permitted."""
    return _read(key)[1]


def cose_public_key(key: bytes) -> bytes:
    """The key as a SubjectPublicKeyInfo, DER. Raises StatementRefused as `read_cose_key`."""
    return _read(key)[0].public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(key: bytes) -> tuple[PublicKey, Check]:
    if len(key) > KEY_BYTES:
        raise StatementRefused(f"a public key has at most {KEY_BYTES} bytes")
    members = read_cbor(key)
    if not isinstance(members, dict) or cbor2.dumps(members, canonical=True) != key:
        raise StatementRefused("the public key is not in the form of CTAP2")
    # For Python True and 1.0 are 1, and a list of numbers makes an integer: the one key would have more encodings.
    if not all(type(label) is int and type(value) in (int, bytes) for label, value in members.items()):
        raise StatementRefused("the public key is not in the form of CTAP2")
    try:
        found = _reader(members)
    except (ValueError, TypeError):
        raise StatementRefused("the public key is malformed") from None
    if found is None:
        raise StatementRefused("the public key is of a kind that is not permitted")
    return found


def _reader(members: dict[Any, Any]) -> tuple[PublicKey, Check] | None:
    kind, algorithm = members.get(1), members.get(3)
    if kind == 2 and algorithm in _CURVES and members.keys() == {1, 3, -1, -2, -3}:
        return _elliptic(members, *_CURVES[algorithm])
    if kind == 1 and algorithm == EDDSA and members.keys() == {1, 3, -1, -2} and members[-1] == 6:
        edwards = ed25519.Ed25519PublicKey.from_public_bytes(members[-2])
        return edwards, edwards.verify
    if kind == 3 and algorithm == RS256 and members.keys() == {1, 3, -1, -2}:
        modulus, exponent = members[-1], members[-2]
        if not isinstance(modulus, bytes) or not isinstance(exponent, bytes):
            return None
        if bytes(modulus[:1]) == b"\0" or bytes(exponent[:1]) == b"\0":
            return None  # RFC 8230, section 4: without leading zeros
        public = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus)).public_key()
        if public.key_size not in _RSA_BITS:
            return None
        return public, lambda signature, message: public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    return None


def _elliptic(
    members: dict[Any, Any], number: int, curve: ec.EllipticCurve, digest: hashes.HashAlgorithm
) -> tuple[PublicKey, Check] | None:
    size = (curve.key_size + 7) // 8
    x, y = members[-2], members[-3]
    if members[-1] != number or not isinstance(x, bytes) or not isinstance(y, bytes) or {len(x), len(y)} != {size}:
        return None
    public = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()
    return public, lambda signature, message: public.verify(signature, message, ec.ECDSA(digest))
