"""A process that others may call too often answers so many a second, whatever they do."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.calls.framing import frame
from appliance.calls.pace import Pace
from appliance.calls.server import CONNECTIONS
from appliance.errors import Conflict
from firmware_tests.calls.serving import Served

BURST, RATE = 20, 10.0


class TooOften(Conflict):
    code = "too-often-for-the-tests"


class Asked:
    def __init__(self) -> None:
        self.times = 0

    async def ask(self) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def served(tmp_path: Path, asked: Asked) -> Iterator[Served]:
    with Served(tmp_path / "paced.sock", {"ask": asked.ask}, pace=Pace(BURST, RATE, TooOften("too often"))) as made:
        yield made


@given(
    steps=st.lists(st.integers(0, 3_000_000_000), max_size=100),
    burst=st.integers(1, 20),
    rate=st.floats(0.5, 50, allow_nan=False),
)
def test_in_any_time_no_more_is_paid_for_than_the_burst_and_the_rate(steps: list[int], burst: int, rate: float) -> None:
    now = 10**12
    pace = Pace(burst, rate, TooOften("too often"), lambda: now)
    paid: list[float] = []
    for step in steps:
        now += step
        paid.append(now / 1e9 + pace.take())
    assert paid == sorted(paid), "turns come in the order in which they were asked for"
    for first, begin in enumerate(paid):
        for last in range(first, len(paid)):
            assert last - first + 1 <= burst + 1 + (paid[last] - begin) * rate + 1e-3
    now += 10**15
    assert [pace.take() for _ in range(burst)] == [0.0] * burst, "who waits has the burst again"


def test_a_flood_is_answered_at_the_pace_and_refused_with_the_error_that_was_given(
    served: Served, asked: Asked
) -> None:
    ended = time.monotonic() + 2

    def flood(_: int) -> tuple[int, int]:
        answers = refusals = 0
        while time.monotonic() < ended:
            with served.client() as client:
                for _ in range(3):
                    try:
                        client.call("ask")
                        answers += 1
                    except TooOften:
                        refusals += 1
        return answers, refusals

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        sums = [sum(column) for column in zip(*threads.map(flood, range(8)), strict=True)]
    most = BURST + 1 + RATE * (time.monotonic() - begun)
    assert sums[0] == asked.times > 0
    assert sums[1] > 0
    assert sum(sums) <= most
    time.sleep(2 * BURST / RATE)
    with served.client() as client:
        assert client.call("ask") == asked.times


def test_who_never_reads_an_answer_and_comes_again_is_let_in_at_the_pace(served: Served, asked: Asked) -> None:
    call = frame(b"\x93\x01\xa3ask\x90")
    begun = time.monotonic()
    for _ in range(3 * BURST):
        with contextlib.closing(served.connect()) as connection:
            connection.sendall(call * 3)
    time.sleep(0.5)
    assert asked.times <= BURST + 1 + RATE * (time.monotonic() - begun)


def test_more_connections_than_there_is_room_for_wait_their_turn(tmp_path: Path, asked: Asked) -> None:
    with Served(tmp_path / "s", {"ask": asked.ask}, pace=Pace(10_000, 1_000.0, TooOften("too often"))) as served:
        held: list[socket.socket] = [served.connect() for _ in range(CONNECTIONS)]
        with ThreadPoolExecutor(1) as thread, served.client() as client:
            answer = thread.submit(client.call, "ask")
            held.pop().close()
            assert answer.result(10) == 1
        for one in held:
            one.close()
