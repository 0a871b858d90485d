"""Where a log that has ended goes on: what it publishes of that, held to the log as it was followed.

The old log's keys sign for the new one under its name, so whoever holds them can check the way to its head: the last
checkpoint of the old log, an entry's path under the new hash to the root that the successor states, and the successor
as the first entry of the new log. That it is the same for everybody is for the new log's witnesses to show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.forks import same_size
from appliance.log.note import VerifierKey
from appliance.log.successor import Continuation, parse_successor, verify_continuation
from appliance.monitor.errors import HistoryForked, SuccessorWrong
from appliance.monitor.extending import SignedHead


class GoesOn(msgspec.Struct, frozen=True, kw_only=True):
    """A log has ended, and another one goes on from it."""

    origin: str
    """Of the log that succeeds it."""
    size: int
    """Entries that it ended with."""
    successor: str
    """SHA-256, hexadecimal, of the first successor: there is one alone."""


@dataclass(frozen=True)
class _Line:
    keys: dict[str, tuple[LogKey, ...]]
    succeeds: dict[str, str]


def check_ending(
    published: bytes, entry: bytes, origin: str, keys: Sequence[LogKey], head: SignedHead, before: GoesOn | None
) -> GoesOn:
    """`published`: the continuation of `entry`, the log's first; `head`: the newest; `before`: what was seen.

    Raises SuccessorWrong; HistoryForked where the log ended with another head of the same size.
    """
    try:
        continuation = Continuation.parse(published)
        successor = parse_successor(continuation.steps[0].successor.encode())
        line = _line(continuation, origin, keys)
        found = verify_continuation(continuation, entry, origin, line.keys, line.succeeds)
    except (MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid) as error:
        raise SuccessorWrong(str(error), published) from None
    last = found.ended[0]
    if last.size == head.checkpoint.size and last.root != head.checkpoint.root:
        detail = f"the log ended with another head of {last.size} entries"
        raise HistoryForked(detail, same_size(origin, head.note, successor.checkpoint.encode()))
    if last.size != head.checkpoint.size:
        raise SuccessorWrong(f"it ended at {last.size} entries, and has a head of {head.checkpoint.size}", published)
    # The checkpoint in it may have more cosignatures than another's; the log and its root may not be others.
    digest = hashlib.sha256(continuation.steps[0].successor.encode()).hexdigest()
    first = GoesOn(origin=continuation.steps[0].origin, size=last.size, successor=digest)
    if before is not None and before != first:
        raise SuccessorWrong(f"it went on in {before.origin}, and now another log claims to succeed it", published)
    return first


def _line(continuation: Continuation, origin: str, keys: Sequence[LogKey]) -> _Line:
    """Each log of the line under the same keys, ended where its successor says that it is."""
    known: dict[str, tuple[LogKey, ...]] = {}
    succeeds: dict[str, str] = {}
    for step in continuation.steps:
        size = parse_successor(step.successor.encode()).predecessor().size
        known[origin] = tuple(_named(key, origin, size) for key in keys if key.signs(size) or origin in succeeds)
        succeeds[step.origin] = origin
        origin = step.origin
    known[origin] = tuple(_named(key, origin, None) for key in keys)
    return _Line(known, succeeds)


def _named(key: LogKey, origin: str, until: int | None) -> LogKey:
    return LogKey(VerifierKey(origin, key.verifier.public), 0, until)
