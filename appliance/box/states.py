"""The states of a box: one table that the supervisor decides by, workers answer by, and docs and tests are made from.

A cause puts the box into a state; with several causes the gravest state holds. The state is published in a shared
page that every worker reads at every request: its first byte is the state, the rest is JSON for people.
"""

from __future__ import annotations

import contextlib
import enum
import mmap
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

PAGE_BYTES = 4096
_LOOKS = 20
_PAUSE_S = 0.000_1


class Work(enum.Enum):
    """What an endpoint does, as far as a state allows or forbids it."""

    SIGN = "sign"
    """Makes a signature."""
    READ = "read"
    """Reads records and logs."""
    VERIFY = "verify"
    """Verifies what the caller brings; touches nothing of the box."""
    STATUS = "status"
    """Tells how the box is."""


class State(enum.IntEnum):
    """In order of gravity."""

    OPERATIONAL = 0
    DEGRADED = 1
    READ_ONLY = 2
    LOCKED = 3
    UNPROVISIONED = 4
    FAILED = 5
    TAMPERED = 6

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class StateRule:
    """What holds in a state."""

    meaning: str
    allowed: frozenset[Work]
    leaves_by: str
    """How the box comes out of the state."""


_ALL = frozenset(Work)
_NO_SIGNING = _ALL - {Work.SIGN}

STATES: dict[State, StateRule] = {
    State.OPERATIONAL: StateRule("Everything works.", _ALL, "a cause of another state"),
    State.DEGRADED: StateRule(
        "The box works; a part of it does not, and refuses by its own control.", _ALL, "the part works again"
    ),
    State.READ_ONLY: StateRule(
        "A record would have no room on the disk, or its audit no receiver, so nothing is signed.",
        _NO_SIGNING,
        "room on the disk; the receiver back",
    ),
    State.LOCKED: StateRule(
        "The box may not sign until a person has shown that its history is the only one, or has unlocked it.",
        _NO_SIGNING,
        "`cinnabar log resume`, or a ceremony that unlocks it",
    ),
    State.UNPROVISIONED: StateRule("The home has no box in it.", frozenset({Work.STATUS}), "cinnabar provision"),
    State.FAILED: StateRule(
        "A process that the box cannot do without does not stay up.", frozenset({Work.STATUS}), "repair and restart"
    ),
    State.TAMPERED: StateRule(
        "A tamper signal came: secrets are dropped.", frozenset({Work.STATUS, Work.VERIFY}), "a ceremony"
    ),
}


class Cause(enum.Enum):
    """Why the box is not operational: (name, the state it puts the box into)."""

    PROCESS_DOWN = ("process-down", State.DEGRADED)
    CLOCK_NOT_SHOWN = ("clock-not-shown", State.DEGRADED)
    TOKEN_UNAVAILABLE = ("token-unavailable", State.DEGRADED)
    DISK_LOW = ("disk-low", State.DEGRADED)
    DISK_FULL = ("disk-full", State.READ_ONLY)
    AUDIT_NOT_KEPT = ("audit-not-kept", State.READ_ONLY)
    HISTORY_UNPROVEN = ("history-unproven", State.LOCKED)
    LOCKED_BY_OFFICER = ("locked-by-officer", State.LOCKED)
    KEYS_UNEXPLAINED = ("keys-unexplained", State.LOCKED)
    LOG_DOUBTED = ("log-doubted", State.DEGRADED)
    TENANT_KEYS_UNEXPLAINED = ("tenant-keys-unexplained", State.DEGRADED)
    AWAITING_UNLOCK = ("awaiting-unlock", State.LOCKED)
    STARTING = ("starting", State.LOCKED)
    STOPPING = ("stopping", State.LOCKED)
    NOT_PROVISIONED = ("not-provisioned", State.UNPROVISIONED)
    RESTART_LOOP = ("restart-loop", State.FAILED)
    TAMPER_SIGNAL = ("tamper-signal", State.TAMPERED)

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def state(self) -> State:
        return self.value[1]


def decide(causes: Iterable[Cause]) -> State:
    """The gravest state among the causes; OPERATIONAL without any."""
    return max((cause.state for cause in causes), default=State.OPERATIONAL)


def permits(state: State, work: Work) -> bool:
    """Whether the state allows this kind of work."""
    return work in STATES[state].allowed


def refusal(state: State) -> str:
    """Why the state allows something not, and what brings the box out of it: what a refused caller is told."""
    rule = STATES[state]
    return f"The box is {state.label}. {rule.meaning} Next: {rule.leaves_by}."


class StateReport(msgspec.Struct, frozen=True):
    """The state as people and /health see it."""

    state: str
    causes: dict[str, str]
    """Cause label to a short detail without secrets or tenants' names."""
    since: int
    """Seconds since the epoch."""
    weaknesses: dict[str, str] = {}
    """Label to a short sentence: see appliance.box.weaknesses."""


class StatePage:
    """The shared page. The supervisor writes it; workers read its first byte at every request."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> Self:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)  # a full disk shows here, not as a fault in a store
            page = cls(mmap.mmap(descriptor, PAGE_BYTES))
        finally:
            os.close(descriptor)
        page.write(StateReport(State.LOCKED.label, {Cause.STARTING.label: ""}, 0))
        return page

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for reading. Raises FileNotFoundError when no supervisor has made it."""
        with path.open("rb") as file:
            return cls(mmap.mmap(file.fileno(), PAGE_BYTES, prot=mmap.PROT_READ))

    def write(self, report: StateReport) -> None:
        body = msgspec.json.encode(report)
        if len(body) >= PAGE_BYTES:  # the labels are what counts
            causes, weaknesses = dict.fromkeys(report.causes, ""), dict.fromkeys(report.weaknesses, "")
            body = msgspec.json.encode(StateReport(report.state, causes, report.since, weaknesses))
        state = State[report.state.upper().replace("-", "_")]
        # A graver state is shown before its reasons, so that no request slips through between the two writes.
        self._memory[0] = state
        self._memory[1:] = body.ljust(PAGE_BYTES - 1, b"\0")

    def state(self) -> State:
        return State(self._memory[0])

    def report(self) -> StateReport:
        """The report for people. Raises msgspec.DecodeError where the page is never whole."""
        for _ in range(_LOOKS):
            with contextlib.suppress(msgspec.DecodeError):
                return self._decode()
            time.sleep(_PAUSE_S)  # it is being written just now
        return self._decode()

    def _decode(self) -> StateReport:
        return msgspec.json.decode(self._memory[1:].rstrip(b"\0"), type=StateReport)
