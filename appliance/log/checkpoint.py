"""Checkpoints: the signed head of a log (C2SP tlog-checkpoint), and which of its keys may sign at which size."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.log.errors import MalformedNote, SignatureInvalid
from appliance.log.note import Note, Sign, VerifierKey, decode_base64, parse_note, sign_note, verified_by
from appliance.log.tree import MAXIMUM_SIZE
from appliance.tree_hash import hash_of

_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: what a checkpoint says."""

    origin: str
    size: int
    """Number of leaves."""
    root: bytes
    """Of the bytes of the log's hash, which the origin names (appliance.tree_hash)."""
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """The note text that is signed."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a note's text. Raises MalformedNote."""
        lines = text.split(b"\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise MalformedNote("a checkpoint has at least three lines, none of them empty")
        size = parse_decimal(lines[1])
        tree_root = decode_base64(lines[2].decode(errors="replace"))
        try:
            origin, *extensions = [line.decode() for line in (lines[0], *lines[3:-1])]
        except UnicodeDecodeError:
            raise MalformedNote("a checkpoint is UTF-8") from None
        if len(tree_root) != (width := hash_of(origin).size):
            raise MalformedNote(f"a checkpoint's root is {width} bytes")
        return cls(origin, size, tree_root, tuple(extensions))


def parse_decimal(text: bytes) -> int:
    """A non-negative ASCII decimal without leading zeroes, below 2**63. Raises MalformedNote."""
    if not _DECIMAL.fullmatch(text) or (value := int(text)) > MAXIMUM_SIZE:
        raise MalformedNote("a size is a decimal without leading zeroes")
    return value


@dataclass(frozen=True)
class LogKey:
    """A key of a log and the tree sizes that it signs. Keys overlap during a rotation, and stand side by side when
    a second token holds a second key; control FORK binds them all."""

    verifier: VerifierKey
    from_size: int = 0
    until_size: int | None = None
    """Last tree size that it signs; None while in use."""

    def signs(self, size: int) -> bool:
        return self.from_size <= size and (self.until_size is None or size <= self.until_size)


def sign_checkpoint(checkpoint: Checkpoint, signers: Iterable[tuple[VerifierKey, Sign]]) -> bytes:
    """The checkpoint as a signed note, one line a signer."""
    return sign_note(checkpoint.text(), signers).encode()


def merge_notes(notes: Sequence[bytes]) -> bytes:
    """One note from several over the same text. Raises MalformedNote when their texts differ."""
    parsed = [parse_note(note) for note in notes]
    if len({note.text for note in parsed}) != 1:
        raise MalformedNote("notes with different texts cannot be merged")
    lines = {signature: None for note in parsed for signature in note.signatures}
    return Note(parsed[0].text, tuple(lines)).encode()


def open_checkpoint(data: bytes, origin: str, keys: Iterable[LogKey]) -> Checkpoint:
    """Verify a signed checkpoint of the log `origin`.

    Raises MalformedNote, or SignatureInvalid when it is another log's, when no key of the log that may sign at this
    size did, or when a known key's signature fails.
    """
    note = parse_note(data)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise SignatureInvalid("the checkpoint is of another log")
    able = [key.verifier for key in keys if key.signs(checkpoint.size)]
    verified_by(note, able)
    return checkpoint
