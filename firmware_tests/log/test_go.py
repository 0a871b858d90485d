"""A box's log verified by Go's checksum database packages: signatures, tiles, inclusion and consistency."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.log.keys import read_log_keys
from firmware_tests.log.box import Box, origin_of
from firmware_tests.others.golang import Go

ALFA = origin_of("alfa")


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(tmp_path_factory.mktemp("go"))


def test_go_verifies_the_log(box: Box, go: Go, tmp_path: Path) -> None:
    box.start_follower()
    box.append("alfa", 1_000)
    size = len(box.leaves("alfa"))
    box.wait_for_size(ALFA, size)
    directory = box.directory(ALFA)
    key = str(read_log_keys(directory)[0].verifier)
    head = box.checkpoint(ALFA)
    found = go.run("logverify", directory, key, "0", "1", "255", "256", "511", "999", str(size - 1))
    assert found.returncode == 0, found.stdout
    assert found.stdout.split()[:3] == ["log", ALFA, str(size)]

    entries = box.leaves("alfa")
    proof = tmp_path / "record.tlog-proof"
    proof.write_bytes(box.reader(ALFA).tlog_proof(300, b"extra"))
    found = go.run("logverify", directory, key, "proof", proof, entries[300].hex())
    assert found.stdout == f"proof {ALFA} 300 {head.size}\n"
    assert go.run("logverify", directory, key, "proof", proof, entries[301].hex()).returncode == 1

    # Go finds what is wrong, too: another key, a changed tile.
    other = str(read_log_keys(directory)[0].verifier)[:-3] + "AA="
    assert go.run("logverify", directory, other, "0").returncode == 1
    tile = directory / "tile/0/001"
    tile.write_bytes(tile.read_bytes()[:-1] + bytes([tile.read_bytes()[-1] ^ 1]))
    assert go.run("logverify", directory, key, "300").returncode == 1
