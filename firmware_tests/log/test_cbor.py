"""CBOR out of receipts: held to another reader and writer, and to any bytes at all."""

from __future__ import annotations

import contextlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.log import MalformedProof
from appliance.log.cbor import Tagged, read_item


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x18\x17", b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",  # too long
        b"\x5f\x41a\xff", b"\x9f\xff", b"\xbf\xff", b"\x1c", b"\x00\x00",
        b"\xa2\x01\x00\x01\x00", b"\xa1\x80\x00", b"\xa1\xf6\x00", b"\x61\xff", b"\x42a", b"\x82\x00",
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x5b\x7f" + b"\xff" * 7,
        b"\x81" * 400 + b"\x00", b"\xd2" * 400 + b"\x00", b"\xf7", b"\xf9\x00\x00",
    ],
)  # fmt: skip
def test_cbor_in_another_form(data: bytes) -> None:
    with pytest.raises(MalformedProof):
        read_item(data)


_KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=9)
_ITEMS = st.recursive(
    st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_ITEMS)
def test_cbor_that_another_writer_made(item: object) -> None:
    with contextlib.suppress(MalformedProof):  # nested more deeply than any receipt
        assert read_item(cbor2.dumps(item)) == item
    assert read_item(cbor2.dumps(cbor2.CBORTag(18, 7))) == Tagged(18, 7)


def _tagged(item: object) -> object:
    if isinstance(item, Tagged):
        return cbor2.CBORTag(item.tag, _tagged(item.value))
    if isinstance(item, list):
        return [_tagged(one) for one in item]
    if isinstance(item, dict):
        return {key: _tagged(one) for key, one in item.items()}
    return item


@given(st.binary(max_size=40) | _ITEMS.map(cbor2.dumps).flatmap(lambda data: st.binary(max_size=3).map(data.__add__)))
def test_any_bytes(data: bytes) -> None:
    """What is taken has one spelling: another writer gives the same bytes for it."""
    with contextlib.suppress(MalformedProof):
        assert cbor2.dumps(_tagged(read_item(data))) == data
