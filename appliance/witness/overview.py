"""What a witness saw, for people and programs: of each log the last head and when, its state, and its forks."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from appliance.instants import rfc3339
from appliance.witness.follow_report import FollowedLog
from appliance.witness.judging import Head
from appliance.witness.settings import WatchedLog
from appliance.witness.state import Cause, Decision, Fork

LogState = Literal["current", "silent", "not-seen", "forked", "state-lost"]
BAD: frozenset[LogState] = frozenset(("forked", "state-lost"))
"""Nothing of such a log is cosigned until a person decides."""


class LogView(msgspec.Struct, frozen=True, kw_only=True):
    """A log as this witness knows it."""

    origin: str
    title: str
    id: str
    """SHA-256 of the origin in hexadecimal: its place below /log/."""
    state: LogState
    since: str | None
    """Since when it is refused."""
    size: int | None
    """Of the head that was cosigned last; null before the first."""
    root: str | None
    """Base64."""
    time: str | None
    """Of its cosignature."""
    cosigned: int
    """Cosignatures in this life of the process."""
    refusals: dict[str, int]
    """In this life, by reason."""
    last_refusal: str | None
    last_refusal_reason: str | None
    published: FollowedLog | None = None
    """What `cinnabar witness follow` found last where the log is published."""


class ForkView(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    origin: str
    found: str
    decided: str | None
    """When a person decided; null while nothing is cosigned."""
    reason: str | None
    evidence: str
    """Path of the evidence below the monitoring prefix."""


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a person entered about a log that was refused."""

    origin: str
    size: int | None
    """Of the head that it goes on from; null: it was let in as a new log."""
    time: str
    reason: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal["cinnabar-witness-view/1"] = "cinnabar-witness-view/1"
    title: str | None
    keys: list[str]
    """The witness's verifier keys (C2SP tlog-cosignature)."""
    time: str
    status: Literal["sound", "refusing"]
    """refusing: a log has forked, or what was known of it is lost."""
    logs: list[LogView]
    forks: list[ForkView]
    decisions: list[DecisionView]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one process saw of a log, beside its state."""

    cosigned: int = 0
    refusals: dict[str, int] = {}
    last_refusal: tuple[int, str] | None = None


def log_id(origin: str) -> str:
    """SHA-256 of the origin in hexadecimal, as logs' directories have it."""
    return hashlib.sha256(origin.encode()).hexdigest()


def state_of(head: Head | None, refused: Cause | None, silent_after_s: float, now: float) -> LogState:
    if refused is not None:
        return "forked" if refused == "fork" else "state-lost"
    if head is None:
        return "not-seen"
    return "silent" if now - head.time > silent_after_s else "current"


def log_view(
    watched: WatchedLog,
    head: Head | None,
    refused: tuple[Cause, int] | None,
    seen: Seen,
    published: FollowedLog | None,
    now: float,
) -> LogView:
    origin = watched.known.origin
    return LogView(
        origin=origin,
        title=watched.title,
        id=log_id(origin),
        state=state_of(head, None if refused is None else refused[0], watched.settings.silent_after_s, now),
        since=None if refused is None else told(refused[1]),
        size=None if head is None else head.size,
        root=None if head is None else base64.b64encode(head.root).decode(),
        time=None if head is None else told(head.time),
        cosigned=seen.cosigned,
        refusals=seen.refusals,
        last_refusal=None if seen.last_refusal is None else told(seen.last_refusal[0]),
        last_refusal_reason=None if seen.last_refusal is None else seen.last_refusal[1],
        published=published,
    )


def overview(
    title: str | None,
    keys: Sequence[str],
    logs: Sequence[LogView],
    forks: Sequence[Fork],
    decisions: Sequence[Decision],
) -> Overview:
    bad = any(one.state in BAD for one in logs)
    return Overview(
        title=title,
        keys=list(keys),
        time=told(int(time.time())),
        status="refusing" if bad else "sound",
        logs=sorted(logs, key=lambda one: (one.state not in BAD, one.title)),
        forks=[fork_view(fork) for fork in forks],
        decisions=[
            DecisionView(origin=one.origin, size=one.size, time=told(one.time), reason=one.reason) for one in decisions
        ],
    )


def fork_view(fork: Fork) -> ForkView:
    return ForkView(
        number=fork.number,
        origin=fork.origin,
        found=told(fork.found),
        decided=None if fork.decided is None else told(fork.decided),
        reason=fork.reason,
        evidence=f"/forks/{fork.number}.json",
    )


def told(seconds: int) -> str:
    """RFC 3339, in whole seconds."""
    return rfc3339(seconds * 1_000_000)[:19] + "Z"


def read_followed(path: Path) -> Mapping[str, FollowedLog]:
    """What the follower wrote last, by origin; nothing where it does not run or its file cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, FollowedLog])
    except (OSError, msgspec.MsgspecError):
        return {}
