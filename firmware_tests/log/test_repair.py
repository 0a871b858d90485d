"""`cinnabar log repair`: the signed history comes back whole, and no other one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.log.check import LogReport, check_log
from appliance.log.cli import EXIT_DAMAGED, EXIT_SOUND, log
from appliance.log.errors import LogDamaged
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from appliance.log.repair import LogRepair
from firmware_tests.log.box import Box, origin_of, wait_for
from firmware_tests.log.made import ORIGIN, MadeLog, flip, make_log

SIZE = 66_000
ALFA = origin_of("alfa")
FILES = [
    "tile/0/000",
    "tile/0/257.p/208",
    "tile/1/000",
    "tile/1/001.p/1",
    "tile/2/000.p/1",
    "tile/entries/000",
    "tile/entries/257.p/208",
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    return make_log(tmp_path_factory.mktemp("made"), SIZE)


@pytest.fixture
def made(shared: MadeLog) -> Iterator[MadeLog]:
    aside = shared.directory.with_name("aside")
    shutil.copytree(shared.directory, aside)
    yield shared
    shutil.rmtree(shared.directory)
    aside.rename(shared.directory)


def contents(made: MadeLog) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in made.directory.rglob("*") if path.is_file()}


def repair(made: MadeLog, *, with_records: bool = True, alone: bool = True) -> list[str]:
    records = made if with_records else None
    mending = LogRepair(ORIGIN, ORIGIN, made.directory, made.exports, made.keys, records, alone=alone)
    mending.run()
    return mending.done


def checked(made: MadeLog) -> LogReport:
    return check_log(ORIGIN, ORIGIN, made.directory, made.exports, made.keys, made)


def test_a_sound_log_is_left_alone(made: MadeLog) -> None:
    assert repair(made) == []
    assert repair(made, with_records=False) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("lost", [False, True])
def test_every_file_comes_back(made: MadeLog, name: str, lost: bool) -> None:
    before = contents(made)
    path = made.directory / name
    if lost:
        path.unlink()
    else:
        flip(path, random.Random(name).randrange(8_000))
    assert not checked(made).sound
    assert repair(made) == [f"derived {path} again"]
    assert contents(made) == before
    assert checked(made).sound


def test_tiles_come_back_without_the_records_and_bundles_do_not(made: MadeLog) -> None:
    before = contents(made)
    flip(made.directory / "tile/0/007")
    flip(made.directory / "tile/1/000")
    assert len(repair(made, with_records=False)) == 2
    assert contents(made) == before
    flip(made.directory / "tile/entries/007")
    damaged = contents(made)
    with pytest.raises(LogDamaged, match="nothing was changed"):
        repair(made, with_records=False)
    assert contents(made) == damaged


def test_all_tiles_and_bundles_come_back_from_the_records(made: MadeLog) -> None:
    before = contents(made)
    shutil.rmtree(made.directory / "tile")
    repair(made)
    assert contents(made) == before


def test_a_bundle_and_its_tile_and_a_wrong_record(made: MadeLog) -> None:
    """The tiles tell which of bundle and record is right; the signed root tells whether all of it is."""
    before = contents(made)
    right, made.entries[300] = made.entries[300], bytes(32)
    try:
        flip(made.directory / "tile/0/009")
        assert len(repair(made)) == 1
        assert contents(made) == before
        flip(made.directory / "tile/entries/001", 34 * 44 + 5)
        with pytest.raises(LogDamaged, match="nothing was changed"):
            repair(made)
    finally:
        made.entries[300] = right


def test_the_head_comes_back_from_the_export_and_the_signed_root_goes(made: MadeLog) -> None:
    before = contents(made)
    flip(made.directory / CHECKPOINT_FILE, 40)
    flip(made.directory / SIGNED_ROOT_FILE, 20)
    assert len(repair(made)) == 2
    assert contents(made) == {path: content for path, content in before.items() if path.name != SIGNED_ROOT_FILE}


def test_without_a_signed_head_nothing_is_repaired(made: MadeLog, tmp_path: Path) -> None:
    (made.directory / CHECKPOINT_FILE).unlink()
    with pytest.raises(LogDamaged, match="no signed head"):
        LogRepair(ORIGIN, ORIGIN, made.directory, tmp_path, made.keys, made).run()


def test_the_edge_is_the_running_followers(made: MadeLog) -> None:
    flip(made.directory / "tile/0/257.p/208")
    flip(made.directory / "tile/0/003")
    done = repair(made, alone=False)
    assert [line.split()[0] for line in done] == ["derived", "left"]
    assert len(checked(made).findings) == 1


def test_the_command_on_a_running_and_on_a_stopped_box(box: Box) -> None:
    def run(command: str) -> tuple[int, str]:
        result = CliRunner().invoke(log, [command, "--home", str(box.home.root), "--tenant", "alfa"])
        return result.exit_code, result.output

    follower = box.start_follower()
    box.append("alfa", 1_000)
    box.wait_for_size(ALFA, 1_000)
    tile = box.directory(ALFA) / "tile/0/000"
    before = flip(tile)
    status, shown = run("check")
    assert status == EXIT_DAMAGED
    assert f"next: cinnabar log repair --home {box.home.root}" in shown
    status, shown = run("repair")
    assert (status, tile.read_bytes()) == (EXIT_SOUND, before), shown
    assert f"derived {tile} again" in shown
    assert "next:" not in run("check")[1]
    edge = next((box.directory(ALFA) / "tile/0/003.p").iterdir())
    flip(edge)
    status, shown = run("repair")
    assert status == EXIT_DAMAGED
    assert "stop the box and repair again" in shown
    box.stop(follower)
    status, shown = run("repair")
    assert status == EXIT_SOUND, shown
    box.append("alfa", 10)
    box.start_follower()
    box.wait_for_size(ALFA, 1_010)
    wait_for(lambda: run("check")[0] == EXIT_SOUND, "the log is sound")
