"""Control FORK over a renewal: a copy of a box from before its logs were renewed does not go on with the ended ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.box.settings import read_settings
from appliance.log import log_directory
from appliance.log.cli import EXIT_DAMAGED, log
from appliance.log.cosigned import COSIGNED_FILE
from appliance.log.exports import export_file, read_export
from appliance.log.renew_cli import EXIT_REFUSED, EXIT_UNUSABLE
from appliance.recorder.admin import AdminClient
from firmware_tests.backup.test_whole_box import at_home, resume, sign_some, stop_all
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, running_box, wait_for
from hsm.testing.softhsm import SoftHsm

ENDED = (BOX_ORIGIN, origin_of("alfa"), origin_of("bravo"))
GOING_ON = tuple(f"{origin}/sha512" for origin in ENDED)


def renew(box: Box) -> Result:
    return CliRunner().invoke(log, ["renew", "--home", str(box.home.root), "--hash", "sha512"])


class Renewed:
    """A box that was copied while it was stopped, renewed, and has signed on under the new hash."""

    def __init__(self, box: Box, tmp_path: Path) -> None:
        box.start_follower()
        sign_some(box)
        stop_all(box)
        self.old = at_home(box, tmp_path / "old")
        shutil.copytree(box.home.root, self.old.home.root, ignore=shutil.ignore_patterns("exports", "run"))
        box.home.trust.mkdir()
        renewed = renew(box)
        assert renewed.exit_code == 0, renewed.output
        box.settings = read_settings(box.home.settings)
        box.start_recorder()
        box.start_follower()
        self.exports = box.home.exports / "checkpoints"
        wait_for(lambda: all(read_export(self.exports, one) for one in GOING_ON), "heads of the new logs", 20)
        stop_all(box)

    def put_back(self) -> None:
        """The old copy on the box's disk; what was exported elsewhere is as it was last."""
        shutil.copytree(self.exports, self.old.home.exports / "checkpoints")


@pytest.fixture
def box(tmp_path: Path, softhsm: SoftHsm) -> Iterator[Box]:
    with running_box(tmp_path / "home", softhsm) as made:
        yield made


@pytest.fixture
def renewed(box: Box, tmp_path: Path) -> Iterator[Renewed]:
    made = Renewed(box, tmp_path)
    yield made
    made.old.close()


def test_an_older_disk_is_locked_at_its_start(renewed: Renewed) -> None:
    renewed.put_back()
    old = renewed.old
    before = {origin: old.checkpoint(origin).size for origin in ENDED}
    old.start_recorder()
    old.append("alfa", 7)
    old.start_follower()
    wait_for(old.home.history_lock.exists, "the follower locks the box")
    assert "sha512" in old.home.history_lock.read_text()
    assert {origin: old.checkpoint(origin).size for origin in ENDED} == before


def test_an_older_backup_stays_locked(renewed: Renewed) -> None:
    """Though the last heads of the ended logs lie on its history, it lacks all that came after."""
    renewed.put_back()
    old = renewed.old
    old.home.history_lock.write_text("restored\n")
    kept = [export_file(renewed.exports, origin) for origin in ENDED]
    refused = resume(old, *kept)
    assert refused.exit_code == EXIT_DAMAGED, refused.output
    assert "goes on" in refused.output
    assert old.home.history_lock.exists()


@pytest.mark.parametrize("given", [GOING_ON, ENDED + GOING_ON])
def test_so_it_does_where_the_new_logs_heads_are_brought(renewed: Renewed, given: tuple[str, ...]) -> None:
    old = renewed.old
    old.home.history_lock.write_text("restored\n")
    refused = resume(old, *(export_file(renewed.exports, origin) for origin in given))
    assert refused.exit_code == EXIT_DAMAGED, refused.output
    assert "goes on" in refused.output


def test_it_is_not_renewed_again(renewed: Renewed) -> None:
    """That would begin a second history under the new log's name."""
    renewed.put_back()
    before = renewed.old.home.settings.read_bytes()
    refused = renew(renewed.old)
    assert refused.exit_code == EXIT_REFUSED, refused.output
    assert renewed.old.home.settings.read_bytes() == before


def test_keys_that_could_not_be_written_are_when_it_is_given_again(box: Box) -> None:
    """A full disk after the logs were renewed: the command does not say that nothing was changed."""
    box.start_follower()
    sign_some(box)
    stop_all(box)
    hindered = renew(box)  # there is no directory for them
    assert hindered.exit_code == EXIT_UNUSABLE
    assert "Nothing was changed" not in hindered.output
    assert {one.origin for one in read_settings(box.home.settings).logs} == set(GOING_ON)
    box.home.trust.mkdir()
    assert renew(box).exit_code == 0
    assert [path.name for path in sorted(box.home.trust.iterdir())] == [
        "alfa-log.vkey",
        "box-log.vkey",
        "bravo-log.vkey",
    ]


def test_whoever_answers_for_the_records_does_not_say_that_there_are_no_officers(box: Box) -> None:
    """Control QUORUM: whether a ceremony must have decided is read from the file of the records."""
    with AdminClient(box.home.admin_socket) as admin:
        admin.govern()
    box.start_follower()
    sign_some(box)
    recorder, follower = box.processes
    box.stop(follower)
    box.home.trust.mkdir()
    for answers in (True, False):
        if not answers:
            box.stop(recorder)
        refused = renew(box)
        assert refused.exit_code == EXIT_REFUSED, refused.output
        assert ("a recorder answers" if answers else "no ceremony has decided") in refused.output
    assert {one.origin for one in read_settings(box.home.settings).logs} == set(ENDED)


def test_a_pipe_of_the_cosigners_holds_up_no_renewal(box: Box) -> None:
    box.start_follower()
    sign_some(box)
    stop_all(box)
    box.home.trust.mkdir()
    for origin in ENDED:
        directory = log_directory(box.home.cosigned, origin)
        directory.mkdir(parents=True)
        os.mkfifo(directory / COSIGNED_FILE)
    assert renew(box).exit_code == 0
