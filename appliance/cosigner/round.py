"""One head on its way to a quorum: which lines it has, and when it is settled. Pure.

A head is settled once, and then never changes: when every witness that can be asked has answered, or a moment after
the quorum is reached, whichever is first. What a slower witness says later moves that witness on and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from appliance.log.checkpoint import Checkpoint
from appliance.log.note import Note, NoteSignature
from appliance.log.witnesses import WitnessPolicy

GRACE_SECONDS: Final = 1.0
"""How long a head that has its quorum waits for the witnesses that are being asked."""


@dataclass
class Round:
    """A head that witnesses are asked to cosign."""

    head: Checkpoint
    note: Note
    """As the log signed it, without cosignatures."""
    chosen: float
    """When it was the newest, in seconds since the epoch."""
    lines: dict[str, NoteSignature] = field(default_factory=dict)
    """Cosignatures by witness."""
    asking: set[str] = field(default_factory=set)
    """Witnesses that are being asked about it."""
    settled: bool = False
    quorum_at: float | None = None
    """When the quorum was reached, monotonic."""

    def take(self, witness: str, line: NoteSignature, policy: WitnessPolicy, now: float) -> None:
        """A witness has cosigned. `now`: monotonic, seconds."""
        if self.settled:
            return
        self.lines[witness] = line
        if self.quorum_at is None and len(self.lines) >= policy.quorum:
            self.quorum_at = now

    def ripe(self, now: float) -> bool:
        """Whether it can be settled."""
        if self.settled or self.quorum_at is None:
            return False
        return not self.asking or now >= self.quorum_at + GRACE_SECONDS

    @property
    def over(self) -> bool:
        """Whether another head may take its place: it is settled, or nobody is left who could be asked now."""
        return self.settled or not self.asking

    def cosigned(self, policy: WitnessPolicy) -> bytes:
        """The note with its cosignatures, in the order in which the log names its witnesses."""
        lines = [self.lines[key.name] for key in policy.keys if key.name in self.lines]
        return Note(self.note.text, (*self.note.signatures, *lines)).encode()
