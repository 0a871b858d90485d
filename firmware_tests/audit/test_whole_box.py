"""A whole box, by the commands that a person types: search, export, verify; forced audit; what was deleted is told."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.audit.client import AuditClient
from appliance.box.settings import AuditSettings, read_settings, write_settings
from firmware_tests.audit.receiver import NAME, Receiver
from firmware_tests.running import RunningBox, cinnabar, wait_until


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.mode = "read"
    made.stop()


@pytest.fixture
def own(open_directory: Path) -> Iterator[RunningBox]:
    """A provisioned box, not started."""
    made = RunningBox(open_directory / f"audited-{time.monotonic_ns()}", "demo", "other")
    made.provision()
    yield made
    if made.running:
        made.stop()


def stamp(box: RunningBox, times: int = 1) -> list[int]:
    """Statuses of that many stamps asked for."""
    with box.http() as client:
        return [client.post("/v1/stamps", json={"digest": os.urandom(32).hex()}).status_code for _ in range(times)]


def audit(box: RunningBox, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cinnabar("audit", command, "--home", str(box.home.root), *arguments)


def test_from_the_log_to_a_verified_export(own: RunningBox, tmp_path: Path) -> None:
    own.start()
    wait_until(own.home.audit_socket.exists, what="the audit socket")
    assert stamp(own, 20) == [200] * 20
    wrong = audit(own, "list", "--log", "demp")
    assert wrong.returncode == 2
    assert re.search("there is no such log; there are: .*@box.*", wrong.stderr)
    assert "demo" in wrong.stderr
    listed = audit(own, "list", "--log", "demo", "--kind", "stamp", "--limit", "5")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count("cinnabar-record/1") == 5
    index = listed.stdout.split()[0]
    wait_until(
        lambda: "c2sp.org/tlog-proof" in audit(own, "show", "--log", "demo", index).stdout, what="the proof is shown"
    )
    assert "stamp" in audit(own, "counts", "--log", "demo").stdout
    trust = ("--trust", str(own.home.trust), "--state", str(tmp_path / "state"))
    for form in ("asice", "csv", "jsonl"):
        out = tmp_path / f"export.{form}"
        made = audit(own, "export", "--log", "demo", "--kind", "stamp", "--format", form, "--out", str(out))
        assert made.returncode == 0, made.stderr + own.said()
        assert "20 shown" in made.stdout
        files = [str(path) for path in sorted(tmp_path.glob(f"export.{form}*"))]
        assert len(files) == (2 if form == "csv" else 1)
        checked = cinnabar("verify", *files, *trust)
        assert checked.returncode == 0, checked.stdout
        assert "20 shown" in checked.stdout
        again = audit(own, "export", "--log", "demo", "--out", str(out))
        assert again.returncode == 2, "a file is not written over"
    assert audit(own, "list", "--log", "nobody").returncode == 2

    # What the box keeps of them can be deleted, but not without being seen.
    shown = audit(own, "exports", "--log", "demo")
    assert shown.returncode == 0
    assert shown.stdout.count(" here ") == 3, shown.stdout
    kept = sorted(own.home.audit_exports.iterdir())
    next(path for path in kept if path.suffix == ".asice").unlink()
    table = next(path for path in kept if path.suffix == ".csv")
    table.write_bytes(table.read_bytes().replace(b"stamp", b"stomp", 1))
    shown = audit(own, "exports", "--log", "demo")
    assert shown.returncode == 1
    assert sorted(word for word in ("not here", "changed") if word in shown.stdout) == ["changed", "not here"]

    # Nobody but the audit process and its callers comes near.
    assert stat.S_IMODE(own.home.audit_socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(own.home.audit_socket.parent.stat().st_mode) & 0o007 == 0
    front = read_settings(own.home.settings).users.front
    if os.geteuid() == 0 and front is not None:
        tried = subprocess.run(
            (sys.executable, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])",
             str(own.home.audit_socket)),
            user=front, group=front, extra_groups=[], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "PermissionError" in tried.stderr


def test_a_deleted_database_is_told(own: RunningBox) -> None:
    own.start()
    assert stamp(own, 5) == [200] * 5
    wait_until(
        lambda: cinnabar("log", "check", "--home", str(own.home.root)).returncode == 0, what="the logs are sound"
    )
    own.stop()
    assert cinnabar("log", "check", "--home", str(own.home.root)).returncode == 0
    for path in own.home.records.glob("records.sqlite*"):
        path.unlink()
    stopped = cinnabar("log", "check", "--home", str(own.home.root))
    assert stopped.returncode != 0, stopped.stdout
    tile = next(own.home.logs.glob("*/tile/0/*"))
    shutil.rmtree(tile) if tile.is_dir() else tile.unlink()
    assert cinnabar("log", "check", "--home", str(own.home.root)).returncode == 1


def test_forced_audit_refuses_work_until_the_receiver_is_back(own: RunningBox, receiver: Receiver) -> None:
    ca = own.home.root / "trust" / "syslog-ca.pem"
    ca.write_bytes(receiver.certificate.read_bytes())
    ca.chmod(0o644)
    settings = read_settings(own.home.settings)
    forced = AuditSettings(
        syslog=f"127.0.0.1:{receiver.port}", syslog_ca="trust/syslog-ca.pem", syslog_name=NAME, forced=True, backlog=8,
        records=True,
    )  # fmt: skip
    write_settings(own.home.settings, msgspec.structs.replace(settings, audit=forced))
    own.start()
    with AuditClient(own.home.audit_socket) as client:
        wait_until(lambda: client.status()["forwarding"]["backlog"] == 0, what="the first entries are forwarded")

        def works() -> bool:
            return stamp(own) == [200]

        wait_until(works, what="the box works")
        receiver.stop()

        def refused() -> bool:
            return stamp(own) == [503]

        wait_until(refused, 30, "work is refused")
        with own.http() as http:
            problem = http.post("/v1/stamps", json={"digest": "00" * 32}).json()
        assert problem["type"].endswith(":state-forbids")
        said = cinnabar("health", "--home", str(own.home.root))
        assert "audit-not-kept" in said.stdout + own.said()
        assert client.entries("demo", limit=5).entries, "reads go on"
        receiver.start()
        wait_until(works, 60, "the box works again")
        wait_until(lambda: client.status()["forwarding"]["backlog"] == 0, 40, "the gap is closed")
    got = receiver.indexes("demo")
    assert sorted(set(got)) == list(range(max(got) + 1)), "no gap"
