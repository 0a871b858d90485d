"""Backup of a running box, restore, and control FORK: no restored copy ever makes a second history."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from click.testing import CliRunner, Result

from appliance.anchorer.ledger import Progress
from appliance.anchorer.outbox import FILE, Outbox
from appliance.anchors import State
from appliance.backup import DecryptingReader, EncryptingWriter, HomeNotEmpty, read_backup
from appliance.backup import stream as stream_module
from appliance.backup.archive import MANIFEST
from appliance.backup.cli import backup, restore
from appliance.backup.errors import BackupUnreadable
from appliance.box.home import Home
from appliance.log import leaf_hash, open_checkpoint, root
from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND, log
from appliance.log.exports import export_file
from appliance.log.keys import read_log_keys
from appliance.recorder.admin import AdminClient
from firmware_tests.anchorer.made import head
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, running_box, wait_for
from hsm.testing.softhsm import SoftHsm

ALFA, BRAVO = origin_of("alfa"), origin_of("bravo")
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def box(tmp_path: Path, softhsm: SoftHsm) -> Iterator[Box]:
    with running_box(tmp_path / "home", softhsm) as made:
        yield made


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.touch(0o600)
    file.write_text(PASSPHRASE + "\n")
    return file


def run_backup(box: Box, to: Path, passphrase: Path) -> Result:
    return CliRunner().invoke(
        backup, ["--home", str(box.home.root), "--to", str(to), "--passphrase-file", str(passphrase)]
    )


def run_restore(source: Path, home: Path, passphrase: Path) -> Result:
    return CliRunner().invoke(
        restore, ["--from", str(source), "--home", str(home), "--passphrase-file", str(passphrase)]
    )


def resume(box: Box, *files: Path) -> Result:
    chosen = [argument for file in files for argument in ("--checkpoint", str(file))]
    return CliRunner().invoke(log, ["resume", "--home", str(box.home.root), *chosen])


def at_home(box: Box, home: Path) -> Box:
    """The same box, restored at another home."""
    other = Box.__new__(Box)
    other.__dict__.update(box.__dict__)
    other.home = Home(home)
    other.processes = []
    return other


def keep_exports(box: Box, to: Path) -> list[Path]:
    """What an operator keeps outside: the exported checkpoints of now."""
    to.mkdir()
    return [
        Path(shutil.copy(export_file(box.home.exports / "checkpoints", origin), to / f"{number}.checkpoint"))
        for number, origin in enumerate((BOX_ORIGIN, ALFA, BRAVO))
    ]


def stop_all(box: Box) -> None:
    for process in reversed(box.processes):
        if process.poll() is None:
            box.stop(process)


def sign_some(box: Box) -> None:
    box.append("alfa", 300)
    box.append("bravo", 3)
    box.wait_for_size(ALFA, len(box.leaves("alfa")))
    box.wait_for_size(BRAVO, len(box.leaves("bravo")))
    wait_for(lambda: box.checkpoint(BOX_ORIGIN).size > 0, "a head of the box's log")


def worked_and_backed_up(box: Box, tmp_path: Path, passphrase: Path) -> list[Path]:
    """A box that has signed, stopped and written tmp_path/a.backup; its exported checkpoints, kept outside."""
    box.start_follower()
    sign_some(box)
    stop_all(box)
    kept = keep_exports(box, tmp_path / "kept")
    assert run_backup(box, tmp_path / "a.backup", passphrase).exit_code == 0
    return kept


def checkpoint_rows(box: Box) -> int:
    with AdminClient(box.home.admin_socket) as admin:
        return sum(len(admin.query("housekeeping", "checkpoint", origin, 0, 1000)) for origin in (ALFA, BRAVO))


def test_no_second_history(box: Box, tmp_path: Path, passphrase: Path) -> None:
    """Back up at T1, sign on, restore T1's copy elsewhere: it stays locked, and signs nothing whatever it is given."""
    box.start_follower()
    sign_some(box)
    first = tmp_path / "t1.backup"
    assert run_backup(box, first, passphrase).exit_code == 0
    at_t1 = keep_exports(box, tmp_path / "t1")
    sign_some(box)
    stop_all(box)
    at_t2 = keep_exports(box, tmp_path / "t2")

    restored = at_home(box, tmp_path / "restored")
    result = run_restore(first, restored.home.root, passphrase)
    assert result.exit_code == 0, result.output
    assert restored.home.history_lock.exists()
    # The last exported checkpoints are ahead of T1: what lies between is lost, and a ceremony decides.
    for given in (at_t2, at_t2[:1], [at_t2[0], at_t1[1], at_t2[2]]):
        refused = resume(restored, *given)
        assert refused.exit_code == EXIT_DAMAGED, refused.output
        assert "stays locked" in refused.output
    assert restored.home.history_lock.exists()
    try:
        restored.start_recorder()
        restored.start_follower()
        rows = checkpoint_rows(restored)
        restored.append("alfa", 10)
        wait_for(lambda: '"control": "FORK"' in restored.errors(), "the follower says that it is locked")
        time.sleep(1.0)
        assert checkpoint_rows(restored) == rows
        # Even without the lock: a head that is exported where the setting points is ahead of this database.
        stop_all(restored)
        exports = restored.home.exports / "checkpoints"
        exports.mkdir(parents=True)
        for origin, kept in zip((BOX_ORIGIN, ALFA, BRAVO), at_t2, strict=True):
            shutil.copy(kept, export_file(exports, origin))
        restored.home.history_lock.unlink()
        restored.start_recorder()
        restored.start_follower()
        wait_for(restored.home.history_lock.exists, "the follower locks the box again")
        assert checkpoint_rows(restored) == rows
    finally:
        restored.close()


