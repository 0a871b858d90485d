"""A disk that fills up: the box goes degraded, then read-only, says so by type, and loses nothing; room brings it back.

The same small disk takes the box through the states that a person can bring about, and each is held against the table
of states (appliance.box.states).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.box.states import Cause, State, Work, permits
from firmware_tests.running import RunningBox, wait_until
from firmware_tests.scenarios.load import PROBLEM, Load, all_recorded
from firmware_tests.scenarios.runs import balanced_after_clean_stop

MIB = 1024 * 1024
DISK, WARN, REFUSE = 64 * MIB, 24 * MIB, 12 * MIB
STAMP = {"digest": "5a" * 32}


@pytest.fixture
def small_disk(open_directory: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    assert os.geteuid() == 0, "a file system is mounted: this test must run as root"
    path = open_directory / "small-disk"
    path.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", path), check=True)
    yield path
    subprocess.run(("umount", "--lazy", path), check=True)
    path.rmdir()


@pytest.fixture
def small_box(small_disk: Path, make_box: Callable[..., RunningBox]) -> RunningBox:
    box = make_box(at=small_disk / "box")
    box.output = small_disk.parent / "small-box.output"
    settings = read_settings(box.home.settings)
    limits = msgspec.structs.replace(settings.limits, disk_warn_bytes=WARN, disk_refuse_bytes=REFUSE)
    write_settings(box.home.settings, msgspec.structs.replace(settings, limits=limits))
    box.start("--metrics", "127.0.0.1:0")
    return box


def fill(disk: Path, leave: int) -> None:
    """Leave so many bytes free; of what the box writes at the same time, each page may be the last."""
    with (disk / "filler").open("ab") as file, contextlib.suppress(OSError):
        while (free := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize) > leave:
            file.write(bytes(min(free - leave, MIB)))
            file.flush()


def state_of(box: RunningBox) -> str:
    with box.http() as client:
        state: str = client.get("/health").json()["state"]
        return state


def agrees_with_the_table(box: RunningBox, state: State, record: str) -> None:
    """Every kind of work is done or refused as the table of states says."""
    wait_until(lambda: state_of(box) == state.label, 10, state.label)
    with box.http() as client:
        answers = {
            Work.SIGN: client.post("/v1/stamps", json=STAMP),
            Work.READ: client.get(f"/v1/records/{record}"),
            Work.VERIFY: client.post("/v1/verify", json={"files": [{"name": "a", "content": ""}]}),
            Work.STATUS: client.get("/health"),
        }
        ready = client.get("/health/ready")
    for work, answer in answers.items():
        if permits(state, work):
            assert answer.status_code == 200, (state, work, answer.text)
        else:
            refused(answer)
    assert (ready.status_code == 200) == permits(state, Work.SIGN)
    assert ready.json()["state"] == state.label
    with httpx.Client(base_url=f"http://{box.address('metrics')}") as client:
        assert client.get("/health").json()["state"] == state.label


def refused(answer: httpx.Response) -> None:
    """A typed problem that says: later. 507 is the recorder's word, 503 that of the box's state."""
    assert answer.status_code in {503, 507}, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["retriable"]
    assert "control" in answer.json()
    assert answer.headers["retry-after"]


def test_a_full_disk_refuses_loses_nothing_and_recovers(small_box: RunningBox, small_disk: Path) -> None:
    box = small_box
    parts = box.processes()
    with Load(box) as load:
        wait_until(lambda: len(load.answered) > 20)
        fill(small_disk, 0)  # past the watermark: not one byte is left
        wait_until(lambda: len(load.problems) > 20, 10, "refusals")
        wait_until(lambda: state_of(box) == "read-only")
        record = next(iter(load.answered))
        with box.http() as client:
            assert client.get(f"/v1/records/{record}").status_code == 200
            refused(client.post("/v1/seals", json=STAMP))
        before = len(load.answered)
        (small_disk / "filler").unlink()
        wait_until(lambda: len(load.answered) > before + 20, 10, "service with room again")
        wait_until(lambda: state_of(box) == "operational")
    assert load.statuses <= {503, 507}
    assert load.codes <= {"read-only", "state-forbids"}
    assert all(problem["retriable"] and "control" in problem for problem in load.problems)
    assert load.broken == 0
    all_recorded(box, load.answered)
    assert box.processes() == parts, "no part has died of it"
    balanced_after_clean_stop(box)


def test_health_and_refusals_agree_with_the_table_of_states(small_box: RunningBox, small_disk: Path) -> None:
    box, filler = small_box, small_disk / "filler"
    with box.http() as client:
        record = client.post("/v1/stamps", json=STAMP).json()["record"]
    agrees_with_the_table(box, State.OPERATIONAL, record)
    fill(small_disk, (WARN + REFUSE) // 2)
    agrees_with_the_table(box, Cause.DISK_LOW.state, record)
    fill(small_disk, REFUSE // 2)
    agrees_with_the_table(box, Cause.DISK_FULL.state, record)
    box.home.history_lock.touch()
    agrees_with_the_table(box, Cause.HISTORY_UNPROVEN.state, record)  # the graver cause decides
    filler.unlink()
    agrees_with_the_table(box, Cause.HISTORY_UNPROVEN.state, record)
    box.home.history_lock.unlink()
    agrees_with_the_table(box, State.OPERATIONAL, record)
