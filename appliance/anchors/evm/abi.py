"""Calls and events in Solidity's contract ABI, for the few types that hold a commitment: bytes32, bytes, string."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256

WORD = 32
_DYNAMIC = ("bytes", "string")


def parameter_types(signature: str) -> tuple[str, ...]:
    """The types in a signature such as `anchor(bytes32)`. Arrays and tuples are refused. Raises ValueError."""
    name, bracket, inner = signature.partition("(")
    types = tuple(inner[:-1].split(",")) if inner != ")" else ()
    plain = all(each and each.isascii() and each.isalnum() for each in types)
    if not bracket or not inner.endswith(")") or not name.isidentifier() or not plain:
        raise ValueError(f"not the signature of a function or an event: {signature}")
    return types


def is_dynamic(kind: str) -> bool:
    """Whether values of this type stand after the words of the others."""
    return kind in _DYNAMIC


def encode_call(signature: str, values: Sequence[bytes]) -> bytes:
    """Call data: the function's selector and its arguments, each of 32 bytes or, of a dynamic type, of any length.

    Raises ValueError when they do not fit the signature.
    """
    types = parameter_types(signature)
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = WORD * len(types)
    for kind, value in zip(types, values, strict=True):
        if is_dynamic(kind):
            tail = len(value).to_bytes(WORD, "big") + value + bytes(-len(value) % WORD)
            heads.append(offset.to_bytes(WORD, "big"))
            tails.append(tail)
            offset += len(tail)
        elif kind == "bytes32" and len(value) == WORD:
            heads.append(value)
        else:
            raise ValueError(f"no argument of type {kind} is written here")
    return keccak256(signature.encode())[:4] + b"".join(heads + tails)


def event_topic(signature: str) -> bytes:
    """The first topic of an event's logs."""
    return keccak256(signature.encode())


def read_value(data: bytes, position: int, kind: str) -> bytes:
    """The value at `position` among those that a log's data, or an answer, holds. Raises MalformedChainData."""
    head = _word(data, position * WORD)
    if not is_dynamic(kind):
        return head
    start = int.from_bytes(head, "big")
    length = int.from_bytes(_word(data, start), "big")
    value = data[start + WORD : start + WORD + length]
    if len(value) != length:
        raise MalformedChainData("a value of the ABI that is cut short")
    return value


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + WORD]
    if len(word) != WORD:
        raise MalformedChainData("a value of the ABI that is cut short")
    return word
