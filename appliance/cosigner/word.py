"""The cosigner's word: how each log's cosigning stands. It is written about once a second; the supervisor and the
workers read it. A word that is old says that the cosigner itself is not well."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from appliance.box.words import Word, read_word

LIFETIME_S: Final = 10.0
"""How long a word is believed."""
BEHIND_S: Final = 60.0
"""A log whose newest head has had no quorum for so long counts as behind."""


class WitnessWord(msgspec.Struct, frozen=True, kw_only=True):
    """How one witness is with one log."""

    name: str
    size: int
    """Of the last head that it cosigned."""
    trouble: str | None
    """Why it does not cosign now; None: it does."""
    detail: str
    since: float
    """Since when the trouble lasts, in seconds since the epoch."""
    doubts: bool = False
    """Whether it says that the log is not what it has seen (control FORK)."""


class LogWord(msgspec.Struct, frozen=True, kw_only=True):
    """How one log is cosigned."""

    origin: str
    size: int
    """Of its newest head."""
    cosigned: int
    """Of the largest head that has its quorum."""
    quorum: int
    behind_since: float | None
    """Since when there is a head without its quorum, in seconds since the epoch; None: the newest one has it."""
    witnesses: list[WitnessWord]
    problem: str | None = None
    """What is wrong with the log as the cosigner finds it, in words; None: nothing."""

    def behind_s(self, now: float) -> float:
        """How long the newest head has waited for its quorum, in seconds."""
        return 0.0 if self.behind_since is None else max(0.0, now - self.behind_since)


class CosignerWord(Word, frozen=True, kw_only=True):
    """What the cosigner says of itself."""

    logs: list[LogWord]


def read_cosigner_word(path: Path, now: float | None = None) -> CosignerWord | None:
    """The last word; None where there is none, or none that is believed any more."""
    return read_word(path, CosignerWord, LIFETIME_S, now)


def doubted_logs(path: Path) -> int:
    """Of how many logs a witness, or the cosigner itself, says that they are not what was cosigned (control FORK)."""
    word = read_cosigner_word(path)
    logs = [] if word is None else word.logs
    return sum(log.problem is not None or any(one.doubts for one in log.witnesses) for log in logs)
