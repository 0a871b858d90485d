"""Bringing the index up to a log: heads from the recorder, or from the archive where only that has them."""

from __future__ import annotations

import time

from appliance.audit.index import Head, Index
from appliance.audit.source import RecordSource

PORTION = 4_096


async def catch_up(index: Index, source: RecordSource, log: str, patience: float) -> int:
    """Add what the index lacks, for about `patience` seconds; gives the leaves that it then has.

    A log that is shorter than the index was restored from a backup: the index is not of this history."""
    size = await source.size(log)
    at = index.size(log)
    if at > size:
        index.forget(log)
        at = 0
    until = time.monotonic() + patience
    while at < size:
        heads: list[Head] = await source.heads(log, at, min(PORTION, size - at))
        whole = next((n for n, head in enumerate(heads) if head[0] != at + n), len(heads))
        if whole == 0:
            stop = heads[0][0] if heads else size
            async for rows in source.stream(log, at, stop):
                at = rows[-1][0] + 1
                index.add(log, at, [(row[0], row[2], row[3], row[4], row[5]) for row in rows])
            continue
        at += whole
        index.add(log, at, heads[:whole])
        if time.monotonic() > until:
            break
    return at
