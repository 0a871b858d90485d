"""Control RECORD in figures: every call of C_Sign is a row or a typed drop."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from appliance.box import process
from appliance.box.settings import read_settings
from appliance.recorder.admin import AdminClient
from firmware_tests.running import RunningBox, wait_until


@contextmanager
def recorder_alone(box: RunningBox) -> Iterator[AdminClient]:
    """The recorder of a stopped box, run for a moment to be asked."""
    command = (*process.interpreter(), "-m", "appliance.recorder", "--home", str(box.home.root))
    settings = read_settings(box.home.settings)
    environment = process.environment(box.home, settings)
    user = box.home.records.stat().st_uid  # root's, where nobody has run it yet
    box.home.admin_socket.unlink(missing_ok=True)
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, cwd="/", user=user, group=user
    ) as recorder:
        try:
            wait_until(box.home.admin_socket.exists, 20, "the recorder alone")
            with AdminClient(box.home.admin_socket) as admin:
                yield admin
        finally:
            recorder.terminate()
            recorder.wait(20)


def difference(run: dict[str, Any]) -> int:
    """Calls of C_Sign that are neither rows nor typed drops."""
    return int(run["signed"]) - int(run["rows"]) - sum(run["drops"].values())


def balanced_after_clean_stop(box: RunningBox) -> list[dict[str, Any]]:
    """Stop the box; every run of every process that signed has ended cleanly, and balances. Returns the runs."""
    assert box.stop() == 0, box.said()
    with recorder_alone(box) as admin:
        runs: list[dict[str, Any]] = admin.query("runs", None, 1000)
        totals = admin.query("totals")
    assert {run["state"] for run in runs} == {"clean"}, runs
    assert not any(difference(run) for run in runs), runs
    assert totals["signatures"] == totals["rows"] + totals["drops"]
    return runs
