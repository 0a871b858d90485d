"""The recorder's rules of trust, as pure functions.

1. An Idempotency-Key is a UUIDv7, not older than the window and not more than five minutes ahead (`check_key`).
2. A record id's time is near the box's clock, so that the id index grows at its end (`id_bounds`).
3. A checkpoint continues the recorded head of its origin (`check_checkpoint`, control FORK).
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from appliance.errors import BadRequest, CinnabarError
from appliance.recorder.errors import (
    Fork,
    IdempotencyKeyAhead,
    IdempotencyKeyExpired,
    IdempotencyKeyInvalid,
)
from appliance.tree_hash import hash_of

AHEAD_MS = 5 * 60 * 1000
ID_AGE_MS = 60 * 60 * 1000


def check_key(key: bytes, now_ms: int, window_ms: int) -> type[CinnabarError] | None:
    """What is wrong with a 16-byte idempotency key, or None (RFC 9562, sections 4.1, 4.2 and 5.7)."""
    if len(key) != 16 or key[6] >> 4 != 7 or key[8] >> 6 != 2:
        return IdempotencyKeyInvalid
    time_ms = int.from_bytes(key[:6], "big")
    if time_ms < now_ms - window_ms:
        return IdempotencyKeyExpired
    if time_ms > now_ms + AHEAD_MS:
        return IdempotencyKeyAhead
    return None


def id_bounds(now_ms: int) -> tuple[bytes, bytes]:
    """Record ids are taken from one hour back to five minutes ahead: [lowest, highest) as bytes to compare with."""
    return max(0, now_ms - ID_AGE_MS).to_bytes(6, "big"), (now_ms + AHEAD_MS).to_bytes(6, "big")


class Head(NamedTuple):
    """The signed head of a log. `root`: 32 bytes. `time`: microseconds since the epoch."""

    origin: str
    size: int
    root: bytes
    time: int


def read_checkpoint(note: bytes, time: int) -> Head:
    """Origin, size and root of a C2SP tlog-checkpoint. Signatures are not looked at. Raises BadRequest."""
    try:
        lines = note.decode("utf-8").split("\n")
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
        if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")) or len(size) > 19:
            raise ValueError(size)
    except (ValueError, IndexError, binascii.Error) as error:
        raise BadRequest("the checkpoint cannot be read") from error
    if len(root) != hash_of(origin).size or not origin:
        raise BadRequest("the checkpoint cannot be read")
    return Head(origin, int(size), root, time)


def check_checkpoint(recorded: Head | None, offered: Head, leaves: int) -> None:
    """Raises Fork unless `offered` continues `recorded` in a log that has `leaves` leaves on disk."""
    if offered.size > leaves:
        raise Fork(f"{offered.origin}: a head of {offered.size} leaves, {leaves} are recorded")
    if recorded is None:
        return
    if offered.size < recorded.size:
        raise Fork(f"{offered.origin}: a head of {offered.size} leaves after one of {recorded.size}")
    if offered.size == recorded.size and offered.root != recorded.root:
        raise Fork(f"{offered.origin}: two roots for {offered.size} leaves")
    if offered.time < recorded.time:
        raise Fork(f"{offered.origin}: a head older than the recorded one")
