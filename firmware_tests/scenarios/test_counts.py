"""Control RECORD in figures: C_Sign calls equal rows and typed drops, and after kill -9 differ by those in flight."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from appliance.client.retries import new_idempotency_key
from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.load import Load, all_recorded
from firmware_tests.scenarios.runs import balanced_after_clean_stop, difference, recorder_alone

DIGEST = "c0" * 32
CALLERS = 4
CHECKPOINTS = 1
"""Calls that the log's process makes at a time."""


def test_after_a_clean_stop_every_call_is_a_row_or_a_typed_drop(make_box: Callable[..., RunningBox]) -> None:
    """Of every kind of work, with replays and refusals among it, and of provisioning itself."""
    box = make_box("demo", "other")
    box.start("--tsa", "127.0.0.1:0")
    key = {"Idempotency-Key": new_idempotency_key()}
    with box.http() as client:
        for _ in range(3):
            assert client.post("/v1/stamps", json={"digest": DIGEST}, headers=key).status_code == 200
        assert client.post("/v1/stamps", json={"digest": "c1" * 32}, headers=key).status_code == 409
        for body in ({"digest": DIGEST}, {"digest": DIGEST, "level": "B-T"}):
            assert client.post("/v1/seals", json=body).status_code == 200
        assert client.post("/v1/stamps/bulk", json={"digests": [DIGEST] * 50}).status_code == 200
        job = client.post("/v1/seals/bulk", json={"digests": [DIGEST] * 500}).json()["job"]
        wait_until(lambda: client.get(f"/v1/jobs/{job}?count=0").json()["state"] == "done", 20, "the job's end")
    suspended = cinnabar("register", "suspend", "--home", str(box.home.root), "--tenant", "other")
    assert suspended.returncode == 0
    runs = balanced_after_clean_stop(box)
    assert sum(run["drops"].get("replayed", 0) for run in runs) >= 2
    assert sum(run["rows"] for run in runs) > 3 + 500


def test_after_kill_9_the_difference_is_shown_and_is_at_most_what_was_in_flight(
    make_box: Callable[..., RunningBox],
) -> None:
    box = make_box()
    box.start()
    with Load(box, CALLERS) as load:
        wait_until(lambda: len(load.answered) > 100)
        box.kill()
    box.start()
    all_recorded(box, load.answered)
    assert box.stop() == 0, box.said()
    with recorder_alone(box) as admin:
        runs = admin.query("runs", None, 1000)
    killed = [run for run in runs if run["state"] != "clean"]
    assert {run["state"] for run in killed} == {"lost"}
    assert sum(run["signed"] for run in killed) >= len(load.answered)
    assert all(difference(run) >= 0 for run in runs)
    assert sum(difference(run) for run in killed) <= CALLERS + CHECKPOINTS
    assert not any(difference(run) for run in runs if run["state"] == "clean")


def test_a_recorder_that_stays_away_leaves_no_signature_uncounted(make_box: Callable[..., RunningBox]) -> None:
    """Killed under load and kept away for longer than workers wait: outcomes become unknown, and are learnt later."""
    box = make_box()
    box.start()
    directory = box.home.recorder_socket.parent
    mode = directory.stat().st_mode & 0o7777
    with Load(box, CALLERS) as load, box.http() as client:
        wait_until(lambda: len(load.answered) > 100)
        client.post("/v1/seals/bulk", json={"digests": [DIGEST] * 2_000}, headers={"Prefer": "respond-async"})
        for patient in (True, False):
            answered = len(load.answered)
            if not patient:
                directory.chmod(0)  # whatever comes up cannot be reached
            wait_until(lambda: "recorder" in box.processes(), 30, "a recorder")
            os.kill(box.processes()["recorder"], signal.SIGKILL)
            if not patient:
                wait_until(lambda: "outcome-unknown" in load.codes, 30, "an unknown outcome")
                directory.chmod(mode)
            wait_until(lambda: len(load.answered) > answered + 50, 30, "service")  # noqa: B023
    all_recorded(box, load.answered)
    runs = balanced_after_clean_stop(box)
    assert not any("outcome-unknown" in run["drops"] for run in runs)
