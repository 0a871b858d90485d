"""`.ots` files: read, walked and verified by the public OpenTimestamps client."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from bitcoin.core import CBlockHeader
from hypothesis import given
from hypothesis import strategies as st
from opentimestamps.core.notary import (
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    VerificationError,
)
from opentimestamps.core.op import OpSHA256
from opentimestamps.core.serialize import BytesDeserializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile

from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.opentimestamps import ots_file
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Transaction
from firmware_tests.anchors.bitcoin.material import COMMITMENT, anchor, block

OTS = Path(sys.executable).parent / "ots"


def read(encoded: bytes) -> DetachedTimestampFile:
    """As the client reads it: every operation is carried out, and nothing may follow."""
    return DetachedTimestampFile.deserialize(BytesDeserializationContext(encoded))


@given(st.integers(2, 40), st.data())
def test_the_public_client_walks_to_the_header_and_verifies_it(count: int, data: st.DataObject) -> None:
    made = block(count, data.draw(st.integers(1, count - 1)), on_top=0)
    stamped = read(ots_file(made.proof(), COMMITMENT, "sha256d"))
    assert stamped.file_digest == COMMITMENT
    assert isinstance(stamped.file_hash_op, OpSHA256)
    [(message, attestation)] = stamped.timestamp.all_attestations()
    assert isinstance(attestation, BitcoinBlockHeaderAttestation)
    assert attestation.height == 123
    header = CBlockHeader.deserialize(made.chain[0].encoded)
    assert attestation.verify_against_blockheader(message, header) == made.chain[0].time
    with pytest.raises(VerificationError):
        attestation.verify_against_blockheader(message, CBlockHeader.deserialize(block(3, 1).chain[1].encoded))


def test_the_command_shows_the_file_its_transaction_and_the_block(tmp_path: Path) -> None:
    text = b"log.example/rehearsal/box\n7\nroot\n"
    made = block(commitment=hashlib.sha256(text).digest(), work="scrypt")
    (tmp_path / "checkpoint.ots").write_bytes(ots_file(made.proof(), hashlib.sha256(text).digest(), "scrypt"))
    told = subprocess.run(
        (str(OTS), "--no-bitcoin", "info", str(tmp_path / "checkpoint.ots")),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin"},
    ).stdout
    assert f"File sha256 hash: {hashlib.sha256(text).hexdigest()}" in told
    assert f"# Transaction id {shown(made.txids[made.index])}" in told
    assert "verify LitecoinBlockHeaderAttestation(123)" in told
    assert f"# Litecoin block merkle root {shown(made.chain[0].root)}" in told


def test_litecoin_has_its_own_attestation() -> None:
    [(message, attestation)] = read(
        ots_file(block(work="scrypt").proof(), COMMITMENT, "scrypt")
    ).timestamp.all_attestations()
    assert isinstance(attestation, LitecoinBlockHeaderAttestation)
    assert message == block(work="scrypt").chain[0].root


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(MalformedBitcoin, match="height"):
        ots_file(block(height=None).proof(), COMMITMENT, "sha256d")
    with pytest.raises(MalformedBitcoin, match="commitment"):
        ots_file(block().proof(), bytes(32), "sha256d")
    inputs = tuple(Input(OutPoint(bytes([n]) * 32, n)) for n in range(110))
    large = Transaction(inputs, anchor().outputs)
    with pytest.raises(MalformedBitcoin, match="large"):
        ots_file(block().proof(transaction=large.encode().hex()), COMMITMENT, "sha256d")


def test_an_anchor_of_as_many_coins_as_may_be_fits() -> None:
    made = block()
    many = made.proof(transaction=anchor(coins=20).encode().hex())
    assert read(ots_file(many, COMMITMENT, "sha256d")).file_digest == COMMITMENT
