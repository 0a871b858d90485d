"""How a log goes on under another hash: the first leaf of the new log commits to all of the old one.

    successor  = {"checkpoint": C, "format": "cinnabar-log-successor/1", "tree": T}       canonical JSON (RFC 8785)
    first leaf = H(successor)                                                             H: the hash of the new log

C is the last checkpoint of the old log, verbatim, with its cosignatures; T the root, under H, of a tree over all of
the old log's entries, in lower-case hexadecimal. Whoever has the old log's entries computes T and so checks the leaf.

A **continuation** leads an entry of an ended log, without that log's own hash, to a signed head of the newest one:

    entry -> path under H -> T -> successor -> first leaf of the new log -> signed head

with one step for each renewal since, if there were several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from appliance.log import canonical, tree
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.note import MAXIMUM_NOTE_BYTES, Note, parse_note
from appliance.log.proofs import MAXIMUM_PROOF_BYTES, TlogProof, verify_tlog_proof
from appliance.tree_hash import RENEWED_HASHES, TreeHash, hash_of

LARGEST_SUCCESSOR: Final = MAXIMUM_NOTE_BYTES + 1_000
MOST_STEPS: Final = 8
"""Renewals that a continuation goes through."""
LARGEST_CONTINUATION: Final = MOST_STEPS * LARGEST_SUCCESSOR + MAXIMUM_PROOF_BYTES
_Hash = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64}){1,2}\Z")]
_Index = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Successor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first leaf of a log that succeeds another one is made of."""

    checkpoint: str
    """The old log's last checkpoint, a signed note."""
    format: Literal["cinnabar-log-successor/1"] = "cinnabar-log-successor/1"
    tree: _Hash
    """Root over all entries of the old log, under the new log's hash."""

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical.encode(self)

    def entry(self, hashing: TreeHash) -> bytes:
        """The first entry of the new log."""
        return hashing.digest(self.encode())

    def predecessor(self) -> Checkpoint:
        """The old log's last head as it is stated; nothing of it is believed. Raises MalformedNote."""
        return Checkpoint.parse(parse_note(self.checkpoint.encode()).text)

    def root(self, hashing: TreeHash) -> bytes:
        """T. Raises MalformedProof where it is of another hash."""
        root = bytes.fromhex(self.tree)
        if len(root) != hashing.size:
            raise MalformedProof(f"the tree of a successor is not of {hashing.name}")
        return root


def parse_successor(data: bytes) -> Successor:
    """Read one. Raises MalformedProof for any but the one canonical spelling."""
    return canonical.decode(data, Successor, LARGEST_SUCCESSOR, "the successor of a log")


def open_successor(successor: Successor, origin: str, keys: Sequence[LogKey], hashing: TreeHash) -> Checkpoint:
    """The last head of the old log `origin`, whose keys are given, as a successor under `hashing` states it.

    Raises MalformedNote, MalformedProof, SignatureInvalid; ProofInvalid where the old log has no entries.
    """
    head = open_checkpoint(successor.checkpoint.encode(), origin, keys)
    successor.root(hashing)
    if head.size == 0:
        raise ProofInvalid("a log without entries has no successor")
    if hash_of(origin) == hashing:
        raise ProofInvalid("a log is succeeded by one under another hash")
    return head


def verify_successor(
    successor: Successor,
    origin: str,
    keys: Sequence[LogKey],
    hashing: TreeHash,
    roots: Callable[[int, TreeHash], tuple[bytes, bytes]],
) -> Checkpoint:
    """Hold a successor to the old log itself; returns the old log's last head.

    `roots` gives, of a size of the old log, the roots of its entries under the old hash and under the given one. Raises
    what `open_successor` does; ProofInvalid where the entries give another root.
    """
    head = open_successor(successor, origin, keys, hashing)
    old, new = roots(head.size, hashing)
    if old != head.root:
        raise ProofInvalid(f"the entries of {origin} do not have the root of its last head, of {head.size}")
    if new != successor.root(hashing):
        raise ProofInvalid(f"the entries of {origin} do not have the root that its successor states")
    return head


class ContinuationStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From an entry of an ended log to the first entry of the one that succeeds it."""

    hashes: Annotated[list[_Hash], msgspec.Meta(max_length=63)]
    """Audit path of the entry to T, leaf's sibling first."""
    index: _Index
    """Of the entry in the ended log."""
    origin: str
    """Of the new log."""
    successor: str
    """Canonical JSON."""


