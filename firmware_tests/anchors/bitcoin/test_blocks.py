"""Headers, their work and targets, and the merkle tree: by blocks of the real chains, and against python-bitcoinlib."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from bitcoin.core import CBlock, CBlockHeader
from bitcoin.core.serialize import compact_from_uint256, uint256_from_compact
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.bitcoin.encoding import from_shown, shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.header import Header, WorkRule, target_of
from appliance.anchors.bitcoin.merkle import MOST_TRANSACTIONS, branch_of, root_by, root_of

BITCOIN_GENESIS = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51"
    "323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
LITECOIN_GENESIS = (
    "010000000000000000000000000000000000000000000000000000000000000000000000d9ced4ed1130f7b7faad9be25323ffafa33232a17c3e"
    "df6cfd97bee6bafbdd97b9aa8e4ef0ff0f1ecd513f7c"
)


@pytest.mark.parametrize(
    ("encoded", "name", "rule", "time"),
    [
        (BITCOIN_GENESIS, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", "sha256d", 1231006505),
        (LITECOIN_GENESIS, "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2", "scrypt", 1317972665),
    ],
)
def test_the_first_blocks_of_both_chains(encoded: str, name: str, rule: WorkRule, time: int) -> None:
    header = Header.parse(bytes.fromhex(encoded))
    assert shown(header.hash) == name
    assert header.time == time
    assert header.has_work(rule)
    assert not header.has_work("scrypt" if rule == "sha256d" else "sha256d")
    changed = Header.parse(header.encoded[:-1] + b"\0")
    assert not changed.has_work(rule)


def test_the_work_of_bitcoins_first_block() -> None:
    assert Header.parse(bytes.fromhex(BITCOIN_GENESIS)).expected_work == 0x100010001


def test_the_tree_of_bitcoins_block_170() -> None:
    """The first block with a payment in it."""
    txids = [
        from_shown("b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082"),
        from_shown("f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"),
    ]
    assert shown(root_of(txids)) == "7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff"


@given(st.integers(0, 2**256 - 1))
def test_a_target_is_what_another_library_reads(number: int) -> None:
    bits = compact_from_uint256(number)
    assert uint256_from_compact(bits) == (target_of(bits) if number else 0)


@pytest.mark.parametrize(
    "bits", [0, 0x00123456, 0x01003456, 0x04923456, 0x20800000, 0x22010000, 0xFF7FFFFF, 0x03000000]
)
def test_a_target_that_no_block_can_have_is_refused(bits: int) -> None:
    with pytest.raises(MalformedBitcoin):
        target_of(bits)


@given(st.binary(min_size=80, max_size=80))
def test_a_header_is_what_another_library_reads(encoded: bytes) -> None:
    theirs, ours = CBlockHeader.deserialize(encoded), Header.parse(encoded)
    assert (ours.hash, ours.parent, ours.root) == (theirs.GetHash(), theirs.hashPrevBlock, theirs.hashMerkleRoot)
    assert (ours.time, ours.bits) == (theirs.nTime, theirs.nBits)


@given(st.binary(max_size=100).filter(lambda data: len(data) != 80))
def test_a_header_of_another_size_is_none(encoded: bytes) -> None:
    with pytest.raises(MalformedBitcoin):
        Header.parse(encoded)


def ids(count: int) -> list[bytes]:
    return [hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(count)]


@given(st.integers(1, 70))
def test_a_root_is_what_another_library_computes(count: int) -> None:
    theirs = CBlock.build_merkle_tree_from_txids(ids(count))[-1]
    assert root_of(ids(count)) == theirs


@given(st.integers(1, 70), st.data())
def test_a_branch_leads_to_the_root_from_its_place_and_from_no_other(count: int, data: st.DataObject) -> None:
    txids = ids(count)
    index = data.draw(st.integers(0, count - 1))
    branch = branch_of(txids, index)
    assert root_by(txids[index], index, count, branch) == root_of(txids)
    elsewhere = data.draw(st.integers(0, count - 1))
    if elsewhere != index:
        with contextlib.suppress(MalformedBitcoin):
            assert root_by(txids[index], elsewhere, count, branch) != root_of(txids)


@given(st.integers(2, 70), st.data())
def test_a_branch_that_is_cut_short_or_longer_is_refused(count: int, data: st.DataObject) -> None:
    txids = ids(count)
    index = data.draw(st.integers(0, count - 1))
    branch = branch_of(txids, index)
    for bad in (branch[:-1], (*branch, bytes(32)), (branch[0][:31], *branch[1:])):
        with pytest.raises(MalformedBitcoin):
            root_by(txids[index], index, count, bad)


@pytest.mark.parametrize(("index", "count"), [(-1, 2), (2, 2), (0, 0), (0, MOST_TRANSACTIONS + 1)])
def test_places_that_no_block_has_are_refused(index: int, count: int) -> None:
    with pytest.raises(MalformedBitcoin):
        root_by(bytes(32), index, count, [])


@given(st.integers(1, 20).map(lambda half: 2 * half + 1))
def test_a_last_node_shown_twice_is_refused(count: int) -> None:
    """CVE-2012-2459: the same root, with the last transaction once more."""
    txids = ids(count)
    doubled = [*txids, txids[-1]]
    assert root_of(doubled) == root_of(txids)
    for index in (count - 1, count):
        with pytest.raises(MalformedBitcoin):
            root_by(doubled[index], index, len(doubled), branch_of(doubled, index))
