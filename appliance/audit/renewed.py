"""Exports of a line of logs: an export is of one log; what records of several stand in is asked for apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from appliance.audit.errors import FilterRefused
from appliance.audit.filters import Filter
from appliance.audit.index import BLOCK
from appliance.instants import rfc3339
from appliance.log.lines import Line, LineLog

_SECOND: Final = 1_000_000

Times = Callable[[int, int], Awaitable[list[int]]]
"""The times of records [first, end), microseconds since the epoch."""


@dataclass(frozen=True)
class Span:
    """Records [first, end) of one log, by their numbers in the line."""

    log: LineLog
    first: int
    end: int


async def one_log(line: Line, wanted: Filter, first: int, end: int, times: Times) -> Span:
    """The one log in which the records stand that [first, end) has of the times asked for, and where there.

    [first, end): in whole blocks of the index, so that records of another log may stand at its ends that nobody asked
    for. Raises FilterRefused, with the ranges to ask for, where records of several logs are asked for."""
    spans = _spans(line, first, end)
    while len(spans) > 1 and not await _asked_for(wanted, spans[0], times):
        del spans[0]
    while len(spans) > 1 and not await _asked_for(wanted, spans[-1], times):
        del spans[-1]
    if len(spans) == 1:
        return spans[0]
    limits = [
        wanted.since,
        *[_between(*await times(after.first - 1, after.first + 1)) for _, after in pairwise(spans)],
        wanted.until,
    ]
    ranges = "; ".join(_told(span, *range_) for span, range_ in zip(spans, pairwise(limits), strict=True))
    raise FilterRefused(f"the log was renewed: ask for each of its logs apart: {ranges}")


def _spans(line: Line, first: int, end: int) -> list[Span]:
    if first >= end:
        return [Span(line.newest, first, end)]
    # The first leaf of a log that succeeds another one is no record.
    begins = [era.base + 1 for era in line.eras[1:] if first < era.base + 1 < end]
    return [Span(line.place(begin).log, begin, stop) for begin, stop in pairwise((first, *begins, end))]


async def _asked_for(wanted: Filter, span: Span, times: Times) -> bool:
    if (wanted.since is None and wanted.until is None) or span.end - span.first >= BLOCK:
        return True  # a whole block is in the range because of a record in it
    return any(map(wanted.takes_time, await times(span.first, span.end)))


def _between(last: int, first: int) -> int:
    """A time by which the last record of a log is told from the first of the next: a whole second where one does."""
    second = first - first % _SECOND
    return second if last < second else first


def _told(span: Span, since: int | None, until: int | None) -> str:
    begins = "" if since is None else f"from {rfc3339(since)} "
    ends = "" if until is None else f"until {rfc3339(until)} "
    return f"{begins}{ends}({span.log.origin})"
