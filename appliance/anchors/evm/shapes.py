"""Shapes of contracts, as data: by which calls a commitment goes in, and how it is found again.

Four come with the box (`contracts/*.json`); a consortium's own contract is described in the same form, in the settings
and in the ledger's profile. The argument "commitment" stands for the 32 bytes, as they are where the type is bytes32 or
bytes, in lower-case hexadecimal where it is string; "text:..." stands for that text, as string or bytes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from appliance.anchors import canonical
from appliance.anchors.evm import abi
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256

COMMITMENT: Final = "commitment"
_TEXT: Final = "text:"
_WORD_TRUE: Final = (1).to_bytes(abi.WORD, "big")
SHAPE_BYTES: Final = 65_536

Signature = Annotated[str, msgspec.Meta(max_length=200)]
Argument = Annotated[str, msgspec.Meta(max_length=2000, pattern=rf"\A(?:{COMMITMENT}|{_TEXT}[^\x00-\x1f]*)\Z")]
Arguments = Annotated[tuple[Argument, ...], msgspec.Meta(max_length=16)]
Position = Annotated[int, msgspec.Meta(ge=0, le=15)]


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function and what it is called with."""

    arguments: Arguments
    """In the function's order: `commitment`, or `text:` with a text."""
    function: Signature
    """In the form of the ABI: anchor(bytes32)."""

    def __post_init__(self) -> None:
        self.data(bytes(32))

    def data(self, commitment: bytes) -> bytes:
        """The call data for a commitment."""
        types = abi.parameter_types(self.function)
        if len(types) != len(self.arguments):
            raise ValueError(f"{self.function} takes {len(types)} arguments, not {len(self.arguments)}")
        values = [_value(given, kind, commitment) for given, kind in zip(self.arguments, types, strict=True)]
        return abi.encode_call(self.function, values)


class Read(Call, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that changes nothing and tells whether the contract holds a commitment."""

    answers: Literal["commitment", "true"]
    """The first word of its answer: the commitment itself, or 1."""

    def tells(self, answer: bytes, commitment: bytes) -> bool:
        """Whether this answer says that the contract holds it."""
        return answer[: abi.WORD] == (commitment if self.answers == COMMITMENT else _WORD_TRUE)


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event in whose log the commitment stands."""

    commitment: Position
    """Which parameter it is, from 0."""
    indexed: Annotated[tuple[Position, ...], msgspec.Meta(max_length=3)]
    """Which parameters are topics, ascending."""
    signature: Signature
    """In the form of the ABI: Anchored(bytes32,address)."""

    def __post_init__(self) -> None:
        types = abi.parameter_types(self.signature)
        if self.commitment >= len(types) or list(self.indexed) != sorted(
            {at for at in self.indexed if at < len(types)}
        ):
            raise ValueError(f"{self.signature} has not the parameters that are named")
        _value(COMMITMENT, types[self.commitment], bytes(32))

    @property
    def topic(self) -> bytes:
        """The first topic of its logs."""
        return abi.event_topic(self.signature)

    def topics(self, commitment: bytes) -> list[bytes | None]:
        """The topics to ask a node's logs for; None: any."""
        found: list[bytes | None] = [self.topic]
        if self.commitment in self.indexed:
            found += [None] * self.indexed.index(self.commitment)
            found.append(self._indexed_value(commitment))
        return found

    def holds(self, topics: tuple[bytes, ...], data: bytes, commitment: bytes) -> bool:
        """Whether a log of this event holds the commitment."""
        if len(topics) != 1 + len(self.indexed):
            return False
        if self.commitment in self.indexed:
            return topics[1 + self.indexed.index(self.commitment)] == self._indexed_value(commitment)
        kind = abi.parameter_types(self.signature)[self.commitment]
        position = self.commitment - sum(at < self.commitment for at in self.indexed)
        try:
            return abi.read_value(data, position, kind) == _value(COMMITMENT, kind, commitment)
        except MalformedChainData:
            return False

    def _indexed_value(self, commitment: bytes) -> bytes:
        """A topic: the value, or the hash of one of a dynamic type."""
        kind = abi.parameter_types(self.signature)[self.commitment]
        value = _value(COMMITMENT, kind, commitment)
        return keccak256(value) if abi.is_dynamic(kind) else value


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A contract, as far as anchors use it."""

    calls: Annotated[tuple[Call, ...], msgspec.Meta(max_length=4)]
    """What is called for one commitment, each in a transaction of its own, in this order. None: there is no contract,
    and the commitment alone is the transaction's data."""
    event: Event | None = None
    """By which it is found; None: by the data of the last call."""
    read: Read | None = None
    """By which a node is asked for it."""

    def __post_init__(self) -> None:
        if self.event is not None and not self.calls:
            raise ValueError("an event without a call that makes it")

    @property
    def steps(self) -> int:
        """How many transactions one commitment takes."""
        return max(1, len(self.calls))

    def call_data(self, step: int, commitment: bytes) -> bytes:
        """The data of the transaction of this step, from 0."""
        return self.calls[step].data(commitment) if self.calls else commitment


Named: TypeAlias = Literal["calldata", "cmevi", "event", "evidence"]
"""The shapes that come with the box."""


@cache
def named_shape(name: Named) -> Shape:
    """A shape that comes with the box."""
    encoded = resources.files(__package__).joinpath("contracts", f"{name}.json").read_bytes()
    return canonical.decode(encoded, Shape, SHAPE_BYTES)


def _value(given: str, kind: str, commitment: bytes) -> bytes:
    """An argument as its type has it. Raises ValueError."""
    if kind not in ("bytes32", "bytes", "string"):
        raise ValueError(f"neither a commitment nor a text is of type {kind}")
    if given == COMMITMENT:
        return commitment.hex().encode() if kind == "string" else commitment
    if kind == "bytes32":
        raise ValueError("a text is not of type bytes32")
    return given.removeprefix(_TEXT).encode()
