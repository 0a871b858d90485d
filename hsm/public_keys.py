"""Public keys: from a token's attributes to `cryptography` keys, and verifying by scheme."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hsm import constants as ck
from hsm.cryptoki import AttributeValue
from hsm.encodings import unwrap_octet_string
from hsm.errors import KeyMismatch, MechanismUnavailable, SelfTestFailed
from hsm.mechanisms import RSA_MAXIMUM_BITS, RSA_MINIMUM_BITS, KeyKind, scheme_named

PublicKey = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)

CURVES: dict[KeyKind, ec.EllipticCurve] = {
    KeyKind.P256: ec.SECP256R1(),
    KeyKind.P384: ec.SECP384R1(),
    KeyKind.SECP256K1: ec.SECP256K1(),
}
# DER of the named curves' object identifiers (RFC 5480, section 2.1.1.1; SEC 2, section A.2.1).
CURVE_PARAMETERS: dict[KeyKind, bytes] = {
    KeyKind.P256: bytes.fromhex("06082a8648ce3d030107"),
    KeyKind.P384: bytes.fromhex("06052b81040022"),
    KeyKind.SECP256K1: bytes.fromhex("06052b8104000a"),
}
# RFC 8410's identifier of Ed25519, and the PrintableString "edwards25519" of PKCS#11 v3.0, which older tokens want.
ED25519_PARAMETERS = (bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519")
ML_DSA_PARAMETER_SETS = {
    KeyKind.ML_DSA_44: ck.CKP_ML_DSA_44,
    KeyKind.ML_DSA_65: ck.CKP_ML_DSA_65,
    KeyKind.ML_DSA_87: ck.CKP_ML_DSA_87,
}
_ML_DSA_KEYS: dict[int, type[mldsa.MLDSA44PublicKey] | type[mldsa.MLDSA65PublicKey] | type[mldsa.MLDSA87PublicKey]] = {
    ck.CKP_ML_DSA_44: mldsa.MLDSA44PublicKey,
    ck.CKP_ML_DSA_65: mldsa.MLDSA65PublicKey,
    ck.CKP_ML_DSA_87: mldsa.MLDSA87PublicKey,
}
PUBLIC_ATTRIBUTES = (
    ck.CKA_KEY_TYPE,
    ck.CKA_EC_PARAMS,
    ck.CKA_EC_POINT,
    ck.CKA_MODULUS,
    ck.CKA_PUBLIC_EXPONENT,
    ck.CKA_PARAMETER_SET,
    ck.CKA_PUBLIC_KEY_INFO,
)
"""What tells a public key. CKA_VALUE is asked of public objects only: of a private one it would be the secret."""


def public_key_from_attributes(attributes: Mapping[int, AttributeValue]) -> PublicKey | None:
    """The public key that the attributes of a public (or private) key object tell, None if they tell too little.

    Raises KeyMismatch if they tell nonsense, MechanismUnavailable for a kind of key that is not supported.
    """
    try:
        return _from_attributes(attributes)
    except ValueError:
        raise KeyMismatch("the token's public key is malformed") from None


def _from_attributes(attributes: Mapping[int, AttributeValue]) -> PublicKey | None:
    key_type = attributes.get(ck.CKA_KEY_TYPE)
    if key_type == ck.CKK_EC:
        parameters, point = attributes.get(ck.CKA_EC_PARAMS), attributes.get(ck.CKA_EC_POINT)
        if isinstance(parameters, bytes) and isinstance(point, bytes) and point:
            for kind, encoded in CURVE_PARAMETERS.items():
                if encoded == parameters:
                    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[kind], unwrap_octet_string(point))
            raise MechanismUnavailable("the key's curve is none of P-256, P-384, secp256k1")
    elif key_type == ck.CKK_RSA:
        modulus, exponent = attributes.get(ck.CKA_MODULUS), attributes.get(ck.CKA_PUBLIC_EXPONENT)
        if isinstance(modulus, bytes) and isinstance(exponent, bytes) and modulus and exponent:
            numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
            return numbers.public_key()
    elif key_type == ck.CKK_EC_EDWARDS:
        point = attributes.get(ck.CKA_EC_POINT)
        if isinstance(point, bytes) and point:
            return ed25519.Ed25519PublicKey.from_public_bytes(unwrap_octet_string(point))
    elif key_type == ck.CKK_ML_DSA:
        parameter_set, value = attributes.get(ck.CKA_PARAMETER_SET), attributes.get(ck.CKA_VALUE)
        if isinstance(parameter_set, int) and isinstance(value, bytes) and parameter_set in _ML_DSA_KEYS and value:
            return _ML_DSA_KEYS[parameter_set].from_public_bytes(value)
    return _from_info(attributes.get(ck.CKA_PUBLIC_KEY_INFO))


def _from_info(info: AttributeValue | None) -> PublicKey | None:
    if not isinstance(info, bytes) or not info:
        return None
    key = serialization.load_der_public_key(info)
    if isinstance(key, PublicKey):
        return key
    raise MechanismUnavailable("the key is of a kind that is not supported")


def check_fits(public_key: PublicKey, scheme_name: str) -> None:
    """Raise MechanismUnavailable unless the scheme can be made with such a key."""
    kind = scheme_named(scheme_name).kind
    if kind in CURVES:
        fits = isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name == kind.value[1]
    elif kind is KeyKind.RSA:
        fits = isinstance(public_key, rsa.RSAPublicKey)
        if fits and not RSA_MINIMUM_BITS <= public_key.key_size <= RSA_MAXIMUM_BITS:  # type: ignore[union-attr]
            raise MechanismUnavailable("RSA keys have 2048 to 4096 bits here")
    elif kind is KeyKind.ED25519:
        fits = isinstance(public_key, ed25519.Ed25519PublicKey)
    else:
        fits = isinstance(public_key, _ML_DSA_KEYS[ML_DSA_PARAMETER_SETS[kind]])
    if not fits:
        raise MechanismUnavailable(f"the key is not one for {scheme_name}")


def same_public_key(first: PublicKey, second: PublicKey) -> bool:
    """Whether two keys are one, compared as SubjectPublicKeyInfo."""
    return public_key_der(first) == public_key_der(second)


def public_key_der(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def verify(public_key: PublicKey, scheme_name: str, message: bytes, signature: bytes) -> None:
    """Verify a signature in its X.509 form. Raises SelfTestFailed."""
    scheme = scheme_named(scheme_name)
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            digest = _hash(scheme.digest) if scheme.digest else Prehashed(hashes.SHA256())
            public_key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(public_key, rsa.RSAPublicKey):
            algorithm = _hash(scheme.digest)
            form: padding.AsymmetricPadding = (
                padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
                if scheme.padding == "pss"
                else padding.PKCS1v15()
            )
            public_key.verify(signature, message, form, algorithm)
        else:
            public_key.verify(signature, message)
    except InvalidSignature:
        raise SelfTestFailed(f"a signature of the token ({scheme_name}) does not verify under its key") from None


def _hash(name: str) -> hashes.HashAlgorithm:
    return {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
