"""Large appends and their replays: nobody's stamp waits behind them, and their counts are exact (RECORD, CHANNEL)."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from appliance.recorder import RecorderClient, errors, new_run_id
from appliance.recorder.messages import Committed, Idempotency, Replayed
from firmware_tests.recorder.running import CERTIFICATE, Recorder, entry, uuid7

LARGE = 14 * 1024 * 1024


def run_row(recorder: Recorder, run: str) -> dict[str, object]:
    with recorder.admin() as admin:
        return next(row for row in admin.query("runs") if row["run"] == run)


def test_small_ones_overtake_a_large_one(recorder: Recorder) -> None:
    """While a large append and its replay travel, small ones of the same process are answered; then all balances."""
    run, signed, drops = new_run_id(), 0, {}

    async def work() -> tuple[int, int, int]:
        nonlocal signed
        client = await RecorderClient.connect(recorder.home.recorder_socket, run, lambda: (signed, drops))
        key, body = Idempotency(uuid7(), b"d" * 32), os.urandom(LARGE)
        first = entry(body=body)
        overtaken = 0
        for number in range(2):
            signed += 1
            large = client.append("acme", "app", CERTIFICATE, [first if number == 0 else entry(body=body)], key)
            while not large.done():
                signed += 1
                assert isinstance(await client.append("acme", "app", CERTIFICATE, [entry()]), Committed)
                overtaken += not large.done()
            answer = await large
        assert isinstance(answer, Replayed)
        assert answer.entries == [first]
        drops["replayed"] = 1
        assert overtaken >= 10
        balance = await client.goodbye()
        await client.close()
        return balance

    balance = asyncio.run(work())
    assert balance[0] == balance[1] + balance[2] == signed
    row = run_row(recorder, run)
    assert row["state"] == "clean"
    assert row["rows"] == signed - 1


def test_small_ones_wait_for_one_large_transaction_at_most(recorder: Recorder) -> None:
    """Several large ones in line, of several processes: between two of them the small ones have their turn."""

    async def work() -> tuple[list[str], int]:
        order: list[str] = []
        clients = [
            await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {})) for _ in range(3)
        ]
        tasks = []
        for client in clients[:2]:
            for _ in range(3):
                future = client.append("acme", "app", CERTIFICATE, [entry(body=os.urandom(LARGE // 2))])
                future.add_done_callback(lambda _: order.append("large"))
                tasks.append(future)
        longest = 0
        while not all(task.done() for task in tasks):
            before = len(order)
            await clients[2].append("acme", "app", CERTIFICATE, [entry()])
            longest = max(longest, len(order) - before)
        for client in clients:
            await client.close()
        return order, longest

    order, longest = asyncio.run(work())
    assert len(order) == 6
    assert longest <= 2


@pytest.mark.parametrize("wait", [0.0, 0.02, 0.08])
def test_a_recorder_that_dies_meanwhile(recorder: Recorder, wait: float) -> None:
    """Both connections come back; the large one is recorded once, whenever the recorder died."""
    run = new_run_id()

    async def work() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, run, lambda: (3, {}))
        large = client.append("acme", "app", CERTIFICATE, [entry(body=os.urandom(LARGE))])
        small = client.append("acme", "app", CERTIFICATE, [entry()])
        await asyncio.sleep(wait)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, recorder.kill)
        await loop.run_in_executor(None, recorder.start)
        first, second = await asyncio.gather(large, small)
        assert abs(first.first_index - second.first_index) == 1
        last = await client.append("acme", "app", CERTIFICATE, [entry()])
        assert last.first_index == max(first.first_index, second.first_index) + 1
        assert await client.goodbye() == (3, 3, 0)
        await client.close()

    asyncio.run(work())
    assert run_row(recorder, run)["rows"] == 3


def test_a_process_that_ends_loses_its_run_once(recorder: Recorder) -> None:
    """One connection gone is no lost run; both are."""
    run = new_run_id()

    async def work() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, run, lambda: (2, {}))
        await client.append("acme", "app", CERTIFICATE, [entry()])
        await client.append("acme", "app", CERTIFICATE, [entry(body=bytes(1024 * 1024))])
        beside = client._large
        assert beside is not None
        await beside.close()
        await asyncio.sleep(0.2)
        await client.append("acme", "app", CERTIFICATE, [entry()])
        assert run_row(recorder, run)["state"] == "open"
        with pytest.raises(errors.RecorderUnavailable):
            client.append("acme", "app", CERTIFICATE, [entry(body=bytes(1024 * 1024))])
        await client.close()

    asyncio.run(work())
    deadline = time.monotonic() + 5
    while run_row(recorder, run)["state"] != "lost":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run_row(recorder, run)["rows"] == 3
