"""Recipients of an encrypted CMS message: a content key, encrypted to each (RFC 5652, section 6.2).

RSA   RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 3560)
EC    ephemeral-static ECDH with the X9.63 key derivation and AES-256 key wrap (RFC 5753, RFC 3565): P-256 with SHA-256,
      P-384 with SHA-384, P-521 with SHA-512; a fresh ephemeral key for each recipient
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from asn1crypto import algos, cms, core, keys
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONTENT_KEY_BYTES: Final = 32
RSA_MINIMUM_BITS: Final = 2048
_SHA256: Final = {"algorithm": "sha256"}
_AES256_WRAP: Final = "2.16.840.1.101.3.4.1.45"


@dataclass(frozen=True)
class _Curve:
    curve: ec.EllipticCurve
    asn1_name: str
    scheme: str
    """dhSinglePass-stdDH-shaXXXkdf-scheme (RFC 5753, section 7.1.4)."""
    digest: hashes.HashAlgorithm


_CURVES: Final = (
    _Curve(ec.SECP256R1(), "secp256r1", "1.3.132.1.11.1", hashes.SHA256()),
    _Curve(ec.SECP384R1(), "secp384r1", "1.3.132.1.11.2", hashes.SHA384()),
    _Curve(ec.SECP521R1(), "secp521r1", "1.3.132.1.11.3", hashes.SHA512()),
)
CURVE_NAMES: Final = frozenset(one.curve.name for one in _CURVES)


class NotOpened(ValueError):
    """The key is not the recipient's, or the message was altered."""


class _SharedInfo(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """ECC-CMS-SharedInfo (RFC 5753, section 7.2)."""

    _fields: ClassVar = [
        ("key_info", cms.KeyEncryptionAlgorithm),
        ("entity_u_info", core.OctetString, {"explicit": 0, "optional": True}),
        ("supp_pub_info", core.OctetString, {"explicit": 2}),
    ]


def transport(key: rsa.RSAPublicKey, content_key: bytes, identifier: cms.RecipientIdentifier) -> cms.RecipientInfo:
    """A KeyTransRecipientInfo. The identifier decides the version (section 6.2.1)."""
    by_name = identifier.name == "issuer_and_serial_number"
    info = {
        "version": "v0" if by_name else "v2",
        "rid": identifier,
        "key_encryption_algorithm": {
            "algorithm": "rsaes_oaep",
            "parameters": {
                "hash_algorithm": _SHA256,
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": _SHA256},
            },
        },
        "encrypted_key": key.encrypt(content_key, _oaep()),
    }
    return cms.RecipientInfo("ktri", cms.KeyTransRecipientInfo(info))


def agreement(
    key: ec.EllipticCurvePublicKey, content_key: bytes, identifier: cms.KeyAgreementRecipientIdentifier
) -> cms.RecipientInfo:
    """A KeyAgreeRecipientInfo with an ephemeral key of its own. Raises ValueError for another curve."""
    curve = next((one for one in _CURVES if one.curve.name == key.curve.name), None)
    if curve is None:
        raise ValueError("fields are encrypted to keys of P-256, P-384 and P-521")
    ephemeral = ec.generate_private_key(curve.curve)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    wrapping_key = _wrapping_key(curve, ephemeral.exchange(ec.ECDH(), key), None)
    info = {
        "version": "v3",
        "originator": cms.OriginatorIdentifierOrKey(
            "originator_key",
            keys.PublicKeyInfo(
                {
                    "algorithm": {"algorithm": "ec", "parameters": keys.ECDomainParameters("named", curve.asn1_name)},
                    "public_key": keys.ECPointBitString(point),
                }
            ),
        ),
        "key_encryption_algorithm": {
            "algorithm": curve.scheme,
            "parameters": cms.KeyEncryptionAlgorithm({"algorithm": _AES256_WRAP}),
        },
        "recipient_encrypted_keys": [
            {"rid": identifier, "encrypted_key": keywrap.aes_key_wrap(wrapping_key, content_key)}
        ],
    }
    return cms.RecipientInfo("kari", cms.KeyAgreeRecipientInfo(info))


def open_transport(info: cms.KeyTransRecipientInfo, key: rsa.RSAPrivateKey) -> bytes:
    """The content key. Raises NotOpened."""
    algorithm = info["key_encryption_algorithm"]
    parameters = algorithm["parameters"]
    if algorithm["algorithm"].native != "rsaes_oaep" or not isinstance(parameters, algos.RSAESOAEPParams):
        raise NotOpened("the content key is not encrypted by RSAES-OAEP")
    used = (parameters["hash_algorithm"]["algorithm"].native, parameters["mask_gen_algorithm"].native["algorithm"])
    inner = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
    if (*used, inner) != ("sha256", "mgf1", "sha256") or parameters["p_source_algorithm"]["parameters"].native:
        raise NotOpened("the content key is not encrypted by RSAES-OAEP with SHA-256")
    try:
        return key.decrypt(bytes(info["encrypted_key"].native), _oaep())
    except ValueError:
        raise NotOpened("the content key does not open") from None


def open_agreement(info: cms.KeyAgreeRecipientInfo, encrypted_key: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The content key. Raises NotOpened."""
    scheme = info["key_encryption_algorithm"]["algorithm"].dotted
    curve = next((one for one in _CURVES if one.scheme == scheme and one.curve.name == key.curve.name), None)
    parameters = info["key_encryption_algorithm"]["parameters"]
    originator = info["originator"]
    if curve is None or originator.name != "originator_key" or parameters.native is None:
        raise NotOpened("the content key is not encrypted by the scheme of this key's curve")
    if parameters.dump() != cms.KeyEncryptionAlgorithm({"algorithm": _AES256_WRAP}).dump():
        raise NotOpened("the content key is not wrapped by AES-256")
    point = originator.chosen["public_key"].native
    material = info["ukm"].native
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, point)
        wrapping_key = _wrapping_key(curve, key.exchange(ec.ECDH(), peer), material)
        return keywrap.aes_key_unwrap(wrapping_key, encrypted_key)
    except (ValueError, TypeError, InvalidKey, keywrap.InvalidUnwrap):
        raise NotOpened("the content key does not open") from None


def _wrapping_key(curve: _Curve, agreed: bytes, material: bytes | None) -> bytes:
    members = {
        "key_info": cms.KeyEncryptionAlgorithm({"algorithm": _AES256_WRAP}),
        "supp_pub_info": (8 * CONTENT_KEY_BYTES).to_bytes(4, "big"),
    }
    if material is not None:
        members["entity_u_info"] = material
    return X963KDF(curve.digest, CONTENT_KEY_BYTES, _SharedInfo(members).dump()).derive(agreed)


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
