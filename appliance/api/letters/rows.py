"""The records of a letter's events as the recorder shows them, out of the archive if need be: a letter lives longer
than the days for which its box keeps records at hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from appliance.recorder.errors import Archived
from appliance.store.segments import SegmentDamaged

if TYPE_CHECKING:
    from appliance.recorder import RecorderClient

_AT_ONCE: Final = 4_096


async def letter_rows(
    recorder: RecorderClient, tenant: str, letter: bytes, after: int = 0, at_once: int = _AT_ONCE
) -> AsyncGenerator[tuple[int, list[Any]], None]:
    """(place among the letter's own events, record), in order, from the first one after `after`. `at_once`: how many
    are asked for together.

    Raises NotFound, SegmentNotMounted, SegmentDamaged."""
    while True:
        try:
            rows = await recorder.query("letter_records", tenant, letter, after, at_once)
        except Archived:
            async for number, row in _archived(recorder, tenant, letter, after):
                yield number, row
                after = number
            continue
        if not rows:
            return
        for number, row in rows:
            yield number, row
            after = number


async def _archived(
    recorder: RecorderClient, tenant: str, letter: bytes, after: int
) -> AsyncIterator[tuple[int, list[Any]]]:
    """As far as the segment of the first one has them."""
    events = await recorder.query("letter_events", tenant, letter, after)
    segment = await recorder.query("archived_place", tenant, events[0][1])
    numbers = {record_id: number for number, record_id in events}
    offset, expected = 0, after + 1
    while True:
        found, offset = await recorder.query("archived_records", tenant, segment, list(numbers)[:_AT_ONCE], offset)
        for row in found:
            if numbers[row[1]] != expected:
                raise SegmentDamaged("the archive lacks an event of the letter")
            yield expected, row
            expected += 1
        if not offset or expected > events[-1][0]:
            break
    if expected == after + 1:
        raise SegmentDamaged("the archive lacks an event of the letter")
