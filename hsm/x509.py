"""HSM keys as `cryptography` private keys, so that the library builds certificates, requests and CRLs with them.

The library hands over the bytes to be signed and the hash it was told; a key signs by its own scheme only.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from hsm.errors import MechanismUnavailable
from hsm.mechanisms import scheme_named
from hsm.signing import SigningKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def private_key(key: SigningKey) -> PrivateKey:
    """The key for CertificateBuilder.sign and its like.

    ECDSA serves certificates, requests, CRLs and OCSP answers; RSA with PKCS#1 v1.5 the same, with PSS all but OCSP
    answers; Ed25519 certificates and requests. Raises MechanismUnavailable for other kinds of keys.
    """
    if isinstance(key.public_key, ec.EllipticCurvePublicKey):
        return _EcKey(key)
    if isinstance(key.public_key, rsa.RSAPublicKey):
        return _RsaKey(key)
    if isinstance(key.public_key, ed25519.Ed25519PublicKey):
        return _Ed25519Key(key)
    raise MechanismUnavailable(f"{key.scheme} keys cannot be used for X.509 structures yet")


def hash_algorithm(key: SigningKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """What to pass to `sign` of a builder beside `private_key(key)`: the hash of the key's scheme; None for Ed25519."""
    return _HASHES.get(scheme_named(key.scheme).digest)


def rsa_padding(key: SigningKey) -> padding.PSS | padding.PKCS1v15 | None:
    """What to pass as `rsa_padding` to a builder of certificates, requests or CRLs; None: it is no RSA key."""
    scheme = scheme_named(key.scheme)
    if scheme.padding == "pss":
        algorithm = _HASHES[scheme.digest]
        return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
    return None if scheme.padding is None else padding.PKCS1v15()


_HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class _TokenKey:
    """What all three have in common: no private value to show."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def _check_hash(self, algorithm: object) -> None:
        digest = scheme_named(self._key.scheme).digest
        if getattr(algorithm, "name", "") != digest:
            raise MechanismUnavailable(f"the key signs by {self._key.scheme} only")

    def _stays(self) -> NoReturn:
        raise MechanismUnavailable("the private key stays in its token")

    def private_numbers(self) -> NoReturn:
        self._stays()

    def private_bytes(self, *_arguments: Any, **_named: Any) -> NoReturn:
        self._stays()

    def private_bytes_raw(self) -> NoReturn:
        self._stays()

    def decrypt(self, *_arguments: Any) -> NoReturn:
        self._stays()

    def exchange(self, *_arguments: Any) -> NoReturn:
        self._stays()

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Any:
        return self


class _EcKey(_TokenKey, ec.EllipticCurvePrivateKey):
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return cast(ec.EllipticCurvePublicKey, self._key.public_key)

    @property
    def curve(self) -> ec.EllipticCurve:
        return self.public_key().curve

    @property
    def key_size(self) -> int:
        return self.public_key().key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        self._check_hash(signature_algorithm.algorithm)
        return self._key.sign(bytes(data))


class _RsaKey(_TokenKey, rsa.RSAPrivateKey):
    def public_key(self) -> rsa.RSAPublicKey:
        return cast(rsa.RSAPublicKey, self._key.public_key)

    @property
    def key_size(self) -> int:
        return self.public_key().key_size

    def sign(self, data: Any, padding_form: padding.AsymmetricPadding, algorithm: Any) -> bytes:
        self._check_hash(algorithm)
        wanted = scheme_named(self._key.scheme).padding
        if wanted != ("pss" if isinstance(padding_form, padding.PSS) else "pkcs1"):
            raise MechanismUnavailable(f"the key signs by {self._key.scheme} only")
        return self._key.sign(bytes(data))


class _Ed25519Key(_TokenKey, ed25519.Ed25519PrivateKey):
    def public_key(self) -> ed25519.Ed25519PublicKey:
        return cast(ed25519.Ed25519PublicKey, self._key.public_key)

    def sign(self, data: Any) -> bytes:
        return self._key.sign(bytes(data))
