"""Whether a witness cosigns a head: a pure function of the request, the head that was cosigned last and the keys.

In this order, as C2SP tlog-witness has it:

1. a configured key of the log that signs at this size has signed the checkpoint (403);
2. the request does not bring a cosignature of our own that our state knows nothing of (503: state lost);
3. the log has not signed another root at the size that was cosigned last (409: fork);
4. the proof begins at the head that was cosigned last (409);
5. it leads from that head's root to the checkpoint's (422). A proof that leads to the signed root, but from another one
   than the log signed before, is evidence of a fork (409).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.log import tree
from appliance.log.checkpoint import Checkpoint, LogKey
from appliance.log.errors import ProofInvalid, SignatureInvalid
from appliance.log.forks import ForkEvidence, other_past, same_size
from appliance.log.note import Note, VerifierKey, verified_by
from appliance.tree_hash import hash_of
from appliance.witness.errors import Forked, NotConsistent, NotSigned, OtherSize, StateLost
from appliance.witness.request import AddCheckpoint


@dataclass(frozen=True)
class Head:
    """The head of a log that was cosigned last."""

    size: int
    root: bytes
    time: int
    """Of the cosignature, seconds since the epoch."""
    note: bytes
    """The signed checkpoint with the log's signatures that were verified and our cosignatures."""


@dataclass(frozen=True)
class KnownLog:
    """A log as it was configured."""

    origin: str
    keys: tuple[LogKey, ...]


def judge(log: KnownLog, head: Head | None, request: AddCheckpoint, ours: Sequence[VerifierKey]) -> Note:
    """The checkpoint to cosign, with those signatures of the log alone that were verified.

    `ours`: our keys for cosignatures. Raises NotSigned, StateLost, Forked, OtherSize, NotConsistent.
    """
    checkpoint = request.checkpoint
    signed = signed_by_log(log, request.note, checkpoint)
    _look_for_lost_state(head, request.note, checkpoint, ours)
    if head is not None and checkpoint.size == head.size and checkpoint.root != head.root:
        evidence = same_size(log.origin, head.note, signed.encode())
        raise Forked(f"the log has signed two heads of {head.size} entries", evidence)
    known = 0 if head is None else head.size
    if request.old != known:
        raise OtherSize(known)
    hashing = hash_of(log.origin)
    before = hashing.empty_root if head is None else head.root
    try:
        shown, leads_to = tree.roots_from_consistency(
            known, before, checkpoint.size, checkpoint.root, request.proof, hashing
        )
    except ProofInvalid as error:
        raise NotConsistent(str(error)) from None
    if leads_to != checkpoint.root:
        raise NotConsistent("the proof does not lead to the checkpoint's root")
    if shown != before:
        # Only a head stands in the way here: from zero entries every tree follows.
        assert head is not None  # noqa: S101
        raise Forked(
            f"the log has signed another past of {head.size} entries", _past(log, head, signed, shown, request)
        )
    return signed


def signed_by_log(log: KnownLog, note: Note, checkpoint: Checkpoint) -> Note:
    """The note with the signatures of the log's keys that sign at this size. Raises NotSigned."""
    able = [key.verifier for key in log.keys if key.signs(checkpoint.size)]
    try:
        found = {(key.name, key.key_id) for key in verified_by(note, able)}
    except SignatureInvalid as error:
        raise NotSigned(str(error)) from None
    return Note(note.text, tuple(line for line in note.signatures if (line.name, line.key_id) in found))


def cosigned_by(note: Note, ours: Sequence[VerifierKey]) -> bool:
    """Whether a key of ours cosigned the note; a line in our name that fails is nobody's."""
    names = {(line.name, line.key_id) for line in note.signatures}
    for key in ours:
        if (key.name, key.key_id) in names:
            try:
                verified_by(note, [key])
            except SignatureInvalid:
                continue
            return True
    return False


def _look_for_lost_state(head: Head | None, note: Note, checkpoint: Checkpoint, ours: Sequence[VerifierKey]) -> None:
    """Raise StateLost where the request proves that we have cosigned what our state says nothing of."""
    unknown = (
        head is None or checkpoint.size > head.size or (checkpoint.size == head.size and checkpoint.root != head.root)
    )
    if unknown and cosigned_by(note, ours):
        known = "none" if head is None else str(head.size)
        raise StateLost(
            f"this witness has cosigned a head of {checkpoint.size} entries; the largest it knows is {known}"
        )


def _past(log: KnownLog, head: Head, signed: Note, shown: bytes, request: AddCheckpoint) -> ForkEvidence:
    return other_past(log.origin, head.note, signed.encode(), shown, request.proof)
