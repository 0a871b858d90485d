"""Which mechanism makes a signature of a scheme: a pure choice into a frozen spec.

The choice depends on the scheme and on what the token says it can do, nothing else. Where a token offers both, the
message is hashed here and the token gets the digest: a long document then does not travel to a network HSM.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from hsm import constants as ck
from hsm.encodings import CURVE_ORDERS, DIGEST_INFO_PREFIXES, ecdsa_signature_to_der, low_s
from hsm.errors import MechanismUnavailable


class KeyKind(enum.Enum):
    """The kind of key a scheme needs: (PKCS#11 key type, curve or parameter set)."""

    P256 = (ck.CKK_EC, "secp256r1")
    P384 = (ck.CKK_EC, "secp384r1")
    SECP256K1 = (ck.CKK_EC, "secp256k1")
    RSA = (ck.CKK_RSA, "")
    ED25519 = (ck.CKK_EC_EDWARDS, "ed25519")
    ML_DSA_44 = (ck.CKK_ML_DSA, "ml-dsa-44")
    ML_DSA_65 = (ck.CKK_ML_DSA, "ml-dsa-65")
    ML_DSA_87 = (ck.CKK_ML_DSA, "ml-dsa-87")


@dataclass(frozen=True)
class Scheme:
    """A signature scheme by name."""

    name: str
    kind: KeyKind
    digest: str
    """hashlib name of the digest, empty where the scheme hashes by itself."""
    padding: str | None = None
    """pkcs1 or pss, for RSA."""


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("ecdsa-p256-sha256", KeyKind.P256, "sha256"),
        Scheme("ecdsa-p384-sha384", KeyKind.P384, "sha384"),
        Scheme("ecdsa-secp256k1-sha256", KeyKind.SECP256K1, "sha256"),
        *(
            Scheme(f"rsa-{padding}-{digest}", KeyKind.RSA, digest, padding)
            for padding in ("pkcs1", "pss")
            for digest in ("sha256", "sha384", "sha512")
        ),
        Scheme("ed25519", KeyKind.ED25519, ""),
        Scheme("ml-dsa-44", KeyKind.ML_DSA_44, ""),
        Scheme("ml-dsa-65", KeyKind.ML_DSA_65, ""),
        Scheme("ml-dsa-87", KeyKind.ML_DSA_87, ""),
    )
}

SECP256K1_DIGEST = "ecdsa-secp256k1-digest"
"""Not among SCHEMES: ECDSA over 32 bytes that are a digest already, as chains hash their transactions by rules of their
own. Whoever uses it has made that digest from fields; nobody's bytes are signed so."""
P256_DIGEST = "ecdsa-p256-digest"
"""The same on P-256."""
_OVER_DIGESTS = {
    SECP256K1_DIGEST: Scheme(SECP256K1_DIGEST, KeyKind.SECP256K1, ""),
    P256_DIGEST: Scheme(P256_DIGEST, KeyKind.P256, ""),
}

HMAC_SHA256 = "hmac-sha256"
"""Not a signature scheme: what a `hsm.mac.MacKey` makes (RFC 2104 with SHA-256)."""
MAC_BYTES = 32
RSA_MINIMUM_BITS = 2048
RSA_MAXIMUM_BITS = 4096

_ECDSA_WITH_HASH = {"sha256": ck.CKM_ECDSA_SHA256, "sha384": ck.CKM_ECDSA_SHA384}
_PKCS1_WITH_HASH = {
    "sha256": ck.CKM_SHA256_RSA_PKCS,
    "sha384": ck.CKM_SHA384_RSA_PKCS,
    "sha512": ck.CKM_SHA512_RSA_PKCS,
}
_PSS_WITH_HASH = {
    "sha256": ck.CKM_SHA256_RSA_PKCS_PSS,
    "sha384": ck.CKM_SHA384_RSA_PKCS_PSS,
    "sha512": ck.CKM_SHA512_RSA_PKCS_PSS,
}
# CK_RSA_PKCS_PSS_PARAMS: hash mechanism, mask generation function, salt length. The salt is as long as the digest
# (RFC 8017, section 9.1; the recommendation of RFC 4055, section 3.1).
_PSS_PARAMETERS = {
    "sha256": struct.pack("LLL", ck.CKM_SHA256, ck.CKG_MGF1_SHA256, 32),
    "sha384": struct.pack("LLL", ck.CKM_SHA384, ck.CKG_MGF1_SHA384, 48),
    "sha512": struct.pack("LLL", ck.CKM_SHA512, ck.CKG_MGF1_SHA512, 64),
}
_EC_SIGNATURE_BYTES = {KeyKind.P256: 64, KeyKind.SECP256K1: 64, KeyKind.P384: 96}
# FIPS 204, table 2
_ML_DSA_SIGNATURE_BYTES = {KeyKind.ML_DSA_44: 2420, KeyKind.ML_DSA_65: 3309, KeyKind.ML_DSA_87: 4627}


