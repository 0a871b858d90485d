"""How a log stands, out of what is remembered of it: its head, if that is to be believed, and why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import MalformedNote, SignatureInvalid
from appliance.log.note import VerifierKey, parse_note, verified_by
from appliance.witness.errors import NotSigned
from appliance.witness.judging import Head, signed_by_log
from appliance.witness.settings import WatchedLog
from appliance.witness.state import Cause, Remembered


class Standing(NamedTuple):
    """Of one log."""

    head: Head | None
    """None: there is none, or the one that stands in the state is not what was signed."""
    refused: tuple[Cause, int] | None
    """Why nothing of it is cosigned, and since when."""
    problem: str | None = None
    """What is wrong with the head that stands in the state."""


def standing(watched: WatchedLog, remembered: Remembered, ours: Sequence[VerifierKey], now: int) -> Standing:
    """`ours`: our keys for cosignatures. `now`: seconds since the epoch, for what is found only now."""
    origin = watched.known.origin
    head, refused = remembered.heads.get(origin), remembered.refused.get(origin)
    if head is not None:
        problem = _wrong(watched, head, ours)
        if problem is None:
            return Standing(head, refused)
        return Standing(None, refused or ("state-lost", now), problem)
    if refused is None and remembered.after_loss and origin not in remembered.new:
        refused = ("state-lost", now)
    return Standing(None, refused)


def _wrong(watched: WatchedLog, head: Head, ours: Sequence[VerifierKey]) -> str | None:
    """What keeps a head from being believed: it must be what the log signed, or what we cosigned where the log has
    changed its keys since."""
    try:
        note = parse_note(head.note)
        signed = Checkpoint.parse(note.text)
        if (signed.origin, signed.size, signed.root) != (watched.known.origin, head.size, head.root):
            return "it is not the one that was signed"
        try:
            signed_by_log(watched.known, note, signed)
        except NotSigned:
            verified_by(note, ours)
    except (MalformedNote, SignatureInvalid) as error:
        return str(error)
    return None
