"""The format `jose`: a JWS (RFC 7515) over a JWE (RFC 7516), both compact. Pure.

    JWS header    {"alg","aud","cty":"JWE","iat","iss","jti","typ":"cinnabar-message","x5t#S256"}
    JWE header    {"alg","apu","apv","aud","cty":"json","enc":"A256GCM","epk","iss","jti"}; with RSA-OAEP-256 without
                  apu, apv and epk

`iss` is the sender, `aud` the receiver, `jti` the nonce, `iat` the time in whole seconds
(RFC 7519, section 4.1). Encrypted first, signed last:
who sent it is known before any key opens anything. The inner header names sender, receiver and nonce as well (RFC 7519,
section 5.3), and is authenticated by the encryption: a ciphertext that somebody else took and signed does not open.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.base64url import to_base64url
from appliance.errors import BadRequest
from appliance.gateway.encodings import read_base64url
from appliance.gateway.errors import MessageRefused
from appliance.gateway.keys import (
    KEY_BYTES,
    Encryption,
    Recipient,
    Signing,
    agree_afresh,
    decrypt_key,
    derived,
    encrypt_key,
    read_point,
)
from appliance.gateway.messages import EARLIEST_MS, LATEST_MS, Head, Parties, PreparedMessage, ReadMessage, check_nonce
from appliance.repeated import refuse_repeated

TYPE: Final = "cinnabar-message"
_CONTENT: Final = "A256GCM"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_COORDINATE_BYTES: Final = 32
_HALF: Final = {"ES256": 32, "ES384": 48}
"""Bytes of r and of s (RFC 7518, section 3.4)."""


class _SignedHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    alg: Signing
    aud: str
    cty: Literal["JWE"]
    iat: Annotated[int, msgspec.Meta(ge=EARLIEST_MS // 1000, le=LATEST_MS // 1000)]
    iss: str
    jti: str
    typ: Literal["cinnabar-message"]
    certificate: str = msgspec.field(name="x5t#S256")


class _Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    crv: Literal["P-256"]
    kty: Literal["EC"]
    x: str
    y: str


class _EncryptedHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    alg: Encryption
    apu: str | None = None
    apv: str | None = None
    aud: str
    cty: Literal["json"]
    enc: Literal["A256GCM"]
    epk: _Point | None = None
    iss: str
    jti: str


_Header = TypeVar("_Header", _SignedHeader, _EncryptedHeader)
_encode = msgspec.json.Encoder().encode


def read_jose(raw: bytes, parties: Parties) -> ReadMessage:
    """Take a message apart. Raises MessageRefused."""
    try:
        head_text, payload, signature_text = raw.decode("ascii").split(".")
    except ValueError:
        raise MessageRefused("not a compact JWS") from None
    header = _header(head_text, _SignedHeader)
    if (header.iss, header.aud) != (parties.sender, parties.receiver):
        raise MessageRefused("of another sender, or to another receiver")
    check_nonce(header.jti)
    head = Head(parties, header.jti, header.iat * 1000)
    inner = _utf8(payload).split(".")
    if len(inner) != 5:
        raise MessageRefused("the payload is not a compact JWE")
    inner_header = _header(inner[0], _EncryptedHeader)
    if (inner_header.iss, inner_header.aud, inner_header.jti) != (parties.sender, parties.receiver, header.jti):
        raise MessageRefused("the ciphertext is of another message")
    nonce, ciphertext, tag = (read_base64url(one) for one in inner[2:])
    if len(nonce) != _NONCE_BYTES or len(tag) != _TAG_BYTES:
        raise MessageRefused("A256GCM has a nonce of 12 bytes and a tag of 16")

    def open_(recipient: Recipient) -> bytes:
        content_key = _content_key(inner_header, read_base64url(inner[1]), recipient, parties)
        try:
            return AESGCM(content_key).decrypt(nonce, ciphertext + tag, inner[0].encode())
        except InvalidTag:
            raise MessageRefused("the ciphertext does not open") from None

    return ReadMessage(
        head,
        f"{head_text}.{payload}".encode(),
        x509_form(header.alg, read_base64url(signature_text)),
        header.alg,
        read_base64url(header.certificate),
        open_,
    )


def prepare_jose(
    content: bytes,
    head: Head,
    recipient: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    algorithm: Signing,
    certificate: bytes,
) -> PreparedMessage:
    """Encrypt a message; what it lacks is its signature. `certificate`: SHA-256 of the signer's."""
    parties = head.parties
    common: dict[str, Any] = {"aud": parties.receiver, "iss": parties.sender, "jti": head.nonce}
    if isinstance(recipient, rsa.RSAPublicKey):
        inner = _EncryptedHeader(alg="RSA-OAEP-256", cty="json", enc=_CONTENT, **common)
        content_key = os.urandom(KEY_BYTES)
        encrypted = encrypt_key(recipient, content_key)
    else:
        point, agreed = agree_afresh(recipient)
        coordinates = point[1:]
        inner = _EncryptedHeader(
            alg="ECDH-ES",
            apu=to_base64url(parties.sender.encode()),
            apv=to_base64url(parties.receiver.encode()),
            cty="json",
            enc=_CONTENT,
            epk=_Point(
                crv="P-256",
                kty="EC",
                x=to_base64url(coordinates[:_COORDINATE_BYTES]),
                y=to_base64url(coordinates[_COORDINATE_BYTES:]),
            ),
            **common,
        )
        content_key = derived(agreed, _CONTENT, parties.sender, parties.receiver)
        encrypted = b""
    inner_text = to_base64url(_encode(inner))
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(content_key).encrypt(nonce, content, inner_text.encode())
    parts = (encrypted, nonce, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    jwe = ".".join([inner_text, *(to_base64url(one) for one in parts)])
    header = _SignedHeader(
        alg=algorithm, cty="JWE", iat=head.time_ms // 1000, typ=TYPE, certificate=to_base64url(certificate), **common
    )
    text = f"{to_base64url(_encode(header))}.{to_base64url(jwe.encode())}".encode()

    def complete(signature: bytes) -> bytes:
        return text + b"." + to_base64url(jose_form(algorithm, signature)).encode()

    return PreparedMessage(text, complete)


def _content_key(header: _EncryptedHeader, encrypted: bytes, recipient: Recipient, parties: Parties) -> bytes:
    if isinstance(recipient, rsa.RSAPrivateKey):
        if header.alg != "RSA-OAEP-256" or header.epk is not None:
            raise MessageRefused("encrypted for a key of another kind")
        return decrypt_key(recipient, encrypted)
    names = (to_base64url(parties.sender.encode()), to_base64url(parties.receiver.encode()))
    if header.alg != "ECDH-ES" or header.epk is None or encrypted or (header.apu, header.apv) != names:
        raise MessageRefused("encrypted for a key of another kind")
    coordinates = [read_base64url(one) for one in (header.epk.x, header.epk.y)]
    if any(len(one) != _COORDINATE_BYTES for one in coordinates):
        raise MessageRefused("not a point of P-256")
    point = b"\x04" + b"".join(coordinates)
    read_point(point)
    return derived(recipient.agree(point), _CONTENT, parties.sender, parties.receiver)


def _header(text: str, form: type[_Header]) -> _Header:
    raw = read_base64url(text)
    try:
        header = msgspec.json.decode(raw, type=form)
        refuse_repeated(raw)
    except (msgspec.MsgspecError, BadRequest, RecursionError, UnicodeError):
        raise MessageRefused("a header is not as this format has it") from None
    return header


def _utf8(text: str) -> str:
    try:
        return read_base64url(text).decode("ascii")
    except UnicodeDecodeError:
        raise MessageRefused("the payload is not a compact JWE") from None


def x509_form(algorithm: str, signature: bytes) -> bytes:
    """A signature as JOSE writes it (RFC 7518, section 3.4), in X.509 form. Raises MessageRefused."""
    half = _HALF.get(algorithm)
    if half is None:
        return signature
    if len(signature) != 2 * half:
        raise MessageRefused("an ECDSA signature in JOSE is r and s")
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def jose_form(algorithm: str, signature: bytes) -> bytes:
    """The other way round."""
    half = _HALF.get(algorithm)
    if half is None:
        return signature
    r, s = decode_dss_signature(signature)
    return r.to_bytes(half, "big") + s.to_bytes(half, "big")
