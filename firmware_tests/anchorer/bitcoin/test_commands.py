"""`cinnabar anchor ots` and `txoutproof`: only of what holds, and as others' tools read it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from opentimestamps.core.serialize import BytesDeserializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile

from appliance.anchors import LedgerProfile, Receipt, canonical, commitment_of, write_profile, write_receipt
from firmware_tests.anchorer.bitcoin.stage import checkpoint
from firmware_tests.anchors.bitcoin.material import TIME, block, encoded, rules
from firmware_tests.running import cinnabar

NOTE = checkpoint(7)


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, str]:
    """A receipt that holds, and the profile under which it does."""
    made = block(commitment=commitment_of(NOTE))
    receipt = Receipt(
        checkpoint=NOTE.decode(), ledger="chain", proof=msgspec.Raw(encoded(made.proof())), type="bitcoin"
    )
    (tmp_path / "receipt").write_bytes(write_receipt(receipt))
    trusted = msgspec.Raw(canonical.encode(rules()))
    late = max(0, TIME - int(time.time())) + 60
    profile = LedgerProfile(name="chain", rules=trusted, tolerance_s=late, type="bitcoin")
    (tmp_path / "profile").write_bytes(write_profile(profile))
    return str(tmp_path / "receipt"), str(tmp_path / "profile")


def test_a_receipt_becomes_a_file_that_the_public_client_reads(tmp_path: Path, given: tuple[str, str]) -> None:
    receipt, profile = given
    done = cinnabar("anchor", "ots", receipt, str(tmp_path / "head"), "--ledger", profile)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "head").read_bytes() == NOTE.partition(b"\n\n")[0] + b"\n"
    stamped = DetachedTimestampFile.deserialize(BytesDeserializationContext((tmp_path / "head.ots").read_bytes()))
    assert stamped.file_digest == commitment_of(NOTE)
    told = subprocess.run(
        (str(Path(sys.executable).parent / "ots"), "--no-bitcoin", "info", str(tmp_path / "head.ots")),
        capture_output=True, text=True, check=True, timeout=60, env={"HOME": str(tmp_path), "PATH": "/usr/bin"},
    ).stdout  # fmt: skip
    assert "BitcoinBlockHeaderAttestation(123)" in told


def test_the_nodes_form_is_printed(given: tuple[str, str]) -> None:
    receipt, profile = given
    done = cinnabar("anchor", "txoutproof", receipt, "--ledger", profile)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(block(commitment=commitment_of(NOTE)).chain[0].encoded.hex())


def test_nothing_is_written_of_a_receipt_that_does_not_hold(tmp_path: Path, given: tuple[str, str]) -> None:
    receipt, profile = given
    other = msgspec.Raw(canonical.encode(rules(genesis="11" * 32)))
    changed = LedgerProfile(name="chain", rules=other, tolerance_s=10**7, type="bitcoin")
    Path(profile).write_bytes(write_profile(changed))
    done = cinnabar("anchor", "ots", receipt, str(tmp_path / "head"), "--ledger", profile)
    assert done.returncode == 1
    assert "wrong_genesis" in done.stderr
    assert not (tmp_path / "head").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, given: tuple[str, str]) -> None:
    receipt, profile = given
    done = cinnabar("anchor", "ots", receipt, str(tmp_path / "none" / "head"), "--ledger", profile)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
