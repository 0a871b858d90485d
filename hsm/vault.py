"""Content keys: 32 bytes that encrypt what is stored, themselves encrypted by a key that never leaves the token.

    wrapped = 0x01 || nonce (12 bytes) || AES-256-GCM ciphertext (32 bytes) || tag (16 bytes)      61 bytes

NIST SP 800-38D; nonce and content key come from the token's random generator; the associated data are
"content-key/1\\n" and the wrapping key's label. The wrapping key encrypts and decrypts and does nothing else.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_ulong, c_void_p

from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism
from hsm.errors import (
    CryptokiError,
    KeyAmbiguous,
    KeyNotFound,
    MechanismUnavailable,
    TokenUnavailable,
    VaultError,
    WeakKey,
)
from hsm.failures import Failure, classify
from hsm.tokens import Token

WRAPPING_KEY_LABEL = "content-key-wrapping"
CONTENT_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_FORMAT = b"\x01"
WRAPPED_BYTES = 1 + _NONCE_BYTES + CONTENT_KEY_BYTES + _TAG_BYTES
_OTHER_PURPOSES = (ck.CKA_WRAP, ck.CKA_UNWRAP, ck.CKA_SIGN, ck.CKA_VERIFY, ck.CKA_DERIVE)


class _GcmParameters(Structure):
    _fields_ = [
        ("iv", c_void_p),
        ("iv_length", c_ulong),
        ("iv_bits", c_ulong),
        ("associated", c_void_p),
        ("associated_length", c_ulong),
        ("tag_bits", c_ulong),
    ]


def create_content_key(token: Token, label: str = WRAPPING_KEY_LABEL) -> bytes:
    """A new content key, wrapped (61 bytes). Makes the wrapping key of that label if the token has none.

    Raises MechanismUnavailable if the token has no AES-GCM, WeakKey, TokenUnavailable, VaultError.
    """
    if not {ck.CKM_AES_GCM, ck.CKM_AES_KEY_GEN} <= token.mechanisms:
        raise MechanismUnavailable("the token has no AES-256-GCM to wrap content keys with")
    with token.session(writable=True) as (cryptoki, session):
        try:
            try:
                key = _wrapping_key(cryptoki, session, label)
            except KeyNotFound:
                key = _make_wrapping_key(cryptoki, session, label)
            nonce = cryptoki.generate_random(session, _NONCE_BYTES)
            content_key = cryptoki.generate_random(session, CONTENT_KEY_BYTES)
            return _FORMAT + nonce + cryptoki.encrypt(session, _gcm(nonce, label), key, content_key)
        except CryptokiError as error:
            raise _typed(error) from error


def open_content_key(token: Token, wrapped: bytes, label: str = WRAPPING_KEY_LABEL) -> bytes:
    """The 32 bytes of a content key. Raises VaultError if it was altered or wrapped elsewhere, KeyNotFound, WeakKey,
    TokenUnavailable."""
    if len(wrapped) != WRAPPED_BYTES or wrapped[:1] != _FORMAT:
        raise VaultError("not a wrapped content key")
    nonce, ciphertext = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
    with token.session() as (cryptoki, session):
        try:
            key = _wrapping_key(cryptoki, session, label)
            content_key = cryptoki.decrypt(session, _gcm(nonce, label), key, ciphertext)
        except CryptokiError as error:
            raise _typed(error) from error
    if len(content_key) != CONTENT_KEY_BYTES:
        raise VaultError("the wrapped content key does not hold 32 bytes")
    return content_key


def _typed(error: CryptokiError) -> TokenUnavailable | VaultError:
    # Tokens say "general error" for a wrong tag: only what cannot be one counts as the token's own trouble.
    if error.function != "C_Decrypt" and classify(error.value) is not Failure.REFUSED:
        return TokenUnavailable(str(error))
    return VaultError("the content key was altered or wrapped by another key")


def _wrapping_key(cryptoki: Cryptoki, session: int, label: str) -> int:
    found = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: label})
    if not found:
        raise KeyNotFound("the token has no wrapping key for content keys")
    if len(found) > 1:
        raise KeyAmbiguous("the token has several wrapping keys of one label")
    attributes = cryptoki.get_attributes(
        session, found[0], (ck.CKA_SENSITIVE, ck.CKA_EXTRACTABLE, ck.CKA_PRIVATE, *_OTHER_PURPOSES)
    )
    kept = attributes.get(ck.CKA_SENSITIVE) is True and attributes.get(ck.CKA_EXTRACTABLE) is False
    if not kept or any(attributes.get(purpose) is True for purpose in _OTHER_PURPOSES):
        raise WeakKey("the wrapping key for content keys can leave the token or has another purpose too")
    return found[0]


def _make_wrapping_key(cryptoki: Cryptoki, session: int, label: str) -> int:
    template: dict[int, AttributeValue] = {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_AES,
        ck.CKA_VALUE_LEN: 32,
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: False,
        ck.CKA_ENCRYPT: True,
        ck.CKA_DECRYPT: True,
        **{purpose: False for purpose in _OTHER_PURPOSES},
        ck.CKA_MODIFIABLE: False,
        ck.CKA_COPYABLE: False,
        ck.CKA_LABEL: label,
    }
    return cryptoki.generate_key(session, Mechanism.of(ck.CKM_AES_KEY_GEN), template)


def _gcm(nonce: bytes, label: str) -> Mechanism:
    associated = b"content-key/1\n" + label.encode()
    nonce_buffer = ctypes.create_string_buffer(nonce, len(nonce))
    associated_buffer = ctypes.create_string_buffer(associated, len(associated))
    parameters = _GcmParameters(
        ctypes.addressof(nonce_buffer),
        len(nonce),
        8 * len(nonce),
        ctypes.addressof(associated_buffer),
        len(associated),
        8 * _TAG_BYTES,
    )
    mechanism = Mechanism.of(ck.CKM_AES_GCM, parameters)
    mechanism._kept = (parameters, nonce_buffer, associated_buffer)
    return mechanism
