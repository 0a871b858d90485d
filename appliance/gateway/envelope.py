"""The format `envelope`: a JSON object of five members, as guarantee platforms exchange them. Pure.

    data       base64: 12 bytes of nonce || AES-256-GCM ciphertext || tag of 16 bytes; associated data: the place
    encrypt    base64: the content key for the receiver: RSAES-OAEP; or ephemeral point (65) || AES-KW (RFC 3394), 40
    nonceStr   22 to 64 characters of base64url, at least 128 bits
    timeStamp  milliseconds since 1970, 13 digits, a text
    sign       base64: the signature over the text (ECDSA: DER)

    place = nonceStr=...&receiver=...&sender=...&timeStamp=...
    text  = data=...&encrypt=...&nonceStr=...&receiver=...&sender=...&timeStamp=...

ASCII. None of the values holds an ampersand, so that a text has one reading. Sender and receiver do not travel: each
side puts in what it knows, and a message for somebody else, or of somebody else, does not verify and does not open.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from appliance.errors import BadRequest
from appliance.gateway.encodings import from_base64, to_base64
from appliance.gateway.errors import MessageRefused
from appliance.gateway.keys import (
    KEY_BYTES,
    POINT_BYTES,
    Recipient,
    agree_afresh,
    decrypt_key,
    derived,
    encrypt_key,
    read_point,
)
from appliance.gateway.messages import Head, Parties, PreparedMessage, ReadMessage, check_nonce
from appliance.repeated import refuse_repeated

_WRAPPING: Final = "ECDH-ES+A256KW"
_NONCE_BYTES: Final = 12
_WRAPPED_BYTES: Final = KEY_BYTES + 8


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The five members, each a text."""

    data: str
    encrypt: str
    nonceStr: str
    timeStamp: Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{12}\Z")]
    sign: str


_decode = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode


def read_envelope(raw: bytes, parties: Parties) -> ReadMessage:
    """Take a message apart. Raises MessageRefused."""
    try:
        envelope = _decode(raw)
        refuse_repeated(raw)
    except (msgspec.MsgspecError, BadRequest, RecursionError, UnicodeError):
        raise MessageRefused("not the five members, each once") from None
    check_nonce(envelope.nonceStr)
    head = Head(parties, envelope.nonceStr, int(envelope.timeStamp))
    data, encrypted = from_base64(envelope.data), from_base64(envelope.encrypt)

    def open_(recipient: Recipient) -> bytes:
        content_key = _content_key(encrypted, recipient, parties)
        try:
            return AESGCM(content_key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _place(head))
        except (InvalidTag, ValueError):
            raise MessageRefused("the ciphertext does not open") from None

    text = _text(envelope.data, envelope.encrypt, head)
    return ReadMessage(head, text, from_base64(envelope.sign), None, None, open_)


def prepare_envelope(
    content: bytes, head: Head, recipient: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> PreparedMessage:
    """Encrypt a message; what it lacks is its signature."""
    content_key = os.urandom(KEY_BYTES)
    nonce = os.urandom(_NONCE_BYTES)
    data = to_base64(nonce + AESGCM(content_key).encrypt(nonce, content, _place(head)))
    if isinstance(recipient, rsa.RSAPublicKey):
        encrypted = to_base64(encrypt_key(recipient, content_key))
    else:
        point, agreed = agree_afresh(recipient)
        wrapping = derived(agreed, _WRAPPING, head.parties.sender, head.parties.receiver)
        encrypted = to_base64(point + aes_key_wrap(wrapping, content_key))

    def complete(signature: bytes) -> bytes:
        sign, time = to_base64(signature), str(head.time_ms)
        return _encode(Envelope(data=data, encrypt=encrypted, nonceStr=head.nonce, timeStamp=time, sign=sign))

    return PreparedMessage(_text(data, encrypted, head), complete)


def _content_key(encrypted: bytes, recipient: Recipient, parties: Parties) -> bytes:
    if isinstance(recipient, rsa.RSAPrivateKey):
        return decrypt_key(recipient, encrypted)
    if len(encrypted) != POINT_BYTES + _WRAPPED_BYTES:
        raise MessageRefused("not a point and a wrapped key")
    point, wrapped = encrypted[:POINT_BYTES], encrypted[POINT_BYTES:]
    read_point(point)
    wrapping = derived(recipient.agree(point), _WRAPPING, parties.sender, parties.receiver)
    try:
        return aes_key_unwrap(wrapping, wrapped)
    except InvalidUnwrap:
        raise MessageRefused("the content key does not open") from None


def _place(head: Head) -> bytes:
    parties = head.parties
    return (
        f"nonceStr={head.nonce}&receiver={parties.receiver}&sender={parties.sender}&timeStamp={head.time_ms}".encode()
    )


def _text(data: str, encrypted: str, head: Head) -> bytes:
    return f"data={data}&encrypt={encrypted}&".encode() + _place(head)
