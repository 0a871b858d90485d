"""Logs in memory that succeed one another under other hashes."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import tree
from appliance.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from appliance.log.note import VerifierKey
from appliance.log.proofs import TlogProof
from appliance.log.successor import Continuation, ContinuationStep, Successor
from appliance.tree_hash import TreeHash, hash_of

OLD, NEW, NEWEST = "bank.rehearsal.example/log", "bank.rehearsal.example/log/sha512", "bank.rehearsal.example/log/sm3"

ORIGINS = (OLD, NEW, NEWEST, *(f"{OLD}/{number}/{name}" for number in range(2, 6) for name in ("sha512", "sm3")))
"""Of logs that succeed one another, as many as there are."""


@dataclass
class Log:
    """A log of entries in memory."""

    origin: str
    entries: list[bytes]
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    ended: bool = True

    @property
    def hashing(self) -> TreeHash:
        return hash_of(self.origin)

    @property
    def keys(self) -> tuple[LogKey, ...]:
        verifier = VerifierKey(self.origin, self.key.public_key().public_bytes_raw())
        return (LogKey(verifier, 0, len(self.entries) if self.ended else None),)

    def root(self, size: int, hashing: TreeHash) -> bytes:
        return tree.root([tree.leaf_hash(one, hashing) for one in self.entries[:size]], hashing)

    def roots(self, size: int, hashing: TreeHash) -> tuple[bytes, bytes]:
        return self.root(size, self.hashing), self.root(size, hashing)

    def path(self, index: int, size: int, hashing: TreeHash) -> list[bytes]:
        read = tree.subtree_reader([tree.leaf_hash(one, hashing) for one in self.entries[:size]], hashing)
        return tree.inclusion_proof(index, size, read, hashing)

    def head(self, size: int | None = None) -> bytes:
        size = len(self.entries) if size is None else size
        head = Checkpoint(self.origin, size, self.root(size, self.hashing))
        return sign_checkpoint(head, [(self.keys[0].verifier, self.key.sign)])

    def proof(self, index: int) -> str:
        size = len(self.entries)
        return TlogProof(index, tuple(self.path(index, size, self.hashing)), self.head()).encode().decode()

    def successor(self, hashing: TreeHash) -> Successor:
        size = len(self.entries)
        return Successor(checkpoint=self.head().decode(), tree=self.root(size, hashing).hex())

    def step(self, index: int, origin: str) -> ContinuationStep:
        hashing = hash_of(origin)
        path = self.path(index, len(self.entries), hashing)
        return ContinuationStep(
            hashes=[one.hex() for one in path],
            index=index,
            origin=origin,
            successor=self.successor(hashing).encode().decode(),
        )


def line(sizes: tuple[int, ...], first: dict[int, bytes] | None = None) -> list[Log]:
    """Logs, each of which succeeds the one before it. `first`: entries of the first one that are given."""
    logs: list[Log] = []
    for size, origin in zip(sizes, ORIGINS, strict=False):
        hashing = hash_of(origin)
        entries = [hashing.digest(b"%d" % number) for number in range(size)]
        if not logs:
            entries = [(first or {}).get(number, entry) for number, entry in enumerate(entries)]
        else:
            entries[0] = logs[-1].successor(hashing).entry(hashing)
        logs.append(Log(origin, entries))
    logs[-1].ended = False
    return logs


def continued(logs: list[Log], index: int) -> Continuation:
    places = [index, *(0 for _ in logs)]
    steps = [one.step(at, then.origin) for one, then, at in zip(logs, logs[1:], places, strict=False)]
    return Continuation(steps=steps, tlog_proof=logs[-1].proof(0))
