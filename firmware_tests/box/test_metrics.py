"""What the box's own people see: metrics of the whole box, and every weakness in its health."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.api.schemas import Health
from appliance.box.open_files import WANTED_FILES
from firmware_tests.running import RunningBox, cinnabar, wait_until

DIGEST = "ab" * 32


def _samples(box: RunningBox) -> dict[tuple[str, str], float]:
    """Value by name and the label that is not the worker's."""
    text = httpx.get(f"http://{box.address('metrics')}/workers/0/metrics").text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["worker"] == "0", f"{sample.name}: two workers would tell the same series"
            others = [value for name, value in sample.labels.items() if name != "worker"]
            found[sample.name, others[0] if others else ""] = sample.value
    return found


def test_the_box_as_a_whole_is_in_the_metrics(box: RunningBox) -> None:
    with box.http() as client:
        assert client.post("/v1/stamps", json={"digest": DIGEST}).status_code == 200
    wait_until(lambda: ("cinnabar_keymaster_success_age_seconds", "") in _samples(box), 20, "the keymaster's word")
    wait_until(lambda: _samples(box)["cinnabar_leaves_unsigned", ""] == 0, 20, "signed heads")
    seen = _samples(box)
    assert seen["cinnabar_disk_free_bytes", ""] > seen["cinnabar_disk_watermark_bytes", "warn"]
    assert seen["cinnabar_disk_watermark_bytes", "warn"] > seen["cinnabar_disk_watermark_bytes", "refuse"] > 0
    assert seen["cinnabar_runs", "unbalanced"] == 0
    assert seen["cinnabar_runs", "open"] >= 1
    assert seen["cinnabar_recorder_waiting", ""] >= 0
    assert seen["cinnabar_recorder_clients", ""] >= 4
    assert seen["cinnabar_recorder_log_bytes", ""] >= 0
    assert seen["cinnabar_jobs_unfinished", ""] >= 0
    assert seen["cinnabar_job_items_unfinished", ""] >= 0
    assert seen["cinnabar_keymaster_failures_total", ""] == 0
    assert seen["cinnabar_keymaster_success_age_seconds", ""] < 10
    assert seen["cinnabar_tenants_unexplained", ""] == 0
    for authority in ("box-ca", "tsa-ca", "seal-ca"):
        assert 0 <= seen["cinnabar_crl_age_seconds", authority] < 3600
        assert seen["cinnabar_crl_seconds_left", authority] > 3 * 86_400
        assert seen["cinnabar_box_certificate_days_left", authority] > 3_000
    assert seen["cinnabar_box_certificate_days_left", "front"] > 390
    assert 360 <= seen["cinnabar_application_certificate_days_left", ""] <= 366
    assert 360 <= seen["cinnabar_trust_bundle_days_left", ""] <= 366
    assert seen["cinnabar_weakness", "rehearsal"] == 1


def test_checkpoints_of_logs_that_are_not_published_are_not_told_one_by_one(box: RunningBox) -> None:
    """The box's own log has a head; a tenant's log stands in the metrics only once the tenant publishes it."""
    wait_until(lambda: any(name == "cinnabar_checkpoint_age_seconds" for name, _ in _samples(box)), 20, "a head")
    origins = [origin for name, origin in _samples(box) if name == "cinnabar_checkpoint_age_seconds"]
    assert len(origins) == 1
    assert origins[0].endswith("/box")


@pytest.mark.parametrize("application", ["demo", "other"])
def test_every_weakness_is_in_the_health_of_a_known_caller(box: RunningBox, application: str) -> None:
    with box.http(application) as client:
        health = msgspec.json.decode(client.get("/health").content, type=Health)
    assert health.weaknesses
    names = {weakness.name for weakness in health.weaknesses}
    told = {"rehearsal", "clock-unverified", "users-shared", "exports-in-home", "so-pins-on-box", "pins-on-disk"}
    if open_files(box.supervisor) < WANTED_FILES:  # where the machine does not let it have more
        told.add("few-open-files")
    assert names == told
    assert not any(other in weakness.detail for weakness in health.weaknesses for other in box.tenants)


def open_files(pid: int) -> int:
    """How many a process, and each of its children, may have open."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in limits if line.startswith("Max open files")).split()[4])


def test_a_box_that_may_open_few_files_says_so(box: RunningBox) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from appliance.box.home import Home;"
        "from appliance.box.settings import read_settings; from appliance.box.users import ProcessUsers;"
        "from appliance.box.weaknesses import weaknesses;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, int(sys.argv[2]))); home = Home(Path(sys.argv[1]));"
        "print(weaknesses(home, read_settings(home.settings), ProcessUsers()).get('few-open-files'))"
    )

    def said(limit: int) -> str:
        command = (sys.executable, "-c", code, str(box.home.root), str(limit))
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert said(4096) == "the front may have 4096 files open, wants 33792, and takes 3072 connections"
    if open_files(os.getpid()) >= WANTED_FILES:
        assert said(WANTED_FILES) == "None"


def test_a_stranger_sees_no_weakness(box: RunningBox) -> None:
    with httpx.Client(base_url=f"https://{box.address('public')}", verify=box.tls()) as client:
        assert set(client.get("/health").json()) == {"live", "ready", "state"}


def test_the_command_tells_them(box: RunningBox) -> None:
    said = cinnabar("health", "--home", str(box.home.root), "--as", "demo-app")
    assert "SoftHSM's files can be read by one only (users-shared)" in said.stdout
    assert "(clock-unverified)" in said.stdout
    assert "weaker" in box.output.read_text(errors="replace"), "and so does run, at its start"
