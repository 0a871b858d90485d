"""Ledgers at work: killed at every step, hanging, lying, on a full disk, put back from a backup."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.anchorer.ledger import LedgerUnavailable, Progress, Work
from appliance.anchorer.outbox import Head, Outbox
from appliance.anchorer.running import LedgerMisbehaves, LedgerRunner
from appliance.anchors import AnchorRefused, State, read_receipt
from appliance.anchors.states import ImpossibleTransition
from firmware_tests.anchorer import made
from firmware_tests.anchorer.made import PROFILE, Careful, Heads, Scripted, head, receipt


@pytest.fixture(autouse=True)
def _type() -> None:
    made.know_the_type()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite")


def _runner(outbox: Outbox, ledger: object, now: Head, **changed: object) -> LedgerRunner:
    return LedgerRunner(ledger, made.settings(**changed), PROFILE, outbox, Heads(now))  # type: ignore[arg-type]


def _killed(directory: Path, die_at: int) -> int:
    command = (sys.executable, "-m", "firmware_tests.anchorer.made", str(directory), str(die_at))
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode


def test_killed_at_any_moment_it_sends_one_thing_and_ends_final(tmp_path: Path) -> None:
    die_at = 0
    died = True
    while died:
        die_at += 1
        directory = tmp_path / str(die_at)
        directory.mkdir()
        died = _killed(directory, die_at) == -signal.SIGKILL
        # Killed a second time, wherever it then is, and let go on.
        for again in (2, 5, 0):
            _killed(directory, again)
        sent = (directory / "world").read_bytes().splitlines()
        assert len(set(sent)) == 1, "a crash repeats what was stored, and makes nothing new"
        outbox = Outbox(directory / "outbox.sqlite")
        assert [one.state for one in outbox.anchors("made", None, 9)] == [State.FINAL]
        assert read_receipt(outbox.receipt("made", 1)).ledger == "made"
        outbox.close()
    assert die_at > 12


def test_an_outbox_put_back_from_a_backup_sends_the_same_again_and_nothing_else(tmp_path: Path) -> None:
    """At each of its steps a copy is taken, and put back once the head is final."""
    careful = Careful(tmp_path / "world")
    outbox = Outbox(tmp_path / "outbox.sqlite")
    runner = _runner(outbox, careful, head(5))
    copies: list[Path] = []
    for number in range(5):
        asyncio.run(runner.once())
        copies.append(tmp_path / f"copy-{number}.sqlite")
        outbox._connection.execute("VACUUM INTO ?", (str(copies[-1]),))
        time.sleep(0.06)
    assert outbox.anchor("made", 1).state is State.FINAL
    outbox.close()
    for number, copy in enumerate(copies):
        place = tmp_path / f"back-{number}.sqlite"
        shutil.copy(copy, place)
        back = Outbox(place)
        asyncio.run(made._until_final(back, _runner(back, careful, head(5))))
        assert [one.state for one in back.anchors("made", None, 9)] == [State.FINAL]
        back.close()
    assert len(set((tmp_path / "world").read_bytes().splitlines())) == 1


def test_a_ledger_that_hangs_delays_no_other_and_is_asked_again(outbox: Outbox, tmp_path: Path) -> None:
    hung = 0

    async def hang(work: Sequence[Work]) -> Sequence[Progress]:
        nonlocal hung
        hung += 1
        while True:  # not even to be cancelled
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                if hung > 1:
                    raise

    async def story() -> None:
        bad = LedgerRunner(
            Scripted(hang), made.settings(name="bad", step_s=1), PROFILE, outbox, Heads(head(5))  # type: ignore[arg-type]
        )  # fmt: skip
        good = _runner(outbox, Careful(tmp_path / "world"), head(5))
        tasks = [asyncio.create_task(one.run()) for one in (bad, good)]
        started = time.monotonic()
        while (newest := outbox.newest("made")) is None or newest.state is not State.FINAL:
            await asyncio.sleep(0.02)
            assert time.monotonic() < started + 20
        while not bad.trouble:
            await asyncio.sleep(0.02)
            assert time.monotonic() < started + 30
        assert outbox.newest("bad").state is None  # type: ignore[union-attr]
        left = bad._left
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert left is not None
        hung_twice = hung + 1
        left.cancel()
        assert hung_twice >= 2

    with asyncio.Runner() as running:
        hung_before = hung
        assert hung_before == 0
        try:
            running.run(story())
        finally:
            hung = 2  # what was left behind lets itself be cancelled now


@pytest.mark.parametrize(
    ("progress", "error"),
    [
        (Progress(State.SUPERSEDED, "c", b"", 0), LedgerMisbehaves),
        (Progress(State.FINAL, "c", b"", 0), ImpossibleTransition),
        (
            Progress(State.SUBMITTED, "c", b"", 0, receipt(Work(1, head(5).checkpoint, bytes(32), None, b""))),
            LedgerMisbehaves,
        ),
        (Progress(State.MINED, "c", b"", 0), ImpossibleTransition),
        (Progress(State.SUBMITTED, "c", bytes(2_000_000), 0), LedgerMisbehaves),
    ],
)
def test_what_a_ledger_may_not_say_is_not_believed(outbox: Outbox, progress: Progress, error: type[Exception]) -> None:
    async def step(work: Sequence[Work]) -> Sequence[Progress]:
        return [progress for _ in work]

    with pytest.raises(error):
        asyncio.run(_runner(outbox, Scripted(step), head(5)).once())
    assert outbox.anchor("made", 1).state is None


def test_fewer_answers_than_anchors_are_none(outbox: Outbox) -> None:
    async def step(work: Sequence[Work]) -> Sequence[Progress]:
        return []

    with pytest.raises(LedgerMisbehaves):
        asyncio.run(_runner(outbox, Scripted(step), head(5)).once())


def test_a_receipt_that_does_not_hold_makes_nothing_final_and_what_else_came_is_kept(outbox: Outbox) -> None:
    async def step(work: Sequence[Work]) -> Sequence[Progress]:
        if len(work) == 1:
            return [Progress(State.SUBMITTED, "sent", b"tx", 0)]
        first, _ = work
        lie = Progress(State.FINAL, "so it says", b"other", 0, receipt(first, held=bytes(32)))
        return [lie, Progress(State.SUBMITTED, "sent", b"tx 2", 0)]

    runner = _runner(outbox, Scripted(step), head(5))
    asyncio.run(runner.once())
    runner._heads.now = head(9)  # type: ignore[attr-defined]
    runner.request()
    runner._again.clear()
    with pytest.raises(AnchorRefused):
        asyncio.run(runner.once())
    first, second = outbox.open_anchors("made")
    assert (first.state, first.memory) == (State.SUBMITTED, b"tx")
    assert (second.state, second.memory) == (State.SUBMITTED, b"tx 2")

    async def mixed(work: Sequence[Work]) -> Sequence[Progress]:
        return [Progress(State.FINAL, "c", b"", 0, receipt(work[1])), Progress(State.SUBMITTED, "c", b"tx 2", 0)]

    runner.ledger = Scripted(mixed)
    runner._again.clear()
    with pytest.raises(AnchorRefused):  # a receipt of another head, as good as it is
        asyncio.run(runner.once())


def test_an_outage_ends_and_everything_is_covered(outbox: Outbox, tmp_path: Path) -> None:
    """Heads go on while nothing answers; when it does, every head is final or covered by a later final one."""
    careful, away = Careful(tmp_path / "world"), True

    async def step(work: Sequence[Work]) -> Sequence[Progress]:
        if away and any(one.state is State.SUBMITTED for one in work):
            raise LedgerUnavailable("nobody is there")
        return await careful.advance(work)

    async def story() -> None:
        nonlocal away
        heads = Heads(head(1))
        runner = LedgerRunner(Scripted(step), made.settings(interval_s=1), PROFILE, outbox, heads)  # type: ignore[arg-type]
        task = asyncio.create_task(runner.run())
        deadline = time.monotonic() + 30
        while runner.trouble != "nobody is there (ledger-unavailable)":
            await asyncio.sleep(0.02)
            assert time.monotonic() < deadline, runner.trouble
        for size in range(2, 6):
            heads.now = head(size)
            runner.request()
            await asyncio.sleep(0.05)
        assert runner.trouble == "nobody is there (ledger-unavailable)"
        away = False
        runner._rest_until = 0.0
        while (newest := outbox.newest("made")) is None or newest.state is not State.FINAL or newest.size < 5:
            runner.request()
            await asyncio.sleep(0.05)
            assert time.monotonic() < deadline
        assert runner.trouble == ""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert {one.state for one in outbox.anchors("made", None, 99)} <= {State.FINAL, State.SUPERSEDED}
