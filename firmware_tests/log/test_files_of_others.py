"""What a process that was taken over may put in the place of its files: no reader waits for it, or hands it out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import NotFound
from appliance.log import LogReader
from appliance.log.cosigned import COSIGNED_FILE, CosignedHeads, heads_file
from appliance.log.errors import LogDamaged, NotYetIncluded
from appliance.log.keys import KEYS_FILE, read_log_keys
from appliance.log.openings import Openings
from appliance.log.reader import CHECKPOINT_FILE

Put = Callable[[Path], None]


@pytest.fixture(params=["pipe", "endless", "secret"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Put:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00\x20" * 16_000)

    def something(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(secret if request.param == "secret" else "/dev/zero")

    return something


def test_of_the_cosigner(put: Put, tmp_path: Path) -> None:
    heads = CosignedHeads(tmp_path / "log", "log.example/a", list)
    put(heads.directory / COSIGNED_FILE)
    put(heads_file(heads.directory, 1))
    with pytest.raises(NotYetIncluded):
        heads.latest()
    assert heads.covering(1) is None


def test_of_the_follower(put: Put, tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    for name in (CHECKPOINT_FILE, KEYS_FILE, "tile/0/000", "tile/1/000.p/2", "tile/entries/000.p/1"):
        put(reader.directory / name)
    with pytest.raises(LogDamaged):
        reader.checkpoint()
    with pytest.raises(LogDamaged):
        read_log_keys(reader.directory)
    for path in ("tile/0/000", "tile/0/000.p/1", "tile/1/000.p/2", "tile/1/000.p/1", "tile/entries/000.p/1"):
        with pytest.raises(NotFound):
            reader.resource(path)


def test_of_its_openings(put: Put, tmp_path: Path) -> None:
    openings = Openings(tmp_path / "log")
    put(openings.directory("alfa") / "000000000000.jsonl")
    with pytest.raises(LogDamaged):
        openings.latest("alfa")
    with pytest.raises(LogDamaged):
        openings.first("alfa", lambda _: True)
