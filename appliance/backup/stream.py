"""A backup's encryption: a stream of AES-256-GCM chunks whose order and end are authenticated.

    file   = header || chunk ...
    header = "cinnabar-backup/1\\n" || salt (16) || nonce prefix (7)
    key    = scrypt(passphrase, salt, N = 2^17, r = 8, p = 1), 32 bytes            RFC 7914
    chunk  = AES-256-GCM(key, prefix || counter (4, big-endian) || last (1), plaintext, additional data = header)

Every chunk but the last holds exactly 1 MiB of plaintext; the last holds 0 to 1 MiB and has last = 1, the others 0
(the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár). A chunk that is changed, moved, left out or added,
and a file that is cut at a chunk's end, fail to decrypt.
"""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.backup.errors import BackupUnreadable

MAGIC = b"cinnabar-backup/1\n"
CHUNK_BYTES = 1024 * 1024
_SALT_BYTES, _PREFIX_BYTES, _TAG_BYTES = 16, 7, 16
_HEADER_BYTES = len(MAGIC) + _SALT_BYTES + _PREFIX_BYTES
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 17, 8, 1
_SCRYPT_MEMORY = 256 * 1024 * 1024


def _cipher(passphrase: bytes, salt: bytes) -> AESGCM:
    key = hashlib.scrypt(passphrase, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, maxmem=_SCRYPT_MEMORY, dklen=32)
    return AESGCM(key)


def _nonce(prefix: bytes, counter: int, last: bool) -> bytes:
    return prefix + counter.to_bytes(4, "big") + bytes([last])


class EncryptingWriter:
    """A file to write plaintext to. `close` writes the last chunk; without it the backup cannot be read."""

    def __init__(self, target: BinaryIO, passphrase: bytes) -> None:
        salt, self._prefix = os.urandom(_SALT_BYTES), os.urandom(_PREFIX_BYTES)
        self._header = MAGIC + salt + self._prefix
        self._cipher = _cipher(passphrase, salt)
        self._target = target
        self._buffer = bytearray()
        self._counter = 0
        target.write(self._header)

    def write(self, data: bytes) -> int:
        """Encrypt and write whole chunks. A full chunk is held back until more comes: it may be the last."""
        self._buffer += data
        while len(self._buffer) > CHUNK_BYTES:
            chunk = bytes(self._buffer[:CHUNK_BYTES])
            del self._buffer[:CHUNK_BYTES]
            self._put(chunk, last=False)
        return len(data)

    def close(self) -> None:
        self._put(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _put(self, chunk: bytes, last: bool) -> None:
        nonce = _nonce(self._prefix, self._counter, last)
        self._target.write(self._cipher.encrypt(nonce, chunk, self._header))
        self._counter += 1


class DecryptingReader:
    """Plaintext of a backup, chunk by chunk, each authenticated before a byte of it is given out."""

    def __init__(self, source: BinaryIO, passphrase: bytes) -> None:
        """Raises BackupUnreadable where the file is no backup."""
        self._header = source.read(_HEADER_BYTES)
        if len(self._header) != _HEADER_BYTES or not self._header.startswith(MAGIC):
            raise BackupUnreadable("this is no backup of this version")
        at = len(MAGIC)
        self._cipher = _cipher(passphrase, self._header[at : at + _SALT_BYTES])
        self._prefix = self._header[at + _SALT_BYTES :]
        self._source = source
        self._plain = b""
        self._counter = 0
        self._ahead = source.read(CHUNK_BYTES + _TAG_BYTES)
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises BackupUnreadable."""
        parts = []
        wanted = size if size >= 0 else 1 << 62
        while wanted:
            if not self._plain:
                if self._ended:
                    break
                self._plain = self._next()
                continue
            part, self._plain = self._plain[:wanted], self._plain[wanted:]
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Read to the end. Raises BackupUnreadable unless the end is the true one and nothing follows it."""
        while not self._ended:
            self._plain = self._next()

    def _next(self) -> bytes:
        chunk, self._ahead = self._ahead, self._source.read(CHUNK_BYTES + _TAG_BYTES)
        last = not self._ahead
        try:
            plain = self._cipher.decrypt(_nonce(self._prefix, self._counter, last), chunk, self._header)
        except InvalidTag:
            what = (
                "the passphrase is another, or the file was altered" if self._counter == 0 else "it was altered or cut"
            )
            raise BackupUnreadable(f"chunk {self._counter} cannot be decrypted: {what}") from None
        self._counter += 1
        self._ended = last
        return plain
