"""Documents that cost too much, workers that die: each answer is typed, and the next document is read."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from appliance.documents import DocumentsClient, DocumentTooCostly, DocumentWorkerFailed
from appliance.errors import BadRequest
from firmware_tests.documents.serving import ABSENT, FOREIGN, MISDEED, Misdeed, Seen


def ask(keeper, *deeds: Misdeed, tenant: str = "demo", contract=MISDEED) -> list[object]:
    """The answers, or errors, of tasks asked at once."""

    async def all_of_them() -> list[object]:
        client = DocumentsClient(keeper.socket)
        try:
            return await asyncio.gather(
                *(client.call(contract, tenant, deed) for deed in deeds), return_exceptions=True
            )
        finally:
            await client.close()

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("what", "text", "says"),
    [
        ("loop", "", "processor time"),
        ("memory", "", "memory"),
        ("memory-at-once", str(1 << 34), "memory"),
        ("nest", "", "nesting"),
    ],
)
def test_excess_is_the_documents_fault(keeper, what: str, text: str, says: str) -> None:
    running = keeper(wall_seconds=30.0)  # a busy machine gives a worker little of its time
    (error,) = ask(running, Misdeed(what, text))
    assert isinstance(error, DocumentTooCostly), error
    assert (error.status, error.retriable) == (422, False)
    assert says in str(error)
    (seen,) = ask(running, Misdeed("echo", "still here"))
    assert isinstance(seen, Seen)
    assert seen.text == "still here"


@pytest.mark.parametrize("what", ["die", "segfault", "exit", "fault"])
def test_a_worker_that_dies_is_a_reason_to_try_again(keeper, what: str) -> None:
    running = keeper()
    (error,) = ask(running, Misdeed(what, "a secret"))
    assert isinstance(error, DocumentWorkerFailed), error
    assert (error.status, error.retriable) == (503, True)
    assert "secret" not in str(error)
    assert isinstance(ask(running, Misdeed("echo"))[0], Seen)


def test_waiting_without_working_ends_at_the_wall(keeper) -> None:
    running = keeper(wall_seconds=1.0)
    started = time.monotonic()
    (error,) = ask(running, Misdeed("wait", "60"))
    assert isinstance(error, DocumentWorkerFailed)
    assert time.monotonic() - started < 4


def test_what_a_task_refuses_with_arrives_as_it_is(keeper) -> None:
    running = keeper()
    (error,) = ask(running, Misdeed("refuse", "因为 because"))
    assert type(error) is BadRequest
    assert str(error) == "因为 because"
    assert isinstance(ask(running, Misdeed("echo"), contract=ABSENT)[0], DocumentWorkerFailed)
    assert isinstance(ask(running, Misdeed("echo"), contract=FOREIGN)[0], DocumentWorkerFailed)


def test_each_task_has_a_worker_of_its_own_that_says_nothing(keeper) -> None:
    running = keeper()
    seen = ask(running, *(Misdeed("echo") for _ in range(12)), Misdeed("noise"))
    workers = [one.process for one in seen if isinstance(one, Seen)]
    assert len(set(workers)) == len(workers) == 13
    assert "noise" not in (running.directory / "output").read_text()


def test_a_large_document_arrives_whole(keeper) -> None:
    running = keeper()
    (seen,) = ask(running, Misdeed("echo", ballast=os.urandom(40 << 20)))
    assert isinstance(seen, Seen)
    assert seen.bytes == 40 << 20


def test_killed_workers_and_a_killed_keeper_under_load(keeper) -> None:
    running = keeper(workers=3)

    async def load() -> tuple[list[object], list[object]]:
        client = DocumentsClient(running.socket)
        loop = asyncio.get_running_loop()
        tasks = [asyncio.ensure_future(client.call(MISDEED, f"t{n % 5}", Misdeed("work", "0.02"))) for n in range(60)]
        for _ in range(5):
            await asyncio.sleep(0.05)
            for child in running.children():
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        first = await asyncio.gather(*tasks, return_exceptions=True)
        tasks = [asyncio.ensure_future(client.call(MISDEED, f"t{n}", Misdeed("work", "0.02"))) for n in range(20)]
        await asyncio.sleep(0.1)
        running.kill()
        await loop.run_in_executor(None, running.start)
        second = await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
        return first, second

    first, second = asyncio.run(load())
    assert {type(one) for one in first} <= {Seen, DocumentWorkerFailed}
    assert sum(type(one) is Seen for one in first) >= 40
    assert {type(one) for one in second} == {Seen}, "what was asked is asked again of the next keeper"


def test_workers_end_with_their_keeper_and_at_a_clean_stop(keeper) -> None:
    running = keeper()
    children = running.children()
    running.kill()
    _wait_gone(children)
    running.start()
    children = running.children()
    assert running.stop() == 0
    _wait_gone(children)


def _wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 5
    for pid in pids:
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