def test_restored_and_resumed_on_the_same_history(box: Box, tmp_path: Path, passphrase: Path) -> None:
    kept = worked_and_backed_up(box, tmp_path, passphrase)
    shutil.rmtree(box.home.root)
    assert run_restore(tmp_path / "a.backup", box.home.root, passphrase).exit_code == 0
    assert resume(box, *kept[:2]).exit_code == EXIT_DAMAGED
    opened = resume(box, *kept)
    assert opened.exit_code == 0, opened.output
    assert not box.home.history_lock.exists()
    before = open_checkpoint(kept[1].read_bytes(), ALFA, read_log_keys(box.directory(ALFA)))
    box.start_recorder()
    box.start_follower()
    box.append("alfa", 5)
    head = box.wait_for_size(ALFA, before.size + 5)
    hashes = [leaf_hash(entry) for entry in box.leaves("alfa")]
    assert head.root == root(hashes[: head.size])
    assert before.root == root(hashes[: before.size])
    assert CliRunner().invoke(log, ["check", "--home", str(box.home.root)]).exit_code == EXIT_SOUND


def test_a_running_box_goes_on_when_it_is_resumed(box: Box, tmp_path: Path, passphrase: Path) -> None:
    """Restore, run, resume: what resume makes belongs to the logs' owner, and the follower needs no restart."""
    kept = worked_and_backed_up(box, tmp_path, passphrase)
    shutil.rmtree(box.home.root)
    assert run_restore(tmp_path / "a.backup", box.home.root, passphrase).exit_code == 0
    if os.geteuid() == 0:
        os.chown(box.home.logs, 54_321, 54_322)
    box.start_recorder()
    box.start_follower()
    size = len(box.leaves("alfa"))
    box.append("alfa", 5)
    wait_for(lambda: "log-locked" in box.errors(), "the follower sees the lock")
    opened = resume(box, *kept)
    assert opened.exit_code == 0, opened.output
    box.wait_for_size(ALFA, size + 5)
    owner = box.home.logs.stat()
    made = [box.home.exports, box.home.exports / "checkpoints"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(owner.st_uid, owner.st_gid)}


