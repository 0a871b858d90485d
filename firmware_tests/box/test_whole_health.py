"""`cinnabar health` on the box itself: root sees the whole of it, an application its tenant, others nothing."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from firmware_tests.running import CLI, RunningBox, cinnabar

NOBODY = 65534


def health(box: RunningBox, *options: str) -> dict[str, Any]:
    done = cinnabar("health", "--json", "--home", str(box.home.root), *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tenants(found: dict[str, Any]) -> set[str]:
    return {key["name"].partition("-")[0] for key in found["keys"]}


def test_whoever_may_ask_the_box_itself_sees_every_tenant(box: RunningBox) -> None:
    found = health(box)
    assert tenants(found) == {"demo", "other"}
    assert "quotas" in found
    shown = cinnabar("health", "--home", str(box.home.root))
    assert shown.stdout.startswith("ready: the box is ")
    assert "  demo-seal: usable" in shown.stdout
    assert "  other-seal: usable" in shown.stdout


def test_an_application_sees_its_own_tenant(box: RunningBox) -> None:
    found = health(box, "--as", "other-app")
    assert tenants(found) == {"other"}
    assert "quotas" not in found


def test_another_user_of_the_machine_is_no_root(box: RunningBox) -> None:
    assert os.geteuid() == 0, "this test asks as another user and must run as root"
    command = (*CLI, "health", "--home", str(box.home.root))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, user=NOBODY, group=NOBODY)
    assert done.returncode == 1
    assert "say which application asks, with --as" in done.stderr
    assert not done.stdout
