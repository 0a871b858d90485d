"""Evidence that a log has two histories (control FORK): two of its signed heads that no one tree can have.

Anybody who has the log's keys can check it, without us and without the log:

- two heads of one size with different roots; or
- a head of a size N, and a larger one together with a consistency proof from N leaves that leads to the larger head's
  root, but from another root than the head of N says.

A proof that leads nowhere shows nothing: anybody could have made it up.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from appliance.log import canonical, tree
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import MalformedNote, ProofInvalid
from appliance.log.note import decode_base64
from appliance.tree_hash import hash_of

LARGEST_EVIDENCE = 4 * 1024 * 1024
_MOST_STEPS = 63


class ForkEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Canonical JSON (RFC 8785): members in sorted order, of text and lists of text alone."""

    first: str
    """The smaller head, or the one that was known first: a signed checkpoint, verbatim."""
    format: Literal["cinnabar-fork-evidence/1"] = "cinnabar-fork-evidence/1"
    first_root_in_second: str = ""
    """Base64: the root that the second head's tree has at the first one's size; empty where both have one size."""
    origin: str
    proof: list[str] = []
    """Base64: the consistency proof (RFC 6962, section 2.1.2) from that root to the second head's."""
    second: str
    """The other head: a signed checkpoint, verbatim."""

    def encode(self) -> bytes:
        return canonical.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> ForkEvidence:
        """Read the file. Raises MalformedProof."""
        return canonical.decode(data, cls, LARGEST_EVIDENCE, "evidence of a fork")


def same_size(origin: str, first: bytes, second: bytes) -> ForkEvidence:
    """Two signed heads of one size with different roots."""
    return ForkEvidence(origin=origin, first=first.decode(), second=second.decode())


def other_past(origin: str, first: bytes, second: bytes, root: bytes, proof: Sequence[bytes]) -> ForkEvidence:
    """A head, and a larger one whose tree begins otherwise: with `root` at the first one's size, as `proof` shows."""
    return ForkEvidence(
        origin=origin,
        first=first.decode(),
        second=second.decode(),
        first_root_in_second=base64.b64encode(root).decode(),
        proof=[base64.b64encode(step).decode() for step in proof],
    )


def verify_fork(evidence: ForkEvidence, keys: Iterable[LogKey]) -> tuple[Checkpoint, Checkpoint]:
    """The two heads, if they show that the log signed two histories.

    Raises MalformedNote, SignatureInvalid; ProofInvalid where they can be heads of one tree.
    """
    known = list(keys)
    first = open_checkpoint(evidence.first.encode(), evidence.origin, known)
    second = open_checkpoint(evidence.second.encode(), evidence.origin, known)
    if first.size == second.size:
        if first.root == second.root:
            raise ProofInvalid("both heads are the same")
        return first, second
    if len(evidence.proof) > _MOST_STEPS:
        raise ProofInvalid("a consistency proof has at most 63 hashes")
    try:
        path = [decode_base64(step) for step in evidence.proof]
        other = decode_base64(evidence.first_root_in_second)
    except MalformedNote:
        raise ProofInvalid("the proof is not base64") from None
    if other == first.root:
        raise ProofInvalid("the second head's tree begins with the first's")
    tree.verify_consistency(first.size, other, second.size, second.root, path, hash_of(evidence.origin))
    return first, second