def test_checkpoints_are_made_with_the_owner_of_the_logs(box: Box, tmp_path: Path, passphrase: Path) -> None:
    kept = worked_and_backed_up(box, tmp_path, passphrase)
    other = at_home(box, tmp_path / "other")
    assert run_restore(tmp_path / "a.backup", other.home.root, passphrase).exit_code == 0
    if os.geteuid() == 0:
        os.chown(other.home.logs, 54_321, 54_322)
    assert resume(other, *kept).exit_code == 0
    owner = other.home.logs.stat()
    found = [other.home.exports, *other.home.exports.rglob("*")]
    assert len(found) == 5
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(owner.st_uid, owner.st_gid)}


def test_resume_names_the_file_that_is_wrong(box: Box, tmp_path: Path, passphrase: Path) -> None:
    kept = worked_and_backed_up(box, tmp_path, passphrase)
    other = at_home(box, tmp_path / "other")
    assert run_restore(tmp_path / "a.backup", other.home.root, passphrase).exit_code == 0
    wrong = tmp_path / "wrong.checkpoint"
    good = kept[1].read_bytes()
    for content in (b"no note", good.replace(b"/alfa\n", b"/none\n", 1), good[:-20] + b"A" * 10 + good[-10:]):
        wrong.write_bytes(content)
        refused = resume(other, kept[0], wrong, kept[2])
        assert refused.exit_code == EXIT_DAMAGED, refused.output
        assert str(wrong) in refused.output
    assert other.home.history_lock.exists()
    unreadable = resume(other, *kept, tmp_path)
    assert unreadable.exit_code != 0


def test_a_restored_copy_that_went_on_by_itself_is_refused(box: Box, tmp_path: Path, passphrase: Path) -> None:
    """The same size, another root: two copies of one box appended different records before they were looked at."""
    box.start_follower()
    sign_some(box)
    stop_all(box)
    assert run_backup(box, tmp_path / "a.backup", passphrase).exit_code == 0
    box.start_recorder()
    box.start_follower()
    sign_some(box)
    stop_all(box)
    kept = keep_exports(box, tmp_path / "kept")
    other = at_home(box, tmp_path / "other")
    assert run_restore(tmp_path / "a.backup", other.home.root, passphrase).exit_code == 0
    try:
        recorder = other.start_recorder()
        other.append("alfa", 400)
        other.append("bravo", 40)
        other.stop(recorder)
        refused = resume(other, *kept)
        assert refused.exit_code == EXIT_DAMAGED
        assert "stays locked" in refused.output
        assert other.home.history_lock.exists()
    finally:
        other.close()


def test_consistent_while_running(box: Box, tmp_path: Path, passphrase: Path) -> None:
    """Backups taken under load: each restores to a home whose logs check sound against its records."""
    box.start_follower()
    sign_some(box)
    for number in range(3):
        box.append("alfa", 2_000, batch=50)
        target = tmp_path / f"{number}.backup"
        assert run_backup(box, target, passphrase).exit_code == 0
        home = tmp_path / f"restored-{number}"
        assert run_restore(target, home, passphrase).exit_code == 0
        # Exports are not part of a backup: the check says that the box awaits them, and finds nothing else.
        result = CliRunner().invoke(log, ["check", "--home", str(home)])
        assert result.exit_code == EXIT_SOUND, result.output
        assert "locked, awaiting log resume" in result.output
        assert "compared with the records" in result.output


