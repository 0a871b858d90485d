"""Exports that meet what boxes meet: archives, damage, a lack of room, cancellation, and the end of the process."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import msgspec
import pytest
import uvloop

from appliance.api.bodies import Body
from appliance.audit.filters import Filter
from appliance.audit.shelf import keep_newest
from appliance.box.settings import LimitSettings
from appliance.errors import CinnabarError
from appliance.record import commitment
from firmware_tests.audit.auditing import AuditBox, passed, verified, world
from firmware_tests.log.box import origin_of, wait_for


def test_records_in_the_archive_are_exported(own: AuditBox) -> None:
    assert own.audit is not None
    own.stop(own.audit)
    own.start_archiving()
    for number in range(12):
        own.some(("alfa", "bravo")[number % 2], 40)
    own.wait_for_archive(3)
    own.start_audit()  # an index of what is in the archive is made out of the archive
    with own.client() as client:
        for form in ("jsonl", "csv"):
            files = own.export(client, "alfa", form)
            assert passed(verified(own.trust(world()), *files))
        view = client.exports()[0]
        assert view.shown >= 6 * 40
        with pytest.raises(CinnabarError) as caught:
            client.entry("alfa", 2)
        assert caught.value.code == "archived"


def test_a_damaged_segment_ends_nothing(own: AuditBox) -> None:
    """The index of its log waits, in the process that serves all logs, and goes on when the file is right again."""
    assert own.audit is not None
    own.stop(own.audit)
    own.start_archiving()
    own.some("alfa", 300)
    own.wait_for_archive()
    archive = own.home.records / "archive"
    kept = {path: path.read_bytes() for path in archive.iterdir()}
    for path in kept:
        path.write_bytes(b"")
    for path in own.home.audit.glob("index.sqlite*"):
        path.unlink()
    process = own.start_audit()
    wait_for(lambda: "index-behind" in own.errors("appliance.audit") or process.poll() is not None, "told")
    for path, content in kept.items():
        path.write_bytes(content)
    with own.client() as client:
        wait_for(lambda: client.status()["logs"]["alfa"] >= 300, "the index is whole")
    assert process.poll() is None


def test_an_export_of_a_damaged_record_fails_and_leaves_nothing(own: AuditBox) -> None:
    own.some("alfa", 3)
    made = own.made("alfa", 1)
    own.record("alfa", [msgspec.structs.replace(made, commitment=bytes(32))])
    own.wait_for_size(origin_of("alfa"), 6)
    with own.client() as client:
        name = client.export_start("alfa", form="asice")
        wait_for(lambda: client.export_progress(name).state != "running", "the export ends")
        view = client.export_progress(name)
        assert view.state == "failed"
        assert "record-damaged" in view.problem
        with pytest.raises(CinnabarError) as caught:
            list(client.export_file(name))
        assert caught.value.code == "export-not-made"
    assert list(own.home.audit_exports.iterdir()) == []


def test_whatever_an_export_meets_it_ends(own: AuditBox) -> None:
    """A taken-over worker left bytes that are no text. One that ran for ever would keep everybody's place."""
    made = own.made("alfa", 1)
    salt, content = os.urandom(32), b'{"a":"\xff"}'
    body = own.ciphers["alfa"].close(made.record_id, Body(salt, content, b""))
    index = own.record("alfa", [msgspec.structs.replace(made, commitment=commitment(salt, content), body=body)])
    own.wait_for_size(origin_of("alfa"), index + 1)
    with own.client() as client:
        shown = client.entries("alfa").entries
        assert any("\\xff" in (one.content or "") for one in shown)
        for _ in range(3):
            name = client.export_start("alfa", form="csv")
            wait_for(lambda name=name: client.export_progress(name).state != "running", "the export ends")
            assert client.export_progress(name).state == "failed"
    assert list(own.home.audit_exports.iterdir()) == []


def test_an_export_can_be_cancelled_and_only_so_many_run(own: AuditBox) -> None:
    uvloop.run(own.fill("alfa", 40_000))
    own.wait_for_size(origin_of("alfa"), 40_000)
    with own.client() as client:
        names = [client.export_start("alfa", form="jsonl") for _ in range(2)]
        with pytest.raises(CinnabarError) as caught:
            client.export_start("alfa", form="jsonl")
        assert caught.value.code == "too-many-exports"
        # Another log's exports neither wait for these nor tell of them.
        other = client.export_start("bravo", form="jsonl")
        wait_for(lambda: client.export_progress(other).state == "made", "the other log's export")
        for name in names:
            client.export_cancel(name)
            wait_for(lambda name=name: client.export_progress(name).state == "cancelled", "it is cancelled")
        kept = {path.name.partition(".")[0] for path in own.home.audit_exports.iterdir()}
        assert kept == {other}


def test_only_the_newest_files_of_a_log_stay(tmp_path: Path) -> None:
    for log in ("alfa", "alfa-2"):
        for second in range(5):
            for suffix in (".csv", ".csv.proof.jsonl"):
                (tmp_path / f"20261122T00000{second}Z-{log}-0000000{second}{suffix}").touch()
    (tmp_path / "README.txt").touch()
    keep_newest(tmp_path, "alfa", 2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in left if "-alfa-0" in name] == [
        f"20261122T00000{second}Z-alfa-0000000{second}{suffix}"
        for second in (3, 4)
        for suffix in (".csv", ".csv.proof.jsonl")
    ]
    assert len(left) == 4 + 10 + 1


def test_no_export_takes_the_room_of_records(own: AuditBox) -> None:
    free = shutil.disk_usage(own.home.root).free
    assert own.audit is not None
    own.stop(own.audit)
    own.settings = msgspec.structs.replace(own.settings, limits=LimitSettings(disk_warn_bytes=free * 2))
    own.write()
    own.start_audit()
    with own.client() as client, pytest.raises(CinnabarError) as caught:
        client.export_start("alfa", form="jsonl")
    assert caught.value.code == "no-room-for-export"
    assert list(own.home.audit_exports.iterdir()) == []


def test_a_killed_process_leaves_no_half_export(own: AuditBox) -> None:
    uvloop.run(own.fill("alfa", 60_000))
    own.wait_for_size(origin_of("alfa"), 60_000)
    with own.client("alice") as client:
        name = client.export_start("alfa", form="asice")
        wait_for(lambda: client.export_progress(name).done > 1_000, "it is at work")
    assert own.audit is not None
    os.kill(own.audit.pid, signal.SIGKILL)
    own.audit.wait()
    assert [path.name.startswith(".") for path in own.home.audit_exports.iterdir()] == [True]
    own.start_audit()
    assert list(own.home.audit_exports.iterdir()) == []
    with own.client("alice") as client:
        with pytest.raises(CinnabarError) as caught:
            client.export_progress(name)
        assert caught.value.code == "export-unknown"
        begun = client.entries("alfa", Filter(kinds=["administration"], text="export-begun"), limit=10).entries
        assert any(name in (entry.content or "") for entry in begun), "that it was begun is on record all the same"
        files = own.export(client, "alfa", "asice")
        got = b"".join(client.export_file(client.exports()[0].export))
        assert got == files[0].read_bytes()
    assert passed(verified(own.trust(world()), *files))


def test_an_export_that_is_taken_away_is_told(own: AuditBox) -> None:
    own.some("alfa", 3)
    with own.client() as client:
        own.export(client, "alfa", "jsonl")[0].unlink()
        with pytest.raises(CinnabarError) as caught:
            list(client.export_file(client.exports()[0].export))
        assert caught.value.code == "export-not-made"
