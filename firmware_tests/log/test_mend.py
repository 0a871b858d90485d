"""Missing tiles and bundles: found, derived, and held to the signed root before they are written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.log import TileReader, mend
from appliance.log.errors import LogDamaged
from appliance.log.mend import derive_tiles, mend_missing, missing_tiles
from appliance.log.tiles import Tile
from firmware_tests.log.made import ORIGIN, MadeLog, flip, make_log

SIZE = 66_000
FULL = ["tile/0/000", "tile/0/100", "tile/0/256", "tile/1/000", "tile/entries/000", "tile/entries/256"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    return make_log(tmp_path_factory.mktemp("made"), SIZE)


@pytest.fixture
def made(shared: MadeLog) -> Iterator[MadeLog]:
    before = {path: path.read_bytes() for path in shared.directory.rglob("*") if path.is_file()}
    yield shared
    for path, content in before.items():
        path.write_bytes(content)


def run(made: MadeLog) -> list[Tile]:
    async def leaves(first: int, limit: int) -> bytes:
        return made.leaves(ORIGIN, first, limit)

    return asyncio.run(mend_missing(made.directory, SIZE, made.root, leaves))


def test_nothing_is_missing(made: MadeLog) -> None:
    assert missing_tiles(made.directory, SIZE) == []
    assert run(made) == []


@pytest.mark.parametrize("at_once", [4_096, 2])
def test_any_missing_files_come_back_as_they_were(made: MadeLog, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(mend, "_AT_ONCE", at_once)
    chance = random.Random(5)
    for _ in range(4):
        chosen = [made.directory / name for name in {*chance.sample(FULL, 4), "tile/1/000"}]
        before = [path.read_bytes() for path in chosen]
        for path in chosen:
            path.unlink()
        assert {made.directory / tile.path() for tile in run(made)} == set(chosen)
        assert [path.read_bytes() for path in chosen] == before
    assert TileReader(made.directory, SIZE).root() == made.root


@pytest.mark.parametrize("wrong", ["tile/entries/100", "tile/1/000"])
def test_what_does_not_give_the_signed_root_is_not_written(made: MadeLog, wrong: str) -> None:
    flip(made.directory / wrong, 3_335)
    gone = made.directory / "tile/0/100"
    gone.unlink()
    with pytest.raises(LogDamaged, match="tile/0/100"):
        run(made)
    assert not gone.exists()


def test_records_of_another_history_mend_nothing(made: MadeLog) -> None:
    gone = made.directory / "tile/entries/003"
    before = gone.read_bytes()
    gone.unlink()
    other = bytearray(before)
    other[7] ^= 1
    with pytest.raises(LogDamaged, match="tile/0/003"):
        derive_tiles(made.directory, SIZE, made.root, [Tile("entries", 3)], {3: bytes(other)})
    assert derive_tiles(made.directory, SIZE, made.root, [Tile("entries", 3)], {3: before}) == {
        Tile("entries", 3): before
    }


def test_a_bundle_that_is_cut_is_missing(made: MadeLog, tmp_path: Path) -> None:
    path = made.directory / "tile/entries/009"
    path.write_bytes(path.read_bytes()[:50])
    assert missing_tiles(made.directory, SIZE) == [Tile("entries", 9)]
    assert missing_tiles(tmp_path, 255) == []
    assert len(missing_tiles(tmp_path, 65_536)) == 513
