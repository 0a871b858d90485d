"""What the recorder keeps of a record without being able to read it: salt, record and artifact under the tenant's key.

Each life of a worker draws a random 16-byte `life` and encrypts under HMAC-SHA-256(content key, life), counting its
nonces. So no nonce is used twice under a key, however many records there are; random nonces under the content key
itself would come near their limit within days (NIST SP 800-38D, section 8.3).

    body      = life (16) || nonce (12) || AES-256-GCM(key of that life, nonce, plaintext, aad)
    aad       = tenant || "|" || record id
    plaintext = msgpack [salt (32), record (canonical JSON), artifact]
"""

from __future__ import annotations

import hmac
import os
from functools import lru_cache
from itertools import count

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import CinnabarError
from appliance.tree_hash import SHA256, TreeHash

LIFE_BYTES = 16
NONCE_BYTES = 12
_HEAD_BYTES = LIFE_BYTES + NONCE_BYTES


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
    """Closes and opens the bodies of one tenant in one process; a fork must not copy it. `content_key`: 32 bytes."""

    def __init__(self, tenant: str, content_key: bytes, hashing: TreeHash = SHA256) -> None:
        """`hashing`: that of the tenant's log, by which its records are committed to."""
        self.hashing = hashing
        self._prefix = tenant.encode() + b"|"
        self._life = os.urandom(LIFE_BYTES)
        self._content_key = content_key
        self._key_of = lru_cache(maxsize=256)(lambda life: AESGCM(hmac.digest(content_key, life, "sha256")))
        self._encrypt = self._key_of(self._life).encrypt
        self._next_nonce = count().__next__

    def close(self, record_id: bytes, body: Body) -> bytes:
        return self.close_bytes(record_id, _encode(body))

    def close_bytes(self, label: bytes, plaintext: bytes) -> bytes:
        """Encrypt other content of the tenant's under a label of its own; a record's label is its id."""
        nonce = self._next_nonce().to_bytes(NONCE_BYTES, "big")
        return self._life + nonce + self._encrypt(nonce, plaintext, self._prefix + label)

    def keyed_hash(self, text: bytes) -> bytes:
        """HMAC-SHA-256 of a text under the content key, 32 bytes: the same in every process. `text` is longer than the
        random of a life, whose keys are made alike."""
        if len(text) <= LIFE_BYTES:
            raise ValueError("a text of a keyed hash has more than 16 bytes")
        return hmac.digest(self._content_key, text, "sha256")

    def open(self, record_id: bytes, body: bytes) -> Body:
        """Raises BodyDamaged."""
        try:
            return _decode(self.open_bytes(record_id, body))
        except msgspec.DecodeError:
            raise BodyDamaged("The stored body is not a record's.") from None

    def open_bytes(self, label: bytes, sealed: bytes) -> bytes:
        """Raises BodyDamaged."""
        nonce = sealed[LIFE_BYTES:_HEAD_BYTES]
        try:
            return self._key_of(sealed[:LIFE_BYTES]).decrypt(nonce, sealed[_HEAD_BYTES:], self._prefix + label)
        except (InvalidTag, ValueError):
            raise BodyDamaged("The stored body does not decrypt.") from None
