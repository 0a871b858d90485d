"""A published log in a directory, made without HSM or recorder, and its entries as a source of records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.files import write_durably
from appliance.log import Integrator, LogKey, VerifierKey, sign_checkpoint, sign_root
from appliance.log.checkpoint import Checkpoint
from appliance.log.exports import write_export
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE

ORIGIN = "log.example/rehearsal/made"


@dataclass
class MadeLog:
    """Also the recorder's side of the log: `leaves` and `head`."""

    directory: Path
    exports: Path
    entries: list[bytes] = field(default_factory=list)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    root: bytes = b""

    @property
    def keys(self) -> list[LogKey]:
        return [LogKey(VerifierKey(ORIGIN, self.key.public_key().public_bytes_raw()))]

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        return b"".join(self.entries[first : first + limit]) if log == ORIGIN else b""

    def head(self, origin: str) -> tuple[int, bytes] | None:
        return (len(self.entries), self.root) if origin == ORIGIN else None


def make_log(place: Path, size: int) -> MadeLog:
    made = MadeLog(place / "log", place / "exports", [hashlib.sha256(b"%d" % n).digest() for n in range(size)])
    made.directory.mkdir()
    integrator = Integrator(made.directory)
    integrator.append(made.entries)
    integrator.flush()
    made.root = integrator.root()
    integrator.close()
    verifier = made.keys[0].verifier
    note = sign_checkpoint(Checkpoint(ORIGIN, size, made.root), [(verifier, made.key.sign)])
    write_export(made.exports, ORIGIN, note)
    write_durably(made.directory / SIGNED_ROOT_FILE, sign_root(size, made.root, verifier, made.key.sign).encode())
    write_durably(made.directory / CHECKPOINT_FILE, note)
    return made


def flip(path: Path, at: int = 100) -> bytes:
    """Flip one bit; returns what was there."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[at % len(changed)] ^= 1
    path.write_bytes(changed)
    return before
