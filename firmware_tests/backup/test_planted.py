"""A backup that root makes of a home in which processes of the box's own users plant and exchange files."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.anchorer.outbox import FILE as OUTBOX
from appliance.backup import stream
from appliance.backup.archive import write_backup
from appliance.backup.cli import backup
from appliance.backup.errors import BackupFailed
from appliance.backup.stream import DecryptingReader
from appliance.box.home import Home
from appliance.box.settings import write_settings
from appliance.store import schema
from firmware_tests.log.planted import OTHER, SECRET, plant, swapping, within
from firmware_tests.recorder.running import settings

PASSPHRASE = b"correct horse battery staple"
PLACES = ["documents/ab/abcd", "logs/0a/checkpoint", "logs/0a/tile/0/000", "cosigned/0a/heads/1", "anchors/note"]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_SCRYPT_N", 1 << 4)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    for place in PLACES:
        path = made.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"plain")
    write_settings(made.settings, settings())
    made.records.mkdir()
    schema.open_writer(made.records).close()
    for directory in (made.documents, made.logs, made.cosigned, made.anchors, made.records):
        for below in (directory, *directory.rglob("*")):
            os.chown(below, OTHER, OTHER)
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def content(home: Home) -> bytes:
    """All that a backup of it holds."""
    held = io.BytesIO()
    with within(20):
        write_backup(home, held, PASSPHRASE)
    held.seek(0)
    return DecryptingReader(held, PASSPHRASE).read()


def test_what_other_users_keep_is_in_it(home: Home) -> None:
    assert content(home).count(b"plain") == len(PLACES)
    assert not [path for path in home.records.iterdir() if path.name.startswith(".backup-")]


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
@pytest.mark.parametrize(
    "place", [*PLACES, f"anchors/{OUTBOX}", "records/records.sqlite", "records/records.sqlite-wal"]
)
def test_what_is_no_plain_file_is_refused(home: Home, secret: Path, place: str, what: str) -> None:
    plant(home.root / place, what, secret)
    with pytest.raises(BackupFailed, match=r"neither a file nor a directory|no plain file"):
        content(home)


@pytest.mark.parametrize("place", ["logs/0a", "documents/ab", "logs/0a/tile"])
def test_a_link_in_the_place_of_a_directory_leads_nowhere(home: Home, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "checkpoint").write_bytes(SECRET)
    (home.root / place).rename(tmp_path / "aside")
    (home.root / place).symlink_to(elsewhere)
    held = b""
    with contextlib.suppress(BackupFailed):
        held = content(home)
    assert SECRET not in held


@pytest.mark.parametrize("place", ["documents/ab/abcd", "logs/0a/checkpoint"])
def test_a_process_that_swaps_files_meanwhile_gets_nothing_out(
    home: Home, secret: Path, tmp_path: Path, place: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with swapping(home.root / place, secret, scratch):
        for _ in range(150):
            with contextlib.suppress(BackupFailed):
                assert SECRET not in content(home)
    assert b"plain" in content(home)


def test_holes_have_an_end(home: Home) -> None:
    path = home.documents / "ab" / "abcd"
    disk = os.statvfs(path)
    os.truncate(path, disk.f_blocks * disk.f_frsize * 5)
    with pytest.raises(BackupFailed, match="longer than its disk"):
        content(home)


def test_directories_within_each_other_have_an_end(home: Home) -> None:
    deep = home.documents
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    with pytest.raises(BackupFailed, match="deeper"):
        content(home)


def test_a_segment_elsewhere_is_no_segment(home: Home, secret: Path) -> None:
    """The recorder says where its segments are; root reads those in the archive alone."""
    file = os.path.relpath(secret, home.root)
    with contextlib.closing(sqlite3.connect(home.records / "records.sqlite")) as database, database:
        database.execute("DELETE FROM segments")
        database.execute(
            "INSERT INTO segments (number, state, opened, first_sequence, file) VALUES (1, 'exported', 1, 1, ?)",
            (file,),
        )
    with pytest.raises(BackupFailed, match="no file of the archive"):
        content(home)


def test_a_link_beside_the_target_is_not_written_through(home: Home, secret: Path, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_bytes(PASSPHRASE + b"\n")
    target = tmp_path / "target"
    target.with_name("target.partial").symlink_to(secret)
    command = ["--home", str(home.root), "--to", str(target), "--passphrase-file", str(passphrase)]
    assert CliRunner().invoke(backup, command).exit_code == 0
    assert secret.read_bytes() == SECRET
    assert not target.is_symlink()