@dataclass(frozen=True)
class SigningSpec:
    """How to make one signature: before the token, in it, after it."""

    scheme: str
    mechanism: int
    parameter: bytes | None
    """The mechanism's parameter in its C layout."""
    prepare: Callable[[bytes], bytes]
    """From the message to what C_Sign gets."""
    finish: Callable[[bytes], bytes]
    """From what C_Sign gives to the signature as X.509 and CMS carry it."""
    maximum_bytes: int
    """The largest answer of C_Sign."""
    counted: bool = True
    """Whether a call is a signature in its callers' books (control RECORD). A MAC is none: nobody can verify it."""


def scheme_named(name: str) -> Scheme:
    """The scheme of that name. Raises MechanismUnavailable."""
    if name in _OVER_DIGESTS:
        return _OVER_DIGESTS[name]
    try:
        return SCHEMES[name]
    except KeyError:
        raise MechanismUnavailable(f"no signature scheme is called {name!r}") from None


def choose(scheme_name: str, mechanisms: frozenset[int], *, lower_s: bool = False) -> SigningSpec:
    """The spec for a scheme on a token that has these mechanisms.

    lower_s: give ECDSA signatures with s in the lower half of the group order. Raises MechanismUnavailable.
    """
    scheme = scheme_named(scheme_name)
    if lower_s and scheme.kind not in _EC_SIGNATURE_BYTES:
        raise MechanismUnavailable(f"low s is asked of {scheme_name}, which has no s")
    if scheme.kind in _EC_SIGNATURE_BYTES:
        outside, inside = ck.CKM_ECDSA, _ECDSA_WITH_HASH.get(scheme.digest)
        parameter, prefix = None, b""
        finish = _low_s_to_der(CURVE_ORDERS[scheme.kind.value[1]]) if lower_s else ecdsa_signature_to_der
        size = _EC_SIGNATURE_BYTES[scheme.kind]
    elif scheme.kind is KeyKind.RSA:
        finish, size = _as_it_is, RSA_MAXIMUM_BITS // 8
        if scheme.padding == "pss":
            outside, inside = ck.CKM_RSA_PKCS_PSS, _PSS_WITH_HASH[scheme.digest]
            parameter, prefix = _PSS_PARAMETERS[scheme.digest], b""
        else:
            outside, inside = ck.CKM_RSA_PKCS, _PKCS1_WITH_HASH[scheme.digest]
            parameter, prefix = None, DIGEST_INFO_PREFIXES[scheme.digest]
    else:
        whole, size = (
            (ck.CKM_EDDSA, 64)
            if scheme.kind is KeyKind.ED25519
            else (ck.CKM_ML_DSA, _ML_DSA_SIGNATURE_BYTES[scheme.kind])
        )
        if whole not in mechanisms:
            raise MechanismUnavailable(f"the token has no mechanism for {scheme_name}")
        return SigningSpec(scheme_name, whole, None, _as_it_is, _as_it_is, size)
    if outside in mechanisms:
        return SigningSpec(scheme_name, outside, parameter, _digest(scheme.digest, prefix), finish, size)
    if inside in mechanisms:
        return SigningSpec(scheme_name, inside, parameter, _as_it_is, finish, size)
    raise MechanismUnavailable(f"the token has no mechanism for {scheme_name}")


def mac_spec(mechanisms: frozenset[int]) -> SigningSpec:
    """The spec for HMAC-SHA-256. Raises MechanismUnavailable."""
    if ck.CKM_SHA256_HMAC not in mechanisms:
        raise MechanismUnavailable("the token has no HMAC with SHA-256")
    return SigningSpec(HMAC_SHA256, ck.CKM_SHA256_HMAC, None, _as_it_is, _as_it_is, MAC_BYTES, counted=False)


def _as_it_is(data: bytes) -> bytes:
    return data


def _a_digest(data: bytes) -> bytes:
    if len(data) != 32:
        raise MechanismUnavailable("a digest of 32 bytes is signed, and nothing else")
    return data


def _digest(name: str, prefix: bytes) -> Callable[[bytes], bytes]:
    if not name:
        return _a_digest
    new = getattr(hashlib, name)
    if not prefix:
        return lambda message: new(message).digest()
    return lambda message: prefix + new(message).digest()


def _low_s_to_der(order: int) -> Callable[[bytes], bytes]:
    return lambda raw: ecdsa_signature_to_der(low_s(raw, order))
