"""The witness's keys: Ed25519, in files of its own or in a token; all of them cosign what one does."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from appliance.log.note import COSIGNATURE_V1, Note, NoteSignature, VerifierKey, cosigned_message
from appliance.witness.errors import SettingsFaults
from appliance.witness.settings import KeySettings, WitnessSettings

_LARGEST_FILE = 16 * 1024


class WitnessKey(Protocol):
    """A key that cosigns."""

    @property
    def verifier(self) -> VerifierKey:
        """Of type 0x04."""

    async def sign(self, message: bytes) -> bytes:
        """64 bytes (RFC 8032); awaits futures only. Raises KeyUnavailable."""

    def close(self) -> None: ...


class FileKey:
    """A key in a file."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = VerifierKey(name, key.public_key().public_bytes_raw(), COSIGNATURE_V1)

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def close(self) -> None:
        """Nothing is open."""


class Cosigners:
    """All keys of a witness."""

    def __init__(self, keys: Sequence[WitnessKey]) -> None:
        self._keys = tuple(keys)
        self.verifiers = tuple(key.verifier for key in keys)

    async def cosign(self, note: Note, time: int) -> Note:
        """The note with our cosignatures as its last lines. `time`: seconds since the epoch. Raises KeyUnavailable."""
        message = cosigned_message(time, note.text)
        stamped = time.to_bytes(8, "big")
        lines = [
            NoteSignature(key.verifier.name, key.verifier.key_id, stamped + await key.sign(message))
            for key in self._keys
        ]
        return Note(note.text, (*note.signatures, *lines))

    def lines(self, note: Note) -> bytes:
        """Our lines of a note."""
        names = {(key.name, key.key_id) for key in self.verifiers}
        return b"".join(line.line() for line in note.signatures if (line.name, line.key_id) in names)

    def close(self) -> None:
        for key in self._keys:
            key.close()


def open_keys(settings: WitnessSettings) -> Cosigners:
    """Open every key. Raises SettingsFaults with what is wrong with each."""
    opened: list[WitnessKey] = []
    faults: list[str] = []
    for entry in settings.keys:
        try:
            opened.append(_open(settings, entry))
        except SettingsFaults as error:
            faults += error.faults
    if faults:
        Cosigners(opened).close()
        raise SettingsFaults(faults)
    return Cosigners(opened)


def _open(settings: WitnessSettings, entry: KeySettings) -> WitnessKey:
    if entry.file is not None:
        return FileKey(entry.name, read_key(settings.path(entry.file)))
    from appliance.witness.token_keys import open_token_key  # noqa: PLC0415 - only who has a token needs its parts

    return open_token_key(settings, entry)


def read_key(path: Path) -> Ed25519PrivateKey:
    """A private key that only this user can read. Raises SettingsFaults; no part of the key stands in it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsFaults([f"{path}: {error.strerror}"]) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
            raise SettingsFaults([f"{path} must be a file of this user that nobody else can read (mode 0600)"])
        content = os.read(descriptor, _LARGEST_FILE)
    finally:
        os.close(descriptor)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise SettingsFaults([f"{path} holds no private key in PEM without a passphrase"]) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsFaults([f"{path} holds no Ed25519 key"])
    return key


def make_key(path: Path) -> Ed25519PrivateKey:
    """A new key in a new file, durable, mode 0600. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return key
