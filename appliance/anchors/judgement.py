"""What came of judging an anchor's receipt: when the ledger had the commitment, and by which rule that is shown."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.errors import CinnabarError


class Strength(enum.StrEnum):
    """Whether a receipt shows by itself, under the profile's rules, that the ledger holds the commitment."""

    PROVEN = "proven"
    ATTESTED = "attested"
    """Somebody says so, and the receipt fits: a node's word, not the ledger's."""


class Rule(enum.StrEnum):
    """By what a judgement stands."""

    TIME_STAMP = "time_stamp"
    """The signature of a time-stamping authority."""
    PROOF_OF_WORK = "proof_of_work"
    VALIDATOR_SEALS = "validator_seals"
    TRUSTED_HEADER = "trusted_header"
    """A header that the profile names descends from the anchor's block."""
    NODE = "node"
    """The word of the node that was asked, and nothing else."""


class Reason(enum.StrEnum):
    """Why a receipt is refused, where the cause is none of one ledger alone. A type of ledger has a further enumeration
    of its own causes, whose values differ from these."""

    MALFORMED = "malformed"
    """The receipt or its proof is not of its form, or is cut short."""
    OTHER_LEDGER = "other_ledger"
    """The receipt is of another ledger than the profile."""
    OTHER_TYPE = "other_type"
    """The receipt is of another type of ledger than the profile."""
    UNKNOWN_TYPE = "unknown_type"
    RULES_UNREADABLE = "rules_unreadable"
    """The profile's rules are not those of its type."""
    OTHER_CHECKPOINT = "other_checkpoint"
    """The receipt is about another checkpoint than the one that is judged."""
    OTHER_COMMITMENT = "other_commitment"
    """The ledger holds something else than the checkpoint's commitment."""
    TIME_TO_COME = "time_to_come"
    """The ledger's time lies after the time of validation."""


class AnchorRefused(CinnabarError):
    """A receipt does not show what it should."""

    code = "anchor-refused"
    status = 422
    title = "The anchor's receipt does not hold"

    def __init__(self, reason: enum.StrEnum, detail: str) -> None:
        """`reason`: a member of Reason, or of the enumeration of the ledger's type. `detail`: in words, without
        anything copied from the receipt that was not quoted."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Known:
    """What a verifier knows beside a receipt and its profile."""

    now_us: int = 0
    """The time of validation."""
    revocations: Sequence[Any] = ()
    """Lists and answers (appliance.evidence.revocation.RevocationWord): a receipt has those of its own day."""


NOTHING_KNOWN: Final = Known()


@dataclass(frozen=True)
class Judgement:
    """A receipt that holds, and what it shows. Times in microseconds since the epoch."""

    strength: Strength
    by: Rule
    time_us: int
    """The ledger's own time of the anchor: of its block, or of its time-stamp."""
    place: str
    """Where it stands in the ledger, in words: block 123 (0x...). What is copied into it is quoted, or is digits."""
    tolerance_us: int = 0
    """How much later than that the anchor may have been made: what the ledger itself states (a stamp's accuracy), to
    which `appliance.anchors.judging` adds what the profile allows."""
    notes: tuple[str, ...] = ()
    """What else a reader should know, as sentences."""
    relies_on: tuple[tuple[str, int | None], ...] = ()
    """Algorithms that trust bundles may say the end of, as they name them, with the bits of a key: once one has ended,
    anybody may be able to make such a receipt."""

    @property
    def no_later_us(self) -> int:
        """The commitment, and so all under the checkpoint, existed no later than this."""
        return self.time_us + self.tolerance_us
