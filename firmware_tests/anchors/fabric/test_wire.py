"""Protocol Buffers: the packaged definitions are the oracle of our own few messages, both ways."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors.fabric import messages
from appliance.anchors.fabric.messages import Block, BlockData, BlockHeader, Metadata, SignatureHeader
from appliance.anchors.fabric.wire import MOST_FIELDS, MalformedMessage, Message

_MODULES = (
    "common.common_pb2",
    "msp.identities_pb2",
    "peer.proposal_pb2",
    "peer.proposal_response_pb2",
    "peer.chaincode_pb2",
    "peer.transaction_pb2",
    "ledger.rwset.rwset_pb2",
    "ledger.rwset.kvrwset.kv_rwset_pb2",
    "gateway.gateway_pb2",
)
FORMS = sorted(
    (
        one
        for one in vars(messages).values()
        if isinstance(one, type) and issubclass(one, Message) and one is not Message
    ),
    key=lambda one: one.__name__,
)
_KINDS = {
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BYTES: "octets",
    FieldDescriptor.TYPE_MESSAGE: "inner",
}


def packaged(form: type[Message]) -> Any:
    if form is messages.Timestamp:
        return importlib.import_module("google.protobuf.timestamp_pb2").Timestamp
    for name in _MODULES:
        module = importlib.import_module(f"fabric_protos.{name}")
        if hasattr(module, form.__name__):
            return getattr(module, form.__name__)
    raise AssertionError(f"{form.__name__} is no message of Fabric")


def _many(field: FieldDescriptor) -> bool:
    # newer versions of protobuf have is_repeated and warn of label
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_numbers_and_kinds_are_those_of_the_published_definitions(form: type[Message]) -> None:
    known = {field.number: field for field in packaged(form).DESCRIPTOR.fields}
    for field in dataclasses.fields(form):
        theirs = known[field.metadata["at"]]
        assert theirs.name in (field.name, f"{field.name[0].lower()}{field.name[1:]}")
        kind = _KINDS.get(theirs.type, "whole")
        if _many(theirs):
            kind = {"octets": "many_octets", "inner": "many"}[kind]
        assert field.metadata["kind"] == kind


def values(form: type[Message], depth: int = 3) -> st.SearchStrategy[Message]:
    """Any message of that form."""
    members: dict[str, st.SearchStrategy[Any]] = {}
    for field in dataclasses.fields(form):
        kind, inside = field.metadata["kind"], field.metadata.get("form")
        if kind == "whole":
            members[field.name] = st.integers(0, 2**31 - 1)
        elif kind == "text":
            members[field.name] = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
        elif kind == "octets":
            members[field.name] = st.binary(max_size=40)
        elif kind == "many_octets":
            members[field.name] = st.lists(st.binary(max_size=20), max_size=4).map(tuple)
        elif kind == "inner":
            members[field.name] = st.none() | values(inside, depth - 1)
        else:
            members[field.name] = st.lists(values(inside, depth - 1), max_size=3).map(tuple)
    if form is messages.KVWrite:
        members["is_delete"] = st.integers(0, 1)
    if form is messages.ChaincodeInput:
        members["is_init"] = st.integers(0, 1)
    if form is messages.ChaincodeSpec:
        members["type"] = st.integers(0, 5)
    if form is messages.TxReadWriteSet:
        members["data_model"] = st.just(0)
    return st.builds(form, **members)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_what_is_written_is_what_they_write_and_read(form: type[Message]) -> None:
    theirs = packaged(form)

    @settings(max_examples=40)
    @given(values(form))
    def check(value: Message) -> None:
        encoded = value.encode()
        assert theirs.FromString(encoded).SerializeToString(deterministic=True) == encoded
        assert form.decode(encoded) == value

    check()


@settings(max_examples=300)
@given(st.binary(max_size=120), st.sampled_from(FORMS))
def test_what_is_read_of_any_bytes_is_what_they_read(data: bytes, form: type[Message]) -> None:
    try:
        read = form.decode(data)
    except MalformedMessage:
        return
    if not any(value > 2**31 - 1 for value in _numbers(read)):  # theirs are narrower, and cut
        theirs = packaged(form).FromString(data)
        theirs.DiscardUnknownFields()
        known = packaged(form).FromString(read.encode())
        for field in dataclasses.fields(form):
            at = field.metadata["at"]
            name = next(one.name for one in packaged(form).DESCRIPTOR.fields if one.number == at)
            if field.metadata["kind"] != "whole":
                assert getattr(theirs, name) == getattr(known, name)


def _numbers(message: Message) -> list[int]:
    found: list[int] = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            found += _numbers(one) if isinstance(one, Message) else [one] if isinstance(one, int) else []
    return found


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"\x0a\x01a\x0a\x01b", SignatureHeader),  # creator stands twice
        (b"\x08\x01", SignatureHeader),  # creator as a number
        (b"\x0a\x05ab", SignatureHeader),  # cut short
        (b"\x0a", SignatureHeader),
        (b"\x08\x80\x00", BlockHeader),  # longer than it need be
        (b"\x08" + b"\xff" * 9 + b"\x02", BlockHeader),  # 65 bits
        (b"\x08" + b"\xff" * 11, BlockHeader),
        (b"\x0b\x0c", BlockHeader),  # a group
        (b"\x00\x01", BlockHeader),  # number 0
        (b"\x0a\x02\x08", Block),
        (b"\x0a\x02\xff\xfe", messages.SerializedIdentity),
        (b"\x0d\x00\x00", BlockHeader),
        (b"\x0d\x00\x00\x00\x00", BlockData),  # of fixed length
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes, form: type[Message]) -> None:
    with pytest.raises(MalformedMessage):
        form.decode(data)


def test_fields_of_newer_versions_are_passed_over() -> None:
    ours = SignatureHeader(b"who", b"once").encode()
    newer = ours + b"\x78\x05" + b"\x82\x01\x02hi" + b"\x89\x01" + bytes(8) + b"\x95\x01" + bytes(4)
    assert SignatureHeader.decode(newer) == SignatureHeader(b"who", b"once")
    assert packaged(SignatureHeader).FromString(newer).nonce == b"once"


def test_a_message_costs_no_more_than_its_bounds() -> None:
    assert len(BlockData.decode(b"\x0a\x00" * MOST_FIELDS).data) == MOST_FIELDS
    with pytest.raises(MalformedMessage, match="too many"):
        BlockData.decode(b"\x0a\x00" * (MOST_FIELDS + 1))
    with pytest.raises(MalformedMessage, match="too long"):
        BlockData.decode(bytes(Message.LIMIT + 1))


def test_a_number_that_cannot_be_written_is_no_message() -> None:
    for value in (-1, 2**64):
        with pytest.raises(ValueError, match="2\\^64"):
            BlockHeader(number=value).encode()
    assert BlockHeader.decode(BlockHeader(number=2**64 - 1).encode()).number == 2**64 - 1


def test_their_reader_takes_two_of_a_field_and_keeps_the_last() -> None:
    """Why ours is stricter: with theirs, text that one program shows is not the one that another checks."""
    theirs = packaged(Metadata).FromString(b"\x0a\x01a\x0a\x01b")
    assert theirs.value == b"b"
    with pytest.raises(DecodeError):
        packaged(Metadata).FromString(b"\x0a\x05ab")
