"""What a person decides about a log that is refused: the head that it goes on from, and why; it stays on record.

A witness never cosigns what contradicts what it cosigned. So after a fork it goes on from the head that it knows, or
not at all: the other history needs another log, or a witness with another key. After a loss of state the person's word
stands for what was lost: the newest head that others have of the log.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from appliance.errors import Conflict
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import SignatureInvalid
from appliance.log.note import Note, NoteSignature, VerifierKey, parse_note, verified_by
from appliance.witness.judging import Head, signed_by_log
from appliance.witness.keys import Cosigners
from appliance.witness.settings import WatchedLog
from appliance.witness.state import Entered, Remembered


class NotEntered(Conflict):
    """The head cannot be what the log goes on from."""

    code = "witness-not-entered"
    control = "FORK"
    title = "The checkpoint is not taken"


def enter(
    watched: WatchedLog,
    remembered: Remembered,
    encoded: bytes,
    cosigners: Cosigners,
    reason: str,
    now: int | None = None,
) -> Entered:
    """The change that makes a signed checkpoint the head of its log. Raises MalformedNote, NotSigned, NotEntered."""
    at = int(time.time()) if now is None else now
    origin = watched.known.origin
    note = parse_note(encoded)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise NotEntered(f"it is of the log {checkpoint.origin!r}")
    signed = signed_by_log(watched.known, note, checkpoint)
    ours = _ours(note, cosigners.verifiers)
    head = remembered.heads.get(origin)
    cause = remembered.refused.get(origin)
    if head is not None:
        if cause is None:
            raise NotEntered(
                f"nothing is to be decided: the log stands at {head.size} entries and shows by itself more"
            )
        if (checkpoint.size, checkpoint.root) == (head.size, head.root):
            return Entered(origin, head, at, reason)
        if cause[0] == "fork":
            raise NotEntered(
                f"this witness has cosigned a head of {head.size} entries: it goes on from that one, or not at all"
            )
        if checkpoint.size <= head.size:
            raise NotEntered(f"this witness knows of a head of {head.size} entries already")
    # Times of one log never run backwards: not behind what we are shown to have said.
    floor = max([0 if head is None else head.time, *(int.from_bytes(line.signature[:8], "big") for line in ours)])
    kept = Note(note.text, (*signed.signatures, *ours))
    return Entered(origin, Head(checkpoint.size, checkpoint.root, floor or at, kept.encode()), at, reason)


def enter_new(watched: WatchedLog, remembered: Remembered, reason: str, now: int | None = None) -> Entered:
    """The change that lets a log begin that no state ever knew, where the state was lost once. Raises NotEntered."""
    origin = watched.known.origin
    if origin in remembered.heads:
        raise NotEntered(f"the log stands at {remembered.heads[origin].size} entries: it is not new")
    return Entered(origin, None, int(time.time()) if now is None else now, reason)


def largest(entered: Sequence[Entered]) -> list[Entered]:
    """Of several heads of a log the largest. Raises NotEntered where two of one size are not the same: a fork."""
    found: dict[str, Entered] = {}
    for one in entered:
        other = found.setdefault(one.origin, one)
        if one.head is None or other.head is None:
            continue
        if one.head.size == other.head.size and one.head.root != other.head.root:
            raise NotEntered(f"two heads of {one.head.size} entries of {one.origin} have different roots: keep both")
        if one.head.size > other.head.size:
            found[one.origin] = one
    return list(found.values())


def _ours(note: Note, ours: Sequence[VerifierKey]) -> list[NoteSignature]:
    """Cosignatures of ours that hold; others in our name are nobody's."""
    found = []
    for line in note.signatures:
        for key in ours:
            if (key.name, key.key_id) == (line.name, line.key_id):
                with contextlib.suppress(SignatureInvalid):
                    verified_by(Note(note.text, (line,)), [key])
                    found.append(line)
    return found
