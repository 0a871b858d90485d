"""What a stopped box executes, and what gives back only what its officers had seen taken (QUORUM, TAMPER).

An execution carries no authority, so whoever holds an approved proposal chooses when it is executed. Therefore what
gives power back is held to what stopped it: a word, a finding or a signal that came after the proposal was taken in
was seen by none of those who approved, and it stands until officers decide on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec

from appliance.box.home import Home
from appliance.box.tamper import Latch
from appliance.ceremonies import Action, DocumentRefused, Proposal, proposal_digest, read_proposal
from appliance.ceremonies.actions import (
    ActivateKey,
    AmendConstitution,
    DeclareCompromised,
    DestroyKey,
    EndStandby,
    GenerateKey,
    InitialiseToken,
    RecoverFromTamper,
    RestoreKeys,
    RevokeCertificate,
    RotateKey,
    Unlock,
)
from appliance.keymaster.context import Room
from appliance.keymaster.errors import BoxLocked, StoppedSince, Tampered

REPAIRS = (
    # Who decides, and the box's own state.
    AmendConstitution, RecoverFromTamper, Unlock,
    # Taking away for good.
    DeclareCompromised, DestroyKey, EndStandby, RevokeCertificate,
    # A key that nobody explains is declared compromised, destroyed and replaced before the box is unlocked.
    ActivateKey, GenerateKey, InitialiseToken, RestoreKeys, RotateKey,
)  # fmt: skip
"""What a locked box still executes beside what only takes away: none of it has an authority sign for anybody."""


def check_standing(home: Home, proposal: Proposal) -> None:
    """Whether the box, as it stands now, goes on with the proposal: asked before its execution and before every step.

    Raises Tampered, BoxLocked."""
    if proposal.takes_away:
        return
    if home.tamper_latch.exists() and not all(isinstance(action, RecoverFromTamper) for action in proposal.actions):
        raise Tampered("only a ceremony that recovers the box is executed now")
    locked = home.lock.exists() or home.history_lock.exists()
    if locked and not all(isinstance(action, REPAIRS) for action in proposal.actions):
        raise BoxLocked("only what takes away, repairs or unlocks is executed now")


def check_taken(room: Room, proposal: Proposal, *, stopped: bool, since_us: int | None) -> None:
    """Whether a proposal that gives something back does so to what its officers had seen stopped.

    `stopped`: whether anything is stopped now; `since_us`: by what stopped it last, None where that is not known. A
    step that an earlier run did is done. Raises DocumentRefused, StoppedSince."""
    row = room.journal.proposal(proposal_digest(proposal))
    if not stopped:
        if row is None or row.attempt == 0:
            raise DocumentRefused("nothing is stopped that this would give back")
        return
    if row is not None and since_us is not None and since_us > row.submitted:
        raise StoppedSince("it was stopped again after this was proposed: officers decide anew")


def last_word(room: Room, proposal: Proposal, same: Callable[[Action], bool]) -> int | None:
    """When a take-away whose action is the `same` was last begun after the proposal was taken in; None where none."""
    row = room.journal.proposal(proposal_digest(proposal))
    if row is None:
        return None
    for word in room.journal.begun_words(row.submitted):
        if any(same(action) for action in read_proposal(word.text).actions):
            return word.changed
    return None


def signalled_us(home: Home) -> int | None:
    """When the tamper signal came, microseconds; None without a latch."""
    with contextlib.suppress(FileNotFoundError):
        at = home.tamper_latch.stat().st_mtime_ns // 1000
        with contextlib.suppress(msgspec.MsgspecError, OSError):
            at = max(at, msgspec.json.decode(home.tamper_latch.read_bytes(), type=Latch).time * 1_000_000)
        return at
    return None


def locked_us(home: Home) -> int | None:
    """When the box was last locked for a cause that an unlock lifts, microseconds; None where it is not."""
    with contextlib.suppress(FileNotFoundError):
        return home.lock.stat().st_mtime_ns // 1000
    return None