def test_the_outbox_of_anchors_comes_whole_while_it_is_written(box: Box, tmp_path: Path, passphrase: Path) -> None:
    box.home.anchors.mkdir()
    outbox = Outbox(box.home.anchors / FILE)
    for size in range(1, 40):  # in the write-ahead log, which a copy of the files would not fit to
        anchor = outbox.make_due("made", head(size), "because", size)
        outbox.store(anchor, Progress(State.SUBMITTED, "sent", b"tx %d" % size, 0), size)
    assert run_backup(box, tmp_path / "a.backup", passphrase).exit_code == 0
    home = Home(tmp_path / "restored")
    assert run_restore(tmp_path / "a.backup", home.root, passphrase).exit_code == 0
    restored = Outbox(home.anchors / FILE)
    assert restored.open_anchors("made") == outbox.open_anchors("made")
    assert sorted(path.name for path in home.anchors.iterdir() if "-" not in path.name) == [FILE]


def test_modes_and_contents_come_back(box: Box, tmp_path: Path, passphrase: Path) -> None:
    (box.home.documents / "ab").mkdir(parents=True)
    (box.home.documents / "ab/document").write_bytes(b"d" * 3_000_000)
    secret = box.home.secrets / "alfa.key"
    secret.touch(0o600)
    secret.write_bytes(b"wrapped")
    assert run_backup(box, tmp_path / "a.backup", passphrase).exit_code == 0
    assert (tmp_path / "a.backup").stat().st_mode & 0o777 == 0o600
    encrypted = (tmp_path / "a.backup").read_bytes()
    assert b"wrapped" not in encrypted
    assert b"alfa" not in encrypted
    home = Home(tmp_path / "restored")
    assert run_restore(tmp_path / "a.backup", home.root, passphrase).exit_code == 0
    assert (home.secrets / "alfa.key").stat().st_mode & 0o777 == 0o600
    assert home.secrets.stat().st_mode & 0o777 == 0o700
    assert (home.documents / "ab/document").read_bytes() == b"d" * 3_000_000
    assert home.root.stat().st_mode == box.home.root.stat().st_mode
    assert home.settings.read_bytes() == box.home.settings.read_bytes()
    assert not home.run.exists()
    assert not list(box.home.records.glob(".backup-*"))


def test_refusals(box: Box, tmp_path: Path, passphrase: Path) -> None:
    target = tmp_path / "a.backup"
    assert run_backup(box, target, passphrase).exit_code == 0
    assert "is there already" in run_backup(box, target, passphrase).output
    assert "not empty" in run_restore(target, box.home.root, passphrase).output
    short = tmp_path / "short"
    short.touch(0o600)
    short.write_text("short\n")
    assert "at least 12" in run_backup(box, tmp_path / "b.backup", short).output
    assert not (tmp_path / "b.backup.partial").exists()
    passphrase.chmod(0o644)
    assert "only its owner" in run_restore(target, tmp_path / "r", passphrase).output
    passphrase.chmod(0o600)
    cut = tmp_path / "cut.backup"
    cut.write_bytes(target.read_bytes()[:-100])
    assert "cannot be decrypted" in run_restore(cut, tmp_path / "r", passphrase).output
    assert not (tmp_path / "r").exists()
    assert not list(tmp_path.glob(".r.restoring-*"))
    nothing = CliRunner().invoke(backup, ["--home", str(tmp_path / "none"), "--to", str(tmp_path / "x")])
    assert "no box" in nothing.output


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_names_outside_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(stream_module, "_SCRYPT_N", 1 << 4)
    encrypted = io.BytesIO()
    writer = EncryptingWriter(encrypted, b"passphrase")
    manifest = b'{"format":"cinnabar-backup/1","box_id":"","created":0,"home":"/x","origins":[]}'
    with tarfile.open(fileobj=cast("BinaryIO", writer), mode="w|") as archive:
        for member, content in ((MANIFEST, manifest), (name, b"content")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    writer.close()
    encrypted.seek(0)
    with pytest.raises(BackupUnreadable, match="no name within"):
        read_backup(encrypted, Home(tmp_path / "home"), b"passphrase")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeNotEmpty):
        read_backup(io.BytesIO(), Home(tmp_path), b"passphrase")
    with pytest.raises(BackupUnreadable):
        DecryptingReader(io.BytesIO(b"not a backup"), b"passphrase")
