"""A backup taken under load, restored elsewhere: locked (control FORK) until the last checkpoints prove its history."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from appliance.box.settings import read_settings
from appliance.log.exports import export_directory, export_file
from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.load import Load, all_recorded

STAMP = {"digest": "0f" * 32}


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.touch(0o600)
    file.write_text("correct horse battery staple\n")
    return file


def exported(box: RunningBox, to: Path) -> list[str]:
    """What an operator keeps elsewhere: the last exported checkpoint of every log, as options of `log resume`."""
    to.mkdir()
    settings = read_settings(box.home.settings)
    options = []
    for log in settings.logs:
        file = export_file(export_directory(box.home.root, settings.checkpoint_exports), log.origin)
        options += ["--checkpoint", shutil.copy(file, to)]
    return options


def signing(client: httpx.Client) -> list[httpx.Response]:
    return [
        client.post("/v1/stamps", json=STAMP),
        client.post("/v1/seals", json=STAMP),
        client.post("/v1/stamps/bulk", json={"digests": [STAMP["digest"]]}),
    ]


def is_locked(box: RunningBox, record: str) -> None:
    with box.http() as client:
        health = client.get("/health").json()
        assert (health["state"], health["ready"]) == ("locked", False)
        for refused in signing(client):
            assert refused.status_code == 503
            assert refused.json()["type"] == "urn:cinnabar:problem:state-forbids"
        assert client.get(f"/v1/records/{record}").status_code == 200


def test_a_restored_box_signs_only_when_its_history_is_proven(
    make_box: Callable[..., RunningBox], open_directory: Path, passphrase: Path, tmp_path: Path
) -> None:
    first = make_box()
    first.start()
    secret = ("--passphrase-file", str(passphrase))
    backup = tmp_path / "box.backup"
    with Load(first) as load:
        wait_until(lambda: len(load.answered) > 50)
        before = dict(load.answered)
        made = cinnabar("backup", "--home", str(first.home.root), "--to", str(backup), *secret)
        assert made.returncode == 0, made.stderr
        known = len(load.answered)
        wait_until(lambda: len(load.answered) > known + 50)
    assert not load.problems
    assert load.broken == 0
    with first.http() as client:
        last = max(load.answered)
        wait_until(lambda: client.get(f"/v1/records/{last}").json()["proof"] is not None, 10, "the last proof")
    assert first.stop() == 0, first.said()
    newest = exported(first, tmp_path / "newest")

    second = RunningBox(open_directory / "restored")
    restored = cinnabar("restore", "--from", str(backup), "--home", str(second.home.root), *secret)
    assert restored.returncode == 0, restored.stderr
    second.start()
    try:
        assert "history-unproven" in second.said()
        some = next(iter(before))
        is_locked(second, some)
        all_recorded(second, before)
        # What was signed after the backup is lost here and known elsewhere: no checkpoint of then can open this box.
        resumed = cinnabar("log", "resume", "--home", str(second.home.root), *newest)
        assert resumed.returncode == 1, resumed.stdout
        assert "stays locked" in resumed.stderr
        assert "FORK" in resumed.stderr
        is_locked(second, some)
    finally:
        assert second.stop() == 0, second.said()


def test_a_box_moved_to_another_home_goes_on_after_its_last_checkpoints_are_shown(
    make_box: Callable[..., RunningBox], open_directory: Path, passphrase: Path, tmp_path: Path
) -> None:
    first = make_box()
    first.start()
    with first.http() as client:
        early = client.post("/v1/stamps", json=STAMP).json()["record"]
        wait_until(lambda: client.get(f"/v1/records/{early}").json()["proof"] is not None, 10, "a proof")
        outdated = exported(first, tmp_path / "outdated")
        late = client.post("/v1/stamps", json=STAMP).json()["record"]
        wait_until(lambda: client.get(f"/v1/records/{late}").json()["proof"] is not None, 10, "a later proof")
    assert first.stop() == 0, first.said()
    last = exported(first, tmp_path / "last")
    secret = ("--passphrase-file", str(passphrase))
    backup = tmp_path / "box.backup"
    assert cinnabar("backup", "--home", str(first.home.root), "--to", str(backup), *secret).returncode == 0
    second = RunningBox(open_directory / "moved")
    assert cinnabar("restore", "--from", str(backup), "--home", str(second.home.root), *secret).returncode == 0
    second.start()
    try:
        is_locked(second, late)
        one_log_only = cinnabar("log", "resume", "--home", str(second.home.root), *last[:2])
        assert one_log_only.returncode == 1
        is_locked(second, late)
        opened = cinnabar("log", "resume", "--home", str(second.home.root), *last)
        assert opened.returncode == 0, opened.stderr
        with second.http() as client:
            wait_until(lambda: client.get("/health").json()["state"] == "operational", 10, "the open box")
            assert [answer.status_code for answer in signing(client)] == [200, 200, 200]
            record = client.post("/v1/stamps", json=STAMP).json()["record"]
            wait_until(lambda: client.get(f"/v1/records/{record}").json()["proof"] is not None, 15, "its proof")
        # Outdated checkpoints lie on the history too; what stands exported is not pushed back by them (docs/backup.md).
        assert cinnabar("log", "resume", "--home", str(second.home.root), *outdated).returncode == 0
        checked = cinnabar("log", "check", "--home", str(second.home.root))
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        assert second.stop() == 0, second.said()
