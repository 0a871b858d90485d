"""Receipts: what is written is read, one spelling each, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.receipts import (
    BLOOM_BYTES,
    MAXIMUM_RECEIPT_BYTES,
    Log,
    TransactionReceipt,
    bloom_of,
    read_receipt,
)

topics = st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple)
logs = st.builds(Log, st.binary(min_size=20, max_size=20), topics, st.binary(max_size=100))
receipts = st.builds(
    TransactionReceipt,
    st.integers(0, 0x7F),
    st.integers(0, 1),
    st.integers(0, 2**64 - 1),
    st.lists(logs, max_size=4).map(tuple),
)


@given(receipts)
def test_what_is_written_is_read(receipt: TransactionReceipt) -> None:
    assert read_receipt(receipt.encode()) == receipt


@given(receipts, st.data())
def test_another_byte_is_another_receipt_or_none(receipt: TransactionReceipt, data: st.DataObject) -> None:
    encoded = receipt.encode()
    place = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:place] + bytes([encoded[place] ^ data.draw(st.integers(1, 255))]) + encoded[place + 1 :]
    try:
        read = read_receipt(changed)
    except MalformedChainData:
        return
    assert read != receipt
    assert read.encode() == changed


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    try:
        read = read_receipt(data)
    except MalformedChainData:
        return
    assert read.encode() == data


def test_the_bloom_sets_three_bits_for_each_address_and_topic() -> None:
    log = Log(bytes.fromhex("aa6ce64b8c7aee2fa652ea4d240bbffcb7d98d1b"), (bytes(32),), b"data")
    assert 1 <= int.from_bytes(bloom_of([log]), "big").bit_count() <= 6
    assert bloom_of([log, log]) == bloom_of([log])
    assert bloom_of([]) == bytes(BLOOM_BYTES)


LOG = Log(bytes(20), (bytes(32),), b"data")
BLOOM = bloom_of([LOG])


def written(status: rlp.Encodable = b"\x01", bloom: bytes = BLOOM, found: rlp.Encodable | None = None) -> bytes:
    given = [[LOG.address, list(LOG.topics), LOG.data]] if found is None else found
    return b"\x02" + rlp.encode([status, b"\x01", bloom, given])


REFUSED = {
    "nothing": (b"", "empty"),
    "a status of two": (written(b"\x02"), "0 or 1"),
    "a root in place of the status": (written(bytes(range(32))), "Byzantium"),
    "a bloom of another log": (written(bloom=bytes(255) + b"\x01"), "bloom"),
    "a bloom that is too short": (written(bloom=bytes(255)), "256"),
    "a log of two fields": (written(found=[[bytes(20), []]]), "address, topics, data"),
    "five topics": (written(found=[[bytes(20), [bytes(32)] * 5, b""]]), "four topics"),
    "a topic of 31 bytes": (written(found=[[bytes(20), [bytes(31)], b""]]), "32 must stand"),
    "a contract of 19 bytes": (written(found=[[bytes(19), [], b""]]), "20 must stand"),
    "logs that are a string": (written(found=b""), "string where a list"),
    "three fields": (b"\x02" + rlp.encode([b"\x01", b"\x01", BLOOM]), "4 fields"),
    "a type of zero": (b"\x00" + written()[1:], "left over"),
    "a type that is none": (b"\x80" + written()[1:], "left over"),
    "very large": (bytes(MAXIMUM_RECEIPT_BYTES + 1), "are taken"),
}


@pytest.mark.parametrize(("encoded", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(encoded: bytes, said: str) -> None:
    assert read_receipt(written()) == TransactionReceipt(2, 1, 1, (LOG,))
    with pytest.raises(MalformedChainData, match=said):
        read_receipt(encoded)
