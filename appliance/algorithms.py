"""Digests and signature schemes: names, DER AlgorithmIdentifiers, hash constructors; one table for stamps and seals.

The names are those of box.json and of hsm.mechanisms. What CMS wants of each scheme:

    ECDSA              RFC 5754, section 3.3: no parameters
    RSA PKCS #1 v1.5   RFC 5754, section 3.2: parameters NULL
    RSA PSS            RFC 4056 and RFC 4055, section 3.1: hash, MGF1 with the same hash, salt as long as the hash
    Ed25519            RFC 8419: no parameters; with signed attributes the digest is SHA-512
    ML-DSA             RFC 9882: no parameters; SHA-512 is the digest that every implementation has
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from appliance.der import ENCODED_NULL, context, integer, oid, sequence, tlv
from appliance.errors import BadRequest

if TYPE_CHECKING:
    from hashlib import _Hash

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


class UnknownAlgorithm(BadRequest):
    """A digest or signature scheme that the box does not have."""

    code = "unknown-algorithm"
    title = "The algorithm is not one of this box's"


@dataclass(frozen=True, slots=True)
class DigestAlgorithm:
    """A hash function."""

    name: str
    oid: str
    """Dotted decimals."""
    size: int
    """Bytes of a digest."""
    new: Callable[[bytes], _Hash]
    identifier: bytes
    """DER AlgorithmIdentifier without parameters, the form we write (RFC 5754, section 2)."""
    identifier_with_null: bytes
    """DER AlgorithmIdentifier with parameters NULL, the other form that we accept."""

    def digest(self, data: bytes) -> bytes:
        return self.new(data).digest()


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """A signature algorithm with its hash, as a SignerInfo names it."""

    name: str
    identifier: bytes
    """DER AlgorithmIdentifier for SignerInfo.signatureAlgorithm."""
    digest: DigestAlgorithm
    """SignerInfo.digestAlgorithm: the hash of the content in the message-digest attribute."""
    fits: Callable[[PublicKeyTypes], bool]
    """Whether a public key is one of this scheme, of a size that is still strong enough."""


def _digest(name: str, dotted: str, new: Callable[[bytes], _Hash]) -> DigestAlgorithm:
    return DigestAlgorithm(
        name=name,
        oid=dotted,
        size=new(b"").digest_size,
        new=new,
        identifier=sequence(oid(dotted)),
        identifier_with_null=sequence(oid(dotted), ENCODED_NULL),
    )


_NIST_HASHES = "2.16.840.1.101.3.4.2"

DIGESTS: dict[str, DigestAlgorithm] = {
    digest.name: digest
    for digest in (
        _digest("sha256", f"{_NIST_HASHES}.1", hashlib.sha256),
        _digest("sha384", f"{_NIST_HASHES}.2", hashlib.sha384),
        _digest("sha512", f"{_NIST_HASHES}.3", hashlib.sha512),
        _digest("sha3-256", f"{_NIST_HASHES}.8", hashlib.sha3_256),
        _digest("sha3-384", f"{_NIST_HASHES}.9", hashlib.sha3_384),
        _digest("sha3-512", f"{_NIST_HASHES}.10", hashlib.sha3_512),
        _digest("sm3", "1.2.156.10197.1.401", lambda data: hashlib.new("sm3", data)),
    )
}
"""Every digest by name. SHA-1 and SHA-224 are not among them. SM3 is GB/T 32905; no scheme below signs with it."""

DIGESTS_BY_OID: dict[str, DigestAlgorithm] = {digest.oid: digest for digest in DIGESTS.values()}

_SHORTEST_RSA_BITS = 2048
_LONGEST_RSA_BITS = 4096


def _pss(digest: DigestAlgorithm) -> bytes:
    mask = sequence(oid("1.2.840.113549.1.1.8"), digest.identifier_with_null)
    return sequence(
        oid("1.2.840.113549.1.1.10"),
        sequence(
            tlv(context(0), digest.identifier_with_null),
            tlv(context(1), mask),
            tlv(context(2), integer(digest.size)),
        ),
    )


def _on_curve(curve: type[ec.EllipticCurve]) -> Callable[[PublicKeyTypes], bool]:
    return lambda key: isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curve)


def _is_rsa(key: PublicKeyTypes) -> bool:
    return isinstance(key, rsa.RSAPublicKey) and _SHORTEST_RSA_BITS <= key.key_size <= _LONGEST_RSA_BITS


def _of(kind: type) -> Callable[[PublicKeyTypes], bool]:
    return lambda key: isinstance(key, kind)


def _schemes() -> list[SignatureScheme]:
    sha256, sha384, sha512 = DIGESTS["sha256"], DIGESTS["sha384"], DIGESTS["sha512"]
    ecdsa_sha256 = sequence(oid("1.2.840.10045.4.3.2"))
    ecdsa_sha384 = sequence(oid("1.2.840.10045.4.3.3"))
    schemes = [
        SignatureScheme("ecdsa-p256-sha256", ecdsa_sha256, sha256, _on_curve(ec.SECP256R1)),
        SignatureScheme("ecdsa-p384-sha384", ecdsa_sha384, sha384, _on_curve(ec.SECP384R1)),
        SignatureScheme("ecdsa-secp256k1-sha256", ecdsa_sha256, sha256, _on_curve(ec.SECP256K1)),
        SignatureScheme("ed25519", sequence(oid("1.3.101.112")), sha512, _of(ed25519.Ed25519PublicKey)),
        SignatureScheme("ml-dsa-44", sequence(oid("2.16.840.1.101.3.4.3.17")), sha512, _of(mldsa.MLDSA44PublicKey)),
        SignatureScheme("ml-dsa-65", sequence(oid("2.16.840.1.101.3.4.3.18")), sha512, _of(mldsa.MLDSA65PublicKey)),
        SignatureScheme("ml-dsa-87", sequence(oid("2.16.840.1.101.3.4.3.19")), sha512, _of(mldsa.MLDSA87PublicKey)),
    ]
    for digest, dotted in ((sha256, "11"), (sha384, "12"), (sha512, "13")):
        pkcs1 = sequence(oid(f"1.2.840.113549.1.1.{dotted}"), ENCODED_NULL)
        schemes.append(SignatureScheme(f"rsa-pkcs1-{digest.name}", pkcs1, digest, _is_rsa))
        schemes.append(SignatureScheme(f"rsa-pss-{digest.name}", _pss(digest), digest, _is_rsa))
    return schemes


SCHEMES: dict[str, SignatureScheme] = {scheme.name: scheme for scheme in _schemes()}
"""Every signature scheme by name."""


def digest_algorithm(name: str) -> DigestAlgorithm:
    """The digest of that name. Raises UnknownAlgorithm."""
    try:
        return DIGESTS[name]
    except KeyError:
        raise UnknownAlgorithm(f"no digest {name!r}; there are {', '.join(DIGESTS)}") from None


def signature_scheme(name: str) -> SignatureScheme:
    """The scheme of that name. Raises UnknownAlgorithm."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise UnknownAlgorithm(f"no signature scheme {name!r}; there are {', '.join(SCHEMES)}") from None