class Continuation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Canonical JSON: the way of one entry through the successors of its log."""

    format: Literal["cinnabar-log-continuation/1"] = "cinnabar-log-continuation/1"
    steps: Annotated[list[ContinuationStep], msgspec.Meta(min_length=1, max_length=MOST_STEPS)]
    """The earliest renewal first."""
    tlog_proof: str
    """Of the last step's first entry (C2SP tlog-proof)."""

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> Continuation:
        """Read one. Raises MalformedProof for any but the one canonical spelling."""
        return canonical.decode(data, cls, LARGEST_CONTINUATION, "the continuation of a log")


@dataclass(frozen=True)
class Continued:
    """What a continuation shows."""

    index: int
    """Of the entry in the ended log."""
    ended: tuple[Checkpoint, ...]
    """The last head of each log that it went through, the first one first."""
    origin: str
    """Of the newest log."""
    head: Checkpoint
    """Of the newest log."""
    note: Note
    """That head as it was signed."""


def verify_continuation(
    continuation: Continuation,
    entry: bytes,
    origin: str,
    keys: Mapping[str, Sequence[LogKey]],
    succeeds: Mapping[str, str],
) -> Continued:
    """Lead `entry` of the log `origin` to a head of the newest log, by the hashes of the new logs alone.

    `keys` are those of each trusted log, by origin; `succeeds` says which log each one follows. Raises MalformedNote,
    MalformedProof, SignatureInvalid or ProofInvalid.
    """
    ended, entry, newest_origin = follow(continuation.steps, entry, origin, keys, succeeds)
    proof = TlogProof.parse(continuation.tlog_proof.encode())
    if proof.index != 0:
        raise ProofInvalid("a successor is the first entry of its log")
    newest = verify_tlog_proof(proof, entry, newest_origin, keys[newest_origin])
    return Continued(continuation.steps[0].index, ended, newest_origin, newest, parse_note(proof.checkpoint))


def follow(
    steps: Sequence[ContinuationStep],
    entry: bytes,
    origin: str,
    keys: Mapping[str, Sequence[LogKey]],
    succeeds: Mapping[str, str],
) -> tuple[tuple[Checkpoint, ...], bytes, str]:
    """Lead `entry` of the log `origin` to the first entry of the last step's log: the last head of each log gone
    through, that entry, and its log's origin.

    `keys` are those of each trusted log, by origin; `succeeds` says which log each one follows. Raises MalformedNote,
    MalformedProof, SignatureInvalid or ProofInvalid.
    """
    ended: list[Checkpoint] = []
    for number, step in enumerate(steps):
        if step.origin not in keys or succeeds.get(step.origin) != origin or origin not in keys:
            raise SignatureInvalid("the continuation is of a log that is not known to succeed the entry's")
        if number and step.index != 0:
            raise ProofInvalid("a successor is the first entry of its log")
        hashing = hash_of(step.origin)
        successor = parse_successor(step.successor.encode())
        head = open_successor(successor, origin, keys[origin], hashing)
        _check_last(head, keys[origin])
        path = [bytes.fromhex(one) for one in step.hashes]
        leaf = tree.leaf_hash(entry, hashing)
        tree.verify_inclusion(step.index, head.size, leaf, path, successor.root(hashing), hashing)
        ended.append(head)
        entry, origin = successor.entry(hashing), step.origin
    return tuple(ended), entry, origin


def _check_last(head: Checkpoint, keys: Sequence[LogKey]) -> None:
    """A successor commits to all of the old log: its head has the size at which that log is known to have ended."""
    if last_size(keys) != head.size:
        raise ProofInvalid(f"the log is not known to have ended at {head.size} entries")


def last_size(keys: Sequence[LogKey]) -> int | None:
    """The size at which a log has ended: no key of it signs a larger one. None: it goes on."""
    sizes = [key.until_size for key in keys]
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


def renewable(name: str) -> TreeHash:
    """The hash of that name, for a log to be renewed under. Raises MalformedNote."""
    found = RENEWED_HASHES.get(name)
    if found is None:
        raise MalformedNote(f"a log is renewed under one of {', '.join(RENEWED_HASHES)}")
    return found
