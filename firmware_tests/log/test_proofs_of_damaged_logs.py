"""No false proof leaves the box: whatever bit of a tile is flipped, a proof holds or is not handed out."""

from __future__ import annotations

import random

import pytest
from structlog.testing import capture_logs

from appliance.log import LogReader, TlogProof, parse_receipt, verify_receipt, verify_tlog_proof
from appliance.log.errors import LogDamaged
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from firmware_tests.log.made import ORIGIN, MadeLog, flip, make_log

SIZE = 1_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeLog:
    return make_log(tmp_path_factory.mktemp("made"), SIZE)


def test_a_flipped_bit_gives_no_false_proof(made: MadeLog) -> None:
    chance = random.Random(3)
    refused = 0
    for _ in range(60):
        tile = made.directory / chance.choice(["tile/0/000", "tile/0/002", "tile/0/003.p/232", "tile/1/000.p/3"])
        before = flip(tile, chance.randrange(8192))
        try:
            for index in (chance.randrange(SIZE), 0, 999):
                for entry in (None, made.entries[index]):
                    try:
                        proof = TlogProof.parse(LogReader(made.directory).tlog_proof(index, entry=entry))
                        receipt = parse_receipt(LogReader(made.directory).receipt(index, entry=entry))
                    except LogDamaged:
                        refused += 1
                    else:
                        verify_tlog_proof(proof, made.entries[index], ORIGIN, made.keys)
                        verify_receipt(receipt, made.entries[index], made.keys)
        finally:
            tile.write_bytes(before)
    assert refused > 20


def test_another_entry_than_the_logged_one_gets_no_proof(made: MadeLog) -> None:
    with pytest.raises(LogDamaged):
        LogReader(made.directory).tlog_proof(5, entry=made.entries[6])


@pytest.mark.parametrize("name", ["tile/0/000", CHECKPOINT_FILE, SIGNED_ROOT_FILE])
def test_the_operator_is_told_the_file_and_the_caller_is_not(made: MadeLog, name: str) -> None:
    path = made.directory / name
    before = path.read_bytes()
    path.write_bytes(b"")
    reader = LogReader(made.directory)
    try:
        with capture_logs() as journal:
            for _ in range(3):
                with pytest.raises(LogDamaged) as caught:
                    reader.receipt(0) if name == SIGNED_ROOT_FILE else reader.tlog_proof(0)
                assert str(made.directory) not in str(caught.value)
    finally:
        path.write_bytes(before)
    told = [line for line in journal if line["event"] == "log-damaged"]
    assert len(told) == 1
    assert str(made.directory) in told[0]["problem"]


def test_consistency_proofs_are_held_to_both_roots(made: MadeLog) -> None:
    assert LogReader(made.directory).consistency_proof(300, SIZE)
    before = flip(made.directory / "tile/0/001", 4)
    try:
        with pytest.raises(LogDamaged):
            LogReader(made.directory).consistency_proof(300, SIZE)
    finally:
        (made.directory / "tile/0/001").write_bytes(before)
