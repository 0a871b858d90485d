"""What of a line of logs one export can have, and what is told where it cannot be one."""

from __future__ import annotations

import asyncio
import re
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audit.errors import FilterRefused
from appliance.audit.filters import Filter
from appliance.audit.index import BLOCK
from appliance.audit.renewed import Span, one_log
from appliance.box.settings import EndedLogSettings, LogSettings
from appliance.instants import microseconds
from appliance.log.lines import Line

PLACE = Path(tempfile.gettempdir()) / "no-log-is-read"


def line_of(sizes: list[int]) -> Line:
    """Logs with so many records, and the one that goes on from them."""
    ended, base, first = [], 0, 0
    for number, size in enumerate(sizes):
        base = first - (1 if number else 0)
        ended.append(EndedLogSettings(origin=f"log.example/{number}", keys=[], size=first + size - base, base=base))
        first += size
    base = first - (1 if sizes else 0)
    return Line(PLACE, PLACE, LogSettings(origin="log.example/last", tenant="demo", keys=[], base=base, ended=ended))


def in_blocks(times: list[int], wanted: Filter) -> tuple[int, int]:
    """The range in whole blocks in which every record of these times is, as the index tells it."""
    taken = [number for number, time in enumerate(times) if wanted.takes_time(time)]
    if not taken:
        return 0, 0
    return taken[0] // BLOCK * BLOCK, min(len(times), (taken[-1] // BLOCK + 1) * BLOCK)


def ask(line: Line, times: list[int], wanted: Filter) -> Span:
    async def times_of(first: int, end: int) -> list[int]:
        assert end - first <= BLOCK, "no more than a block is read"
        return times[first:end]

    return asyncio.run(one_log(line, wanted, *in_blocks(times, wanted), times_of))


def _time(text: str) -> int | None:
    return microseconds(datetime.fromisoformat(text)) if text else None


RANGE = re.compile(r"(?:from (\S+) )?(?:until (\S+) )?\((\S+)\)")


@given(
    sizes=st.lists(st.integers(1, 2 * BLOCK), max_size=3),
    last=st.integers(1, 2 * BLOCK),
    step=st.integers(1, 3_000_000),
    within=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_an_export_is_of_one_log_or_told_in_ranges_of_which_each_is(
    sizes: list[int], last: int, step: int, within: tuple[float, float]
) -> None:
    line, count = line_of(sizes), sum(sizes) + last
    times = [1_700_000_000_000_000 + number * step for number in range(count)]
    since, until = (times[0] + round(part * (count + 1) * step) for part in sorted(within))
    wanted = Filter(since=since, until=until)
    taken = [number for number, time in enumerate(times) if wanted.takes_time(time)]
    logs = list(dict.fromkeys(line.place(number).log for number in taken))
    try:
        span = ask(line, times, wanted)
    except FilterRefused as error:
        assert len(logs) > 1
        ranges = RANGE.findall(str(error))
        assert [origin for *_, origin in ranges] == [log.origin for log in logs]
        apart = []
        for begin, end, origin in ranges:
            one = Filter(since=_time(begin), until=_time(end))
            span = ask(line, times, one)
            assert span.log.origin == origin
            found = [number for number in taken if one.takes_time(times[number])]
            assert all(span.first <= number < span.end for number in found)
            apart += found
        assert apart == taken, "together they are what was asked for, each record once"
    else:
        assert len(logs) <= 1
        assert not taken or (span.log == logs[0] and span.first <= taken[0] and taken[-1] < span.end)


def test_everything_of_a_line_is_told_by_where_its_logs_began() -> None:
    times = [1_700_000_000_000_000 + second * 1_000_000 for second in (0, 1, 10, 11, 20, 20)]
    with pytest.raises(FilterRefused) as refused:
        ask(line_of([2, 2]), times, Filter())
    assert str(refused.value).endswith(
        "until 2023-11-14T22:13:30.000000Z (log.example/0); from 2023-11-14T22:13:30.000000Z until"
        " 2023-11-14T22:13:40.000000Z (log.example/1); from 2023-11-14T22:13:40.000000Z (log.example/last)"
    )
