"""Shapes of contracts and the ABI's encoding of what goes in and comes out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors import canonical
from appliance.anchors.evm import abi
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.shapes import Event, Shape, named_shape

COMMITMENT = bytes(range(32))


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


# The examples of the ABI's specification ("Use of Dynamic Types", "Examples"), as far as the types are ours.
def test_the_selector_and_topic_of_known_signatures() -> None:
    assert abi.encode_call("transfer(bytes32)", [bytes(32)])[:4] == keccak256(b"transfer(bytes32)")[:4]
    assert abi.event_topic("Transfer(address,address,uint256)").hex() == (
        "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )


def test_dynamic_arguments_stand_behind_the_others() -> None:
    data = abi.encode_call("f(string,bytes32,bytes)", [b"Hello, world!", COMMITMENT, b""])
    assert data[4:] == b"".join(
        [word(96), COMMITMENT, word(160), word(13), b"Hello, world!".ljust(32, b"\0"), word(0)],
    )


@given(st.lists(st.one_of(st.binary(max_size=70), st.just(COMMITMENT)), max_size=5), st.data())
def test_what_is_encoded_is_read(values: list[bytes], data: st.DataObject) -> None:
    kinds = ["bytes32" if value is COMMITMENT else data.draw(st.sampled_from(["bytes", "string"])) for value in values]
    encoded = abi.encode_call(f"f({','.join(kinds)})", values)[4:]
    for position, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        assert abi.read_value(encoded, position, kind) == value


@given(st.binary(max_size=200), st.integers(0, 6), st.sampled_from(["bytes32", "string"]))
def test_any_bytes_are_read_or_refused(data: bytes, position: int, kind: str) -> None:
    try:
        found = abi.read_value(data, position, kind)
    except MalformedChainData:
        return
    assert found in data


def test_the_data_of_each_shape_that_comes_with_the_box() -> None:
    text = COMMITMENT.hex().encode()
    assert named_shape("calldata").call_data(0, COMMITMENT) == COMMITMENT
    event = named_shape("event")
    assert event.call_data(0, COMMITMENT) == keccak256(b"anchor(bytes32)")[:4] + COMMITMENT
    assert event.event is not None
    assert event.event.topics(COMMITMENT) == [keccak256(b"Anchored(bytes32,address)"), COMMITMENT]
    evidence = named_shape("evidence")
    assert evidence.steps == 2
    assert evidence.call_data(0, COMMITMENT)[4:] == COMMITMENT + word(64) + word(0)
    assert evidence.call_data(1, COMMITMENT) == keccak256(b"voteSaveRequest(bytes32)")[:4] + COMMITMENT
    cmevi = named_shape("cmevi").call_data(0, COMMITMENT)
    assert [abi.read_value(cmevi[4:], at, "string") for at in range(3)] == [
        text,
        text,
        b'{"hashAlgorithm":"sha256","hashType":"text"}',
    ]


def test_the_topics_that_a_node_is_asked_for() -> None:
    third = Event(commitment=2, indexed=(0, 2), signature="E(address,uint256,string)")
    assert third.topics(COMMITMENT) == [third.topic, None, keccak256(COMMITMENT.hex().encode())]
    assert third.holds((third.topic, bytes(32), keccak256(COMMITMENT.hex().encode())), b"", COMMITMENT)
    beside = Event(commitment=1, indexed=(0,), signature="E(address,bytes32)")
    assert beside.topics(COMMITMENT) == [beside.topic]
    assert beside.holds((beside.topic, bytes(32)), COMMITMENT, COMMITMENT)
    assert not beside.holds((beside.topic, bytes(32)), b"", COMMITMENT)


BAD_SHAPES = {
    "an argument too few": '{"calls":[{"arguments":[],"function":"f(bytes32)"}]}',
    "no function": '{"calls":[{"arguments":[],"function":"f"}]}',
    "a function of arrays": '{"calls":[{"arguments":["commitment"],"function":"f(bytes32[])"}]}',
    "a function of tuples": '{"calls":[{"arguments":["commitment"],"function":"f((bytes32))"}]}',
    "a name that is none": '{"calls":[{"arguments":["commitment"],"function":"1f(bytes32)"}]}',
    "a number for an argument": '{"calls":[{"arguments":["commitment"],"function":"f(uint256)"}]}',
    "a text of 32 bytes": '{"calls":[{"arguments":["text:a"],"function":"f(bytes32)"}]}',
    "an argument that is none": '{"calls":[{"arguments":["hope"],"function":"f(string)"}]}',
    "an event without a call": '{"calls":[],"event":{"commitment":0,"indexed":[],"signature":"E(bytes32)"}}',
    "a position beyond": '{"calls":[{"arguments":["commitment"],"function":"f(bytes32)"}],'
    '"event":{"commitment":1,"indexed":[],"signature":"E(bytes32)"}}',
    "an index twice": '{"calls":[{"arguments":["commitment"],"function":"f(bytes32)"}],'
    '"event":{"commitment":0,"indexed":[0,0],"signature":"E(bytes32)"}}',
    "a commitment that is a number": '{"calls":[{"arguments":["commitment"],"function":"f(bytes32)"}],'
    '"event":{"commitment":0,"indexed":[],"signature":"E(uint256)"}}',
    "another answer": '{"calls":[],"read":{"answers":"maybe","arguments":[],"function":"f()"}}',
    "an unknown member": '{"calls":[],"zzz":1}',
    "null for none": '{"calls":[],"event":null}',
}


@pytest.mark.parametrize("encoded", BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_shapes_that_say_nothing_sound_are_refused(encoded: str) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(encoded.encode(), Shape, len(encoded))


def test_the_writer_takes_what_fits_alone() -> None:
    for signature, values in (("f(bytes32)", [b"short"]), ("f(uint256)", [bytes(32)]), ("f(bytes32)", []), ("f", [])):
        with pytest.raises(ValueError, match=r"."):
            abi.encode_call(signature, values)


def test_a_shape_is_the_same_by_name_and_whole() -> None:
    for name in ("calldata", "cmevi", "event", "evidence"):
        encoded = canonical.encode(named_shape(name))
        assert canonical.decode(encoded, Shape, len(encoded)) == msgspec.json.decode(encoded, type=Shape)
