"""A log that grows in a directory, signed by a key in software, as the follower would leave it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.files import write_durably
from appliance.log import Checkpoint, Integrator, LogKey, VerifierKey, sign_checkpoint
from appliance.log.keys import write_log_keys
from appliance.log.reader import CHECKPOINT_FILE

ORIGIN = "log.example/rehearsal/grown"


class GrowingLog:
    """Grow it by `grow`; another history is another `seed`."""

    def __init__(
        self, directory: Path, origin: str = ORIGIN, key: Ed25519PrivateKey | None = None, seed: str = ""
    ) -> None:
        self.directory = directory
        self.origin = origin
        self.key = key or Ed25519PrivateKey.generate()
        self.seed = seed
        self.entries: list[bytes] = []
        directory.mkdir(parents=True, exist_ok=True)
        self.keys = [LogKey(VerifierKey(origin, self.key.public_key().public_bytes_raw()))]
        write_log_keys(directory, origin, self.keys)
        self._integrator = Integrator(directory)

    def grow(self, count: int) -> bytes:
        """So many further entries under a new head, which is given."""
        first = len(self.entries)
        new = [hashlib.sha256(f"{self.seed}{n}".encode()).digest() for n in range(first, first + count)]
        self.entries += new
        self._integrator.append(new)
        self._integrator.flush()
        self._integrator.signed_size = self.size
        head = Checkpoint(self.origin, self.size, self._integrator.root())
        note = sign_checkpoint(head, [(key.verifier, self.key.sign) for key in self.keys])
        write_durably(self.directory / CHECKPOINT_FILE, note)
        return note

    @property
    def size(self) -> int:
        return len(self.entries)
