"""RLP: the published examples, the one spelling, and what is refused."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData

# Of github.com/ethereum/tests, RLPTests/rlptest.json.
EXAMPLES: list[tuple[rlp.Item, str]] = [
    (b"", "80"),
    (b"\x00", "00"),
    (b"\x7f", "7f"),
    (b"dog", "83646f67"),
    (b"Lorem ipsum dolor sit amet, consectetur adipisicing eli",
     "b74c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c69"),
    (b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
     "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c6974"),
    ([], "c0"),
    ([b"dog", b"god", b"cat"], "cc83646f6783676f6483636174"),
    ([b"zw", [b"\x04"], b"\x01"], "c6827a77c10401"),
    ([[[], []], []], "c4c2c0c0c0"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    ([[b"asdf", b"qwer", b"zxcv"]] * 4, "f840" + "cf84617364668471776572847a786376" * 4),
]  # fmt: skip
NUMBERS = [
    (0, "80"),
    (1, "01"),
    (127, "7f"),
    (128, "8180"),
    (1000, "8203e8"),
    (100000, "830186a0"),
    (1 << 256, "a101" + "00" * 32),
]

# Of the same repository, RLPTests/invalidRLPTest.json.
INVALID = {
    "a length beyond 32 bits": "bf0f000000000000021111",
    "a list's length beyond 32 bits": "ff0f000000000000021111",
    "a list of the wrong size": "f80180",
    "a string that is cut short": "b9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e582081b0565df0",
    "a single byte with a length": "8100",
    "the largest single byte with a length": "817F",
    "a length with a leading zero": "b90040" + bytes(range(64)).hex(),
    "a length of zero in the long form": "b800",
    "a list's length of zero in the long form": "f800",
    "a short length in the long form": "b801ff",
    "a list's short length in the long form": "f803112233",
    "nothing": "",
    "two items": "8080",
    "a list with half an item": "c183",
}  # fmt: skip

items = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=20)


def depth(item: rlp.Item) -> int:
    return 0 if isinstance(item, bytes) else 1 + max(map(depth, item), default=0)


@pytest.mark.parametrize(("item", "encoded"), EXAMPLES)
def test_published_examples(item: rlp.Item, encoded: str) -> None:
    assert rlp.encode(item).hex() == encoded
    assert rlp.decode(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize(("number", "encoded"), NUMBERS)
def test_numbers(number: int, encoded: str) -> None:
    assert rlp.encode(rlp.integer(number)).hex() == encoded
    assert rlp.as_integer(rlp.decode(bytes.fromhex(encoded)), size=33) == number


@pytest.mark.parametrize("encoded", INVALID.values(), ids=INVALID)
def test_what_is_refused(encoded: str) -> None:
    with pytest.raises(MalformedChainData):
        rlp.decode(bytes.fromhex(encoded))


@given(items.filter(lambda item: depth(item) <= rlp.MAXIMUM_DEPTH))
def test_what_is_written_is_read(item: rlp.Item) -> None:
    assert rlp.decode(rlp.encode(item)) == item


@given(st.binary(max_size=200))
def test_there_is_one_spelling(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except MalformedChainData:
        return
    assert rlp.encode(item) == data


@given(items.filter(lambda item: depth(item) <= rlp.MAXIMUM_DEPTH), st.data())
def test_nothing_is_read_from_a_part(item: rlp.Item, data: st.DataObject) -> None:
    encoded = rlp.encode(item)
    end = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedChainData):
        rlp.decode(encoded[:end])


def test_numbers_have_no_leading_zero_and_a_largest_size() -> None:
    for item in (b"\x00", b"\x00\x01", bytes([1]) * 33, []):
        with pytest.raises(MalformedChainData):
            rlp.as_integer(item)


def test_a_list_of_very_many_items_costs_no_more_than_its_bound() -> None:
    hostile = rlp.encode([b"\x01"] * 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedChainData, match="too many"):
            rlp.decode(hostile)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_deep_nest_is_refused_at_its_bound() -> None:
    nested: rlp.Encodable = b""
    for _ in range(rlp.MAXIMUM_DEPTH):
        nested = [nested]
    assert rlp.encode(rlp.decode(rlp.encode(nested))) == rlp.encode(nested)
    with pytest.raises(MalformedChainData, match="deeply"):
        rlp.decode(rlp.encode([nested]))
    for _ in range(300):
        nested = [nested]
    with pytest.raises(MalformedChainData, match="deeply"):
        rlp.decode(rlp.encode(nested))
