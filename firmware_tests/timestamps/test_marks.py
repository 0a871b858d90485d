"""The shared high-water mark: many processes, no lost update, restarts that wait, strict order where asked for."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from appliance.timestamps import HighWaterMark, MarkUnavailable, TimeRanBackwards
from appliance.timestamps.marks import SLOTS

SPAWN = multiprocessing.get_context("spawn")


def take_many(path: Path, start: int, count: int, ordering: bool, results: Connection) -> None:
    mark = HighWaterMark(path, tolerance_us=10_000_000, ordering=ordering)
    results.send("ready")
    results.recv()
    chance = random.Random(start)
    results.send([mark.take(start + chance.randrange(1000)) for _ in range(count)])
    results.close()
    os.kill(os.getpid(), signal.SIGKILL)  # a slot's value outlives its process, however that ends


@pytest.mark.parametrize("ordering", [False, True])
def test_no_update_is_lost_among_processes(tmp_path: Path, ordering: bool) -> None:
    path = tmp_path / "marks" / "tsu"
    workers = []
    for number in range(4):
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=take_many, args=(path, 1_000_000 + number, 2000, ordering, theirs))
        process.start()
        theirs.close()
        workers.append((process, ours))
    for _, results in workers:
        assert results.recv() == "ready"
    for _, results in workers:
        results.send("go")
    taken = [time_us for _, results in workers for time_us in results.recv()]
    for process, _ in workers:
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        process.close()
    mark = HighWaterMark(path, tolerance_us=0)
    assert mark.mark_us == max(taken)
    mark.close()
    if ordering:
        assert len(set(taken)) == len(taken) == 8000


def test_each_process_has_a_slot_of_its_own_until_they_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "tsu"
    marks = [HighWaterMark(path, tolerance_us=0) for _ in range(SLOTS)]
    for place, mark in enumerate(marks, 1):
        mark.take(place)
    assert {mark.mark_us for mark in marks} == {SLOTS}
    with pytest.raises(MarkUnavailable):
        HighWaterMark(path, tolerance_us=0)
    marks.pop().close()
    successor = HighWaterMark(path, tolerance_us=0)
    assert successor.mark_us == SLOTS
    for mark in (*marks, successor):
        mark.close()


def test_after_a_restart_the_unit_waits_for_the_mark(tmp_path: Path) -> None:
    mark = HighWaterMark(tmp_path / "tsu", tolerance_us=1_000_000)
    mark.raise_to(5_000_000)
    for time_us in (0, 4_500_000, 5_000_000):
        with pytest.raises(TimeRanBackwards, match="behind the mark at start"):
            mark.take(time_us)
    assert mark.take(5_000_001) == 5_000_001
    assert mark.mark_us == 5_000_001
    mark.raise_to(1)
    assert mark.mark_us == 5_000_001
    mark.close()
    again = HighWaterMark(tmp_path / "tsu", tolerance_us=1_000_000)
    with pytest.raises(TimeRanBackwards):
        again.take(5_000_001)
    assert again.take(5_000_002) == 5_000_002
    again.close()


def test_the_tolerance_is_exact(tmp_path: Path) -> None:
    mark = HighWaterMark(tmp_path / "tsu", tolerance_us=100)
    assert mark.take(1000) == 1000
    assert mark.take(900) == 900
    assert mark.mark_us == 1000
    with pytest.raises(TimeRanBackwards):
        mark.take(899)
    mark.close()


def test_ordering_gives_strictly_increasing_times_and_refuses_to_run_ahead(tmp_path: Path) -> None:
    mark = HighWaterMark(tmp_path / "tsu", tolerance_us=3, ordering=True)
    assert [mark.take(1000) for _ in range(4)] == [1000, 1001, 1002, 1003]
    with pytest.raises(TimeRanBackwards):
        mark.take(1000)
    assert mark.take(1001) == 1004
    mark.close()


def test_the_page_is_for_its_owner_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    mark = HighWaterMark(tmp_path / "tsu", tolerance_us=None)
    mark.close()
    assert (tmp_path / "tsu").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        HighWaterMark(tmp_path / "link", tolerance_us=None)
    assert not (tmp_path / "elsewhere").exists()
