"""`cinnabar log check` and `repair`, which root runs, where a process of the log's user has planted other things."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from appliance.box.home import Home
from appliance.files import remove_file
from appliance.log.check import LogReport, check_log
from appliance.log.check_openings import check_openings
from appliance.log.exports import export_file
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from appliance.log.repair import LogRepair
from appliance.log.sources import open_records
from firmware_tests.log.made import ORIGIN, MadeLog, make_log
from firmware_tests.log.planted import OTHER, SECRET, plant, swapping, within

SIZE = 700
PLACES = [
    CHECKPOINT_FILE,
    SIGNED_ROOT_FILE,
    "tile/0/000",
    "tile/0/002.p/188",
    "tile/1/000.p/2",
    "tile/entries/001",
    "tile/entries/002.p/188",
]


@pytest.fixture
def made(tmp_path: Path) -> MadeLog:
    return make_log(tmp_path, SIZE)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def checked(made: MadeLog) -> LogReport:
    with within(20):
        return check_log(ORIGIN, ORIGIN, made.directory, made.exports, made.keys, made)


def repaired(made: MadeLog) -> list[str]:
    mending = LogRepair(ORIGIN, ORIGIN, made.directory, made.exports, made.keys, made)
    with within(20):
        mending.run()
    return mending.done


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
@pytest.mark.parametrize("place", PLACES)
def test_is_named_and_repaired(made: MadeLog, secret: Path, place: str, what: str) -> None:
    plant(made.directory / place, what, secret)
    report = checked(made)
    assert str(made.directory / place) in {finding.file for finding in report.findings} or place == CHECKPOINT_FILE
    assert not report.sound
    repaired(made)
    if place == SIGNED_ROOT_FILE:
        assert not os.path.lexists(made.directory / place)  # the follower signs it again
    else:
        assert checked(made).sound
    assert secret.read_bytes() == SECRET


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
def test_an_export_is_named_and_left(made: MadeLog, secret: Path, what: str) -> None:
    path = export_file(made.exports, ORIGIN)
    plant(path, what, secret)
    assert [finding.file for finding in checked(made).findings] == [str(path)]
    assert os.path.lexists(path)


@pytest.mark.parametrize("place", ["tile", "tile/0", "tile/entries"])
def test_a_link_in_the_place_of_a_directory_leads_nowhere(made: MadeLog, tmp_path: Path, place: str) -> None:
    """Of another user's: what lies there is sound, and root does not look at it, nor writes or removes anything."""
    there = made.directory / place
    elsewhere = tmp_path / "elsewhere"
    shutil.move(there, elsewhere)
    there.symlink_to(elsewhere)
    os.lchown(there, OTHER, OTHER)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    report = checked(made)
    assert not report.sound
    assert str(there) in {finding.file for finding in report.findings}
    with pytest.raises(PermissionError, match="a link of another user"):
        repaired(made)
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before


def test_nothing_is_removed_through_a_link(made: MadeLog, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / SIGNED_ROOT_FILE).write_bytes(SECRET)
    there = made.directory.with_name("theirs")
    there.symlink_to(elsewhere)
    os.lchown(there, OTHER, OTHER)
    with pytest.raises(PermissionError, match="a link of another user"):
        remove_file(there / SIGNED_ROOT_FILE)
    assert (elsewhere / SIGNED_ROOT_FILE).read_bytes() == SECRET


@pytest.mark.parametrize("place", [CHECKPOINT_FILE, "tile/0/000", "tile/entries/002.p/188"])
def test_a_process_that_swaps_files_meanwhile_holds_nothing_up(
    made: MadeLog, secret: Path, tmp_path: Path, place: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with swapping(made.directory / place, secret, scratch):
        for _ in range(40):
            checked(made)
    assert checked(made).sound


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
def test_openings(tmp_path: Path, secret: Path, what: str) -> None:
    path = tmp_path / "log" / "openings" / "alfa" / "000000000000.jsonl"
    plant(path, what, secret)

    def recorded(_index: int) -> bytes | None:
        return None

    with within(20):
        found = check_openings(tmp_path / "log", 0, {}, recorded)
    assert str(path) in {finding.file for finding in found}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("what", ["pipe", "link"])
def test_records(tmp_path: Path, secret: Path, what: str, suffix: str) -> None:
    """The database of a stopped box is opened by commands as well."""
    database = tmp_path / "records" / "records.sqlite"
    database.parent.mkdir()
    if suffix:
        sqlite3.connect(database).close()
    plant(database.with_name(database.name + suffix), what, secret)
    with within(20), pytest.raises(sqlite3.DatabaseError, match="no plain file"), open_records(Home(tmp_path)):
        pass
