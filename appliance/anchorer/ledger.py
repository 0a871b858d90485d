"""What a ledger is to the anchorer: one module, which works on its open anchors step by step.

A step never both signs and sends. What it made is given back as `memory`, stored durably, and handed to the next step:
so a crash at any point repeats a step, and nothing is anchored twice by accident. A step that fails raises; the same
work comes again later. The anchorer bounds a step's time, and lets no ledger wait for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.anchors import LedgerProfile, Receipt, State
from appliance.errors import Unavailable
from appliance.log.ledgers import Request


class LedgerUnavailable(Unavailable):
    """No endpoint of a ledger answers as it should; the step is made again later."""

    code = "ledger-unavailable"
    title = "The ledger does not answer now"


@dataclass(frozen=True)
class Work:
    """One anchor on one ledger, as the outbox holds it."""

    number: int
    """Rises with each anchor of this ledger."""
    checkpoint: bytes
    """The signed note, of the box's log."""
    commitment: bytes
    """32 bytes: what the ledger is to hold."""
    state: State | None
    """None: due, nothing has been sent."""
    memory: bytes
    """The ledger's own, as its last step of this anchor gave it; empty before the first."""


@dataclass(frozen=True)
class Progress:
    """What a step came to, for one Work; stored durably before the next step."""

    state: State | None
    """As it now is: never superseded, which the outbox says by itself; None only while nothing was sent."""
    cause: str
    """Why it is so, in words for operators: block 123 left the chain. Shown; without secrets."""
    memory: bytes
    again_s: float
    """Seconds until the next step of this anchor is worth while."""
    receipt: Receipt | None = None
    """With FINAL, and only then. The anchorer has it judged under the profile before it says final."""


class Ledger(Protocol):
    """A ledger. Its constructor does no I/O."""

    name: str

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        """Make one step of each of these open anchors, oldest first; all of this ledger's are given. One Progress for
        each, in order. May be cancelled at any await. Raises LedgerUnavailable, or any CinnabarError, where nothing
        of it could be done."""

    async def close(self) -> None: ...


class Desk(Protocol):
    """The log follower, which signs for ledgers: it is told what to build and never given bytes to sign."""

    async def sign(self, request: Request) -> bytes:
        """The raw signed transaction, as its type encodes it. Equal requests may give other signatures. Raises
        RequestRefused (appliance.log.ledgers), Unavailable."""

    async def account(self, ledger: str) -> bytes:
        """The public key of the ledger's account on secp256k1, compressed, 33 bytes (SEC 1, section 2.3.3)."""


@dataclass(frozen=True)
class Surroundings:
    """What a ledger is made with beside its settings."""

    home: Path
    """Paths in settings are relative to it."""
    profile: LedgerProfile
    desk: Desk
