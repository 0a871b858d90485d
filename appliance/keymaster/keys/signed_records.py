"""Which records a key signed since a time: all of them, those in the archive too; what was not read is said."""

from __future__ import annotations

from typing import Any, Final

import structlog

from appliance.audit.source import RecordSource
from appliance.errors import NotFound
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.recorder.errors import Archived
from appliance.recorder.messages import BOX_LOG
from appliance.store.segments import SegmentDamaged

SPEAKING: Final = frozenset({"ceremony", "administration", "reading", "box-leaf"})
"""Kinds of records that no key of a tenant signed."""
HEADS: Final = 4_096
"""Heads of records in one read."""
_MARGIN_US: Final = 24 * 3600 * 1_000_000
"""A record may be older than the one after it in the log, by seconds; archived ones are left unread beyond a day."""

log = structlog.get_logger("keymaster")


async def affected(room: Room, key: LedgerKey, since: int) -> dict[str, Any]:
    """How many records the key signed since (microseconds since the epoch), where they begin and end, and the query
    that lists them. `not_read`: records of that time that neither the database nor the archive has here."""
    name = key.tenant or BOX_LOG
    source = RecordSource(room.connected())
    size = await source.size(name)
    found: list[int] = []
    gaps: list[tuple[int, int]] = []
    expected, before = 0, since - _MARGIN_US
    for first in range(0, size, HEADS):
        for leaf, _, kind, label, at in await source.heads(name, first, HEADS):
            if leaf > expected and at >= before:
                gaps.append((expected, leaf))  # archived, and perhaps of that time
            expected = leaf + 1
            if label == key.label and kind not in SPEAKING and at >= since:
                found.append(leaf)
    if expected < size:
        gaps.append((expected, size))
    not_read = 0
    for first, end in gaps:
        at = first
        try:
            async for rows in source.stream(name, first, end):
                found += [row[0] for row in rows if row[4] == key.label and row[3] not in SPEAKING and row[5] >= since]
                at = rows[-1][0] + 1
        except (Archived, NotFound, SegmentDamaged) as error:
            log.warning("archive-not-read", log=name, first=at, end=end, error=type(error).__name__)
            not_read += end - at
    return {
        "records": len(found),
        "first_index": min(found, default=None),
        "last_index": max(found, default=None),
        "not_read": not_read,
        "query": {"log": name, "key": key.label, "from_time": since},
    }
