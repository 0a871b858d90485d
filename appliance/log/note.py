"""Signed notes and verifier keys of C2SP signed-note, with Ed25519 (0x01) and cosignatures (0x04)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.log.errors import MalformedNote, SignatureInvalid

ED25519 = 0x01
"""Signature type: Ed25519 over the note's text."""
COSIGNATURE_V1 = 0x04
"""Signature type: a witness's timestamped Ed25519 cosignature (C2SP tlog-cosignature)."""

MAXIMUM_NOTE_BYTES = 1_000_000
MAXIMUM_SIGNATURES = 64
_SIGNATURE_START = "— ".encode()
# Neither what Python takes for a space, nor U+FEFF, which JavaScript does: all readers take the same names.
_NAME = re.compile(r"[^\s+\ufeff]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

Sign = Callable[[bytes], bytes]
"""Signs a message with the log's Ed25519 key: 64 bytes (RFC 8032)."""


def decode_base64(text: str) -> bytes:
    """Standard base64 (RFC 4648, section 4), in its one canonical form. Raises MalformedNote."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedNote("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedNote("base64 in a form that is not canonical")
    return data


@dataclass(frozen=True)
class VerifierKey:
    """A key that verifies notes: `NAME+KEYID+BASE64(type || public key)` as text."""

    name: str
    public: bytes
    """32 bytes of Ed25519 public key (RFC 8032)."""
    type: int = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or _CONTROL.search(self.name):
            raise MalformedNote("a key name is not empty and has no space and no plus sign")
        if len(self.public) != 32 or self.type not in (ED25519, COSIGNATURE_V1):
            raise MalformedNote("not an Ed25519 verifier key")

    @property
    def key_id(self) -> bytes:
        """4 bytes: SHA-256(name || LF || type || public key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.type]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form. Raises MalformedNote, also when the key id is not that of the key."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise MalformedNote("a verifier key is NAME+KEYID+KEY")
        name, key_id, encoded = parts
        data = decode_base64(encoded)
        if not data:
            raise MalformedNote("the verifier key is empty")
        key = cls(name=name, public=data[1:], type=data[0])
        if key.key_id.hex() != key_id:
            raise MalformedNote("the verifier key's id is not that of its key")
        return key


@dataclass(frozen=True)
class NoteSignature:
    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> bytes:
        """The signature line, with its newline."""
        encoded = base64.b64encode(self.key_id + self.signature).decode()
        return f"— {self.name} {encoded}\n".encode()


@dataclass(frozen=True)
class Note:
    """A parsed note. Nothing in it is to be believed before `verified_by` has been asked."""

    text: bytes
    """With its final newline, without the blank line."""
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        return self.text + b"\n" + b"".join(signature.line() for signature in self.signatures)


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures. Raises MalformedNote."""
    if len(data) > MAXIMUM_NOTE_BYTES:
        raise MalformedNote(f"a note of more than {MAXIMUM_NOTE_BYTES} bytes")
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        raise MalformedNote("a note is UTF-8") from None
    if _CONTROL.search(decoded):
        raise MalformedNote("a note has no control character but newline")
    text, blank, lines = data.rpartition(b"\n\n")
    if not blank or not lines.endswith(b"\n"):
        raise MalformedNote("a note is text, a blank line and signature lines")
    signatures = [_parse_signature(line) for line in lines[:-1].split(b"\n")]
    if len(signatures) > MAXIMUM_SIGNATURES:
        raise MalformedNote(f"a note of more than {MAXIMUM_SIGNATURES} signatures")
    return Note(text + b"\n", tuple(signatures))


def _parse_signature(line: bytes) -> NoteSignature:
    if not line.startswith(_SIGNATURE_START):
        raise MalformedNote("a signature line begins with an em dash and a space")
    name, space, encoded = line[len(_SIGNATURE_START) :].decode().partition(" ")
    if not space or not _NAME.fullmatch(name):
        raise MalformedNote("a signature line is em dash, key name, base64")
    data = decode_base64(encoded)
    if len(data) < 5:
        raise MalformedNote("a signature is a key id of 4 bytes and the signature")
    return NoteSignature(name, data[:4], data[4:])


def sign_note(text: bytes, signers: Iterable[tuple[VerifierKey, Sign]]) -> Note:
    """Sign a text (which ends in a newline) with each key in turn."""
    if not text.endswith(b"\n") or _CONTROL.search(text.decode()):
        raise MalformedNote("a note's text ends in a newline and has no other control character")
    return Note(text, tuple(NoteSignature(key.name, key.key_id, sign(text)) for key, sign in signers))


def cosigned_message(timestamp: int, text: bytes) -> bytes:
    """What a witness signs (tlog-cosignature, cosignature/v1). `timestamp` in seconds since the epoch."""
    return f"cosignature/v1\ntime {timestamp}\n".encode() + text


def _check(key: VerifierKey, text: bytes, signature: bytes) -> None:
    if key.type == COSIGNATURE_V1:
        if len(signature) != 72 or signature[0] & 0x80:
            raise InvalidSignature
        text, signature = cosigned_message(int.from_bytes(signature[:8], "big"), text), signature[8:]
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)


def verified_by(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """The known keys that signed this note, each once.

    Signatures of unknown keys are ignored. Raises SignatureInvalid when a known key's signature fails, or when no
    known key signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[tuple[str, bytes], VerifierKey] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        try:
            _check(key, note.text, signature.signature)
        except (InvalidSignature, ValueError):
            raise SignatureInvalid(f"the signature of {key.name} with key id {key.key_id.hex()} fails") from None
        found[key.name, key.key_id] = key
    if not found:
        raise SignatureInvalid("no known key signed this note")
    return list(found.values())
