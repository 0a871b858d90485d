"""After a power cut the box comes back where it was, and nothing of its last life is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx

from firmware_tests.running import RunningBox, wait_until

STAMP = {"digest": "cc" * 32}


def listeners(box: RunningBox) -> set[int]:
    """Processes that hold a socket of the front, nginx's own workers among them."""
    own = str(box.home.front)
    fronts = {box.processes()["front"]}
    found = set()
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            told = (path / "cmdline").read_text()
        except OSError:
            continue
        if parent in fronts or own in told:
            found.add(int(path.name))
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and not _dead(pid)}


def _dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_the_box_comes_back_on_the_same_address(make_box: Callable[..., RunningBox]) -> None:
    box = make_box()
    box.start()
    address, old = box.address(), listeners(box)
    assert len(old) >= 3
    box.kill()
    box.start("--api", address)
    assert box.address() == address
    assert not alive(old), "nginx outlived the box and holds its listeners"
    with box.http() as client:
        assert client.post("/v1/stamps", json=STAMP).status_code == 200


def test_a_killed_front_leaves_no_workers_of_its_own(make_box: Callable[..., RunningBox]) -> None:
    box = make_box()
    box.start()
    old = listeners(box)
    os.kill(box.processes()["front"], signal.SIGKILL)
    wait_until(lambda: not alive(old), 10, "the end of the front's workers")
    with box.http() as client:
        wait_until(lambda: _answers(client), 10, "the new front")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.post("/v1/stamps", json=STAMP).status_code == 200
    except httpx.HTTPError:
        return False
