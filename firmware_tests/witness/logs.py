"""A log of the tests in memory: its entries, its keys, its heads and proofs, made word for word as RFC 6962 has it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import VerifierKey, sign_checkpoint
from appliance.log.checkpoint import Checkpoint
from appliance.witness.request import encode_request
from firmware_tests.log.oracle import mth, proof


@dataclass
class TestLog:
    """See the module. `fork` begins another history."""

    __test__ = False

    origin: str
    entries: list[bytes] = field(default_factory=list, repr=False)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)

    def grow(self, count: int, mark: str = "") -> TestLog:
        first = len(self.entries)
        self.entries += [hashlib.sha256(f"{mark}{n}".encode()).digest() for n in range(first, first + count)]
        return self

    def fork(self, at: int, count: int, mark: str = "other") -> TestLog:
        """Another history of the same log, equal up to entry `at`."""
        return TestLog(self.origin, self.entries[:at], self.key).grow(count, mark)

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.origin, self.key.public_key().public_bytes_raw())

    @property
    def size(self) -> int:
        return len(self.entries)

    def root(self, size: int | None = None) -> bytes:
        return mth(self.entries[: self.size if size is None else size])

    def note(self, size: int | None = None, key: Ed25519PrivateKey | None = None) -> bytes:
        """The signed head."""
        at = self.size if size is None else size
        checkpoint = Checkpoint(self.origin, at, self.root(at))
        return sign_checkpoint(checkpoint, [(self.verifier, (key or self.key).sign)])

    def proof(self, old: int, size: int | None = None) -> list[bytes]:
        at = self.size if size is None else size
        return proof(old, self.entries[:at]) if 0 < old < at else []

    def request(self, old: int, size: int | None = None) -> bytes:
        """The body that asks for a cosignature of the head."""
        return encode_request(old, self.proof(old, size), self.note(size))
