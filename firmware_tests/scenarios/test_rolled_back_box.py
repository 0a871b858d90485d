"""Control FORK when somebody plays with the disk: without the comparison with what left the box, nothing is signed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.states import Cause, State, StatePage
from firmware_tests.running import RunningBox, cinnabar, wait_until

STAMP = {"digest": "00" * 32}


@pytest.fixture
def box(open_directory: Path, request: pytest.FixtureRequest) -> Iterator[RunningBox]:
    running = RunningBox(open_directory / f"rolled-back-{request.node.name[:24]}")
    running.provision()
    running.start()
    with running.http() as client:
        record = client.post("/v1/stamps", json=STAMP).json()["record"]
        wait_until(lambda: client.get(f"/v1/records/{record}").json()["proof"] is not None, 10, "a signed head")
    assert running.stop() == 0
    yield running
    if running.running:
        running.stop()


def test_a_box_whose_exports_are_gone_stays_locked(box: RunningBox, tmp_path: Path) -> None:
    exports = box.home.exports / "checkpoints"
    shutil.copytree(exports, tmp_path / "kept")
    for path in exports.iterdir():
        path.unlink()
    box.start()
    page = StatePage.open(box.home.state_page)
    assert page.state() is State.LOCKED
    assert Cause.HISTORY_UNPROVEN.label in page.report().causes
    with box.http() as client:
        refused = client.post("/v1/stamps", json=STAMP)
        assert refused.status_code == 503, refused.text
    resumed = cinnabar(
        "log", "resume", "--home", str(box.home.root),
        *(option for path in (tmp_path / "kept").iterdir() for option in ("--checkpoint", str(path))),
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    wait_until(lambda: page.state() is State.OPERATIONAL, 20, "the box to open")
    with box.http() as client:
        assert client.post("/v1/stamps", json=STAMP).status_code == 200


def test_an_export_that_was_tampered_with_locks_the_box(box: RunningBox) -> None:
    for path in (box.home.exports / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\n1", 1))
    box.start()
    assert StatePage.open(box.home.state_page).state() is State.LOCKED


def test_nothing_is_signed_before_the_logs_are_compared(box: RunningBox) -> None:
    """The follower is stopped as soon as it is seen: the box comes up, but locked, until it may go on."""
    stopped: list[int] = []

    def stop_follower() -> None:
        wanted = [b"appliance.log", b"--home", str(box.home.root).encode()]

        def seen() -> bool:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes().split(b"\0")
                    if all(word in words for word in wanted):
                        os.kill(int(path.parent.name), signal.SIGSTOP)
                        stopped.append(int(path.parent.name))
                        return True
            return False

        wait_until(seen, 20, "the follower")

    thread = threading.Thread(target=stop_follower)
    thread.start()
    box.start()
    thread.join()
    page = StatePage.open(box.home.state_page)
    assert page.state() is State.LOCKED
    with box.http() as client:
        assert client.post("/v1/stamps", json=STAMP).status_code == 503
    os.kill(stopped[0], signal.SIGCONT)
    wait_until(lambda: page.state() is State.OPERATIONAL, 20, "the comparison")
