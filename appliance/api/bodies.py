"""What the recorder keeps of a record without being able to read it: salt, record and artifact under the tenant's key.

Each body is encrypted under a key of its own, HMAC-SHA-256(content key, record id), so that no number of records comes
near the limit on random nonces under one AES-GCM key (NIST SP 800-38D, section 8.3).

    body      = nonce (12) || AES-256-GCM(record key, nonce, plaintext, aad = tenant || "|" || record id)
    plaintext = msgpack [salt (32), record (canonical JSON), artifact]
"""

from __future__ import annotations

import hmac
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import CinnabarError

NONCE_BYTES = 12


class BodyDamaged(CinnabarError):
    """A stored body does not decrypt under its tenant's key and its record's id."""

    code = "body-damaged"
    title = "The stored record cannot be opened"


class Body(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The plaintext."""

    salt: bytes
    record: bytes
    artifact: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Body).decode


class BodyCipher:
    """Closes and opens the bodies of one tenant. `content_key`: 32 bytes."""

    __slots__ = ("_key", "_prefix")

    def __init__(self, tenant: str, content_key: bytes) -> None:
        self._key = content_key
        self._prefix = tenant.encode() + b"|"

    def close(self, record_id: bytes, body: Body) -> bytes:
        return self.close_bytes(record_id, _encode(body))

    def close_bytes(self, label: bytes, plaintext: bytes) -> bytes:
        """Encrypt other content of the tenant's under a label of its own; a record's label is its id."""
        nonce = os.urandom(NONCE_BYTES)
        key = AESGCM(hmac.digest(self._key, label, "sha256"))
        return nonce + key.encrypt(nonce, plaintext, self._prefix + label)

    def open(self, record_id: bytes, body: bytes) -> Body:
        """Raises BodyDamaged."""
        try:
            return _decode(self.open_bytes(record_id, body))
        except msgspec.DecodeError:
            raise BodyDamaged("The stored body is not a record's.") from None

    def open_bytes(self, label: bytes, sealed: bytes) -> bytes:
        """Raises BodyDamaged."""
        key = AESGCM(hmac.digest(self._key, label, "sha256"))
        try:
            return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._prefix + label)
        except (InvalidTag, ValueError):
            raise BodyDamaged("The stored body does not decrypt.") from None
