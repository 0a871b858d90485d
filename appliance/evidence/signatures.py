"""Digests and signatures that the verifier accepts, by object identifier. Nothing here knows of certificates.

Sources: RFC 5754 and RFC 8702 (SHA-2, SHA-3), RFC 4055 (RSA), RFC 8419 (Ed25519), RFC 9882 (ML-DSA), ETSI TS 119 312
for what is strong enough. A digest or key that is too weak is undecided (CRYPTO_CONSTRAINTS_FAILURE), not wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.der import ENCODED_NULL, Reader
from appliance.evidence.findings import Refusal, SubIndication
from appliance.quoting import escape

DIGEST_NAMES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.8": "sha3-256",
    "2.16.840.1.101.3.4.2.9": "sha3-384",
    "2.16.840.1.101.3.4.2.10": "sha3-512",
    "1.2.156.10197.1.401": "sm3",
}
DIGEST_OIDS = {name: oid for oid, name in DIGEST_NAMES.items()}

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
_ECDSA = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "2.16.840.1.101.3.4.3.10": "sha3-256",
    "2.16.840.1.101.3.4.3.11": "sha3-384",
    "2.16.840.1.101.3.4.3.12": "sha3-512",
}
_RSA_PKCS1 = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "2.16.840.1.101.3.4.3.14": "sha3-256",
    "2.16.840.1.101.3.4.3.15": "sha3-384",
    "2.16.840.1.101.3.4.3.16": "sha3-512",
}
_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
_RSA_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_ED25519 = "1.3.101.112"
_ML_DSA: dict[str, type] = {
    "2.16.840.1.101.3.4.3.17": mldsa.MLDSA44PublicKey,
    "2.16.840.1.101.3.4.3.18": mldsa.MLDSA65PublicKey,
    "2.16.840.1.101.3.4.3.19": mldsa.MLDSA87PublicKey,
}
_CURVES = frozenset(
    ("secp256r1", "secp384r1", "secp521r1", "secp256k1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
)
_SMALLEST_RSA_BITS = 2048
_LARGEST_RSA_BITS = 8192


@dataclass(frozen=True)
class Algorithm:
    """An AlgorithmIdentifier: the object identifier and the encoded parameters (empty if absent)."""

    oid: str
    parameters: bytes = b""


def read_algorithm(reader: Reader) -> Algorithm:
    """An AlgorithmIdentifier (RFC 5280, section 4.1.1.2). Raises DerError."""
    inner = reader.enter()
    algorithm = Algorithm(inner.oid(), inner.raw() if inner else b"")
    inner.finish()
    return algorithm


def digest_name(algorithm: Algorithm, what: str) -> str:
    """Name of an accepted digest algorithm. Raises Refusal (CRYPTO_CONSTRAINTS_FAILURE)."""
    name = DIGEST_NAMES.get(algorithm.oid)
    if name is None or algorithm.parameters not in (b"", ENCODED_NULL):
        raise Refusal(
            "algorithms",
            SubIndication.CRYPTO_CONSTRAINTS_FAILURE,
            f"The digest algorithm {escape(algorithm.oid)} of the {what} is weak, unknown or oddly parametrised.",
        )
    return name


def digest(name: str, data: bytes) -> bytes:
    """Digest of data under an accepted name."""
    return hashlib.new(name.replace("sha3-", "sha3_"), data).digest()


def digest_of_stream(name: str, stream: IO[bytes]) -> bytes:
    """Digest of what is left of a stream, under an accepted name."""
    return hashlib.file_digest(stream, name.replace("sha3-", "sha3_")).digest()  # type: ignore[arg-type]


def check_signature(
    public_key: bytes, algorithm: Algorithm, message_digest: str | None, signature: bytes, message: bytes
) -> None:
    """Check one signature. `public_key` is a SubjectPublicKeyInfo; ECDSA signatures are DER.

    `message_digest` is the name of SignerInfo's digestAlgorithm, which the signature must agree with (RFC 5754); None
    where the format has none. Raises Refusal: SIG_CRYPTO_FAILURE if the signature is wrong, CRYPTO_CONSTRAINTS_FAILURE
    if the algorithm or key is not one that counts.
    """
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise _weak("the public key is of an unknown kind or malformed") from None
    oid = algorithm.oid
    try:
        if oid in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            _expect(key.curve.name in _CURVES, "the curve is not an accepted one")
            _agrees(_ECDSA[oid], message_digest)
            key.verify(signature, message, ec.ECDSA(_HASHES[_ECDSA[oid]]))
        elif isinstance(key, rsa.RSAPublicKey):
            _expect(_SMALLEST_RSA_BITS <= key.key_size <= _LARGEST_RSA_BITS, "the RSA key is not of an accepted size")
            _check_rsa(key, algorithm, message_digest, signature, message)
        elif oid == _ED25519 and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        elif oid in _ML_DSA and isinstance(key, _ML_DSA[oid]):
            key.verify(signature, message)  # type: ignore[union-attr,call-arg]
        else:
            raise _weak(f"the signature algorithm {oid} is unknown or does not fit the key")
    except InvalidSignature:
        raise Refusal(
            "signature",
            SubIndication.SIG_CRYPTO_FAILURE,
            "The signature does not fit the bytes and the public key: something was changed, or another key signed.",
        ) from None


def digest_of_signature(algorithm: Algorithm, message_digest: str | None = None) -> str | None:
    """The digest that a signature algorithm names, or that goes with it (`message_digest`); None where it hashes by
    itself, as Ed25519 and ML-DSA do. Raises Refusal, DerError."""
    if algorithm.oid == _RSA_PSS:
        return _pss_parameters(algorithm.parameters)[0]
    if algorithm.oid == _RSA_ENCRYPTION:
        return message_digest
    return _ECDSA.get(algorithm.oid) or _RSA_PKCS1.get(algorithm.oid)


def uses_of_key(public_key: bytes) -> list[tuple[str, int | None]]:
    """The kind of a key, with its bits where it has kinds of several sizes."""
    key = load_der_public_key(public_key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return [("ecdsa", key.key_size)]
    if isinstance(key, rsa.RSAPublicKey):
        return [("rsa", key.key_size)]
    return [("ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ml-dsa", None)]


def check_key(public_key: bytes) -> None:
    """Whether `check_signature` takes signatures by this SubjectPublicKeyInfo. Raises Refusal."""
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise _weak("the public key is of an unknown kind or malformed") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        _expect(key.curve.name in _CURVES, "the curve is not an accepted one")
    elif isinstance(key, rsa.RSAPublicKey):
        _expect(_SMALLEST_RSA_BITS <= key.key_size <= _LARGEST_RSA_BITS, "the RSA key is not of an accepted size")
    else:
        known = (ed25519.Ed25519PublicKey, *_ML_DSA.values())
        _expect(isinstance(key, known), "the public key is of a kind that is not accepted")


def _check_rsa(
    key: rsa.RSAPublicKey, algorithm: Algorithm, message_digest: str | None, signature: bytes, message: bytes
) -> None:
    if algorithm.oid == _RSA_ENCRYPTION and message_digest in _HASHES:
        key.verify(signature, message, padding.PKCS1v15(), _HASHES[message_digest])
    elif algorithm.oid in _RSA_PKCS1:
        _agrees(_RSA_PKCS1[algorithm.oid], message_digest)
        key.verify(signature, message, padding.PKCS1v15(), _HASHES[_RSA_PKCS1[algorithm.oid]])
    elif algorithm.oid == _RSA_PSS:
        name, salt_bytes = _pss_parameters(algorithm.parameters)
        _expect(name in _HASHES, "the digest is not one that goes with RSA")
        _agrees(name, message_digest)
        key.verify(signature, message, padding.PSS(padding.MGF1(_HASHES[name]), salt_bytes), _HASHES[name])
    else:
        raise _weak(f"the signature algorithm {algorithm.oid} is unknown or does not fit the key")


def _pss_parameters(encoded: bytes) -> tuple[str, int]:
    """RSASSA-PSS-params (RFC 4055, section 3.1): digest name and salt length; both digests must be the same."""
    if not encoded:
        raise _weak("RSASSA-PSS without parameters means SHA-1")
    outer = Reader(encoded)
    inner = outer.enter()
    outer.finish()
    digest_part, mask_part = inner.enter_optional(0xA0), inner.enter_optional(0xA1)
    salt_part, trailer_part = inner.enter_optional(0xA2), inner.enter_optional(0xA3)
    inner.finish()
    if digest_part is None or mask_part is None:
        raise _weak("RSASSA-PSS parameters leave a digest at SHA-1")
    name = digest_name(read_algorithm(digest_part), "RSASSA-PSS signature")
    mask = mask_part.enter()
    for part in (digest_part, mask_part):
        part.finish()
    if mask.oid() != _MGF1 or digest_name(read_algorithm(mask), "RSASSA-PSS mask") != name:
        raise _weak("the RSASSA-PSS mask is not MGF1 with the same digest")
    mask.finish()
    salt_bytes = 20 if salt_part is None else salt_part.integer(max_bytes=2)
    if not 0 <= salt_bytes <= 512 or (trailer_part is not None and trailer_part.integer(max_bytes=1) != 1):
        raise _weak("the RSASSA-PSS parameters are out of range")
    return name, salt_bytes


def _agrees(name: str, message_digest: str | None) -> None:
    _expect(message_digest in (None, name), "the signature and the digest algorithm name different digests")


def _expect(condition: bool, text: str) -> None:
    if not condition:
        raise _weak(text)


def _weak(text: str) -> Refusal:
    return Refusal("algorithms", SubIndication.CRYPTO_CONSTRAINTS_FAILURE, f"Not accepted: {text}.")
