"""Recursive Length Prefix (Ethereum yellow paper, appendix B): strings of bytes and lists of them, one spelling each.

The reader is strict: every length in its shortest form, nothing left over. What it makes is bounded by `items`, since a
list of one-byte strings takes far more memory than it has bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from appliance.anchors.evm.errors import MalformedChainData

Item: TypeAlias = "bytes | list[Item]"
"""What the reader gives."""
Encodable: TypeAlias = "bytes | Sequence[Encodable]"
"""What the writer takes."""

MAXIMUM_ITEMS = 4096
MAXIMUM_DEPTH = 8


def encode(item: Encodable) -> bytes:
    """The one encoding of an item."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _head(0x80, len(item)) + item
    content = b"".join(map(encode, item))
    return _head(0xC0, len(content)) + content


def integer(value: int) -> bytes:
    """A whole number as RLP's string: big-endian, without leading zeroes, 0 as the empty string."""
    if value < 0:
        raise ValueError("RLP has no negative numbers")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _head(base: int, length: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    size = integer(length)
    return bytes([base + 55 + len(size)]) + size


def decode(data: bytes, items: int = MAXIMUM_ITEMS) -> Item:
    """The item that `data` encodes, whole. Raises MalformedChainData; never makes more than `items` items."""
    reader = _Reader(data, items)
    item, end = reader.item(0, len(data), 0)
    if end != len(data):
        raise MalformedChainData("bytes are left over after the RLP item")
    return item


def decode_list(data: bytes, items: int = MAXIMUM_ITEMS) -> list[Item]:
    """Like `decode`, for data that must be a list. Raises MalformedChainData."""
    item = decode(data, items)
    if isinstance(item, bytes):
        raise MalformedChainData("an RLP string where a list must stand")
    return item


class _Reader:
    __slots__ = ("_data", "_left")

    def __init__(self, data: bytes, items: int) -> None:
        self._data = data
        self._left = items

    def item(self, start: int, end: int, depth: int) -> tuple[Item, int]:
        """The item at `start`, which ends at `end` at the latest, and where it ends."""
        self._left -= 1
        if self._left < 0:
            raise MalformedChainData("too many RLP items")
        if start >= end:
            raise MalformedChainData("the RLP is truncated")
        data = self._data
        first = data[start]
        if first < 0x80:
            return data[start : start + 1], start + 1
        is_list = first >= 0xC0
        content, length = self._length(start, end, first - (0xC0 if is_list else 0x80))
        stop = content + length
        if stop > end:
            raise MalformedChainData("the RLP is truncated")
        if not is_list:
            if length == 1 and data[content] < 0x80:
                raise MalformedChainData("RLP that is not in its shortest form")
            return data[content:stop], stop
        if depth >= MAXIMUM_DEPTH:
            raise MalformedChainData("RLP that is nested too deeply")
        found: list[Item] = []
        while content < stop:
            item, content = self.item(content, stop, depth + 1)
            found.append(item)
        return found, stop

    def _length(self, start: int, end: int, told: int) -> tuple[int, int]:
        """Where the content begins, and how long it is."""
        if told < 56:
            return start + 1, told
        size = told - 55
        content = start + 1 + size
        if content > end:
            raise MalformedChainData("the RLP is truncated")
        length = int.from_bytes(self._data[start + 1 : content], "big")
        if length < 56 or self._data[start + 1] == 0:
            raise MalformedChainData("RLP that is not in its shortest form")
        return content, length


# --- what a decoded item must be ---------------------------------------------------------------------------------


def as_bytes(item: Item, size: int | None = None) -> bytes:
    """The item as a string, of `size` bytes where that is given. Raises MalformedChainData."""
    if not isinstance(item, bytes):
        raise MalformedChainData("an RLP list where a string must stand")
    if size is not None and len(item) != size:
        raise MalformedChainData(f"an RLP string of {len(item)} bytes where {size} must stand")
    return item


def as_list(item: Item) -> list[Item]:
    """The item as a list. Raises MalformedChainData."""
    if isinstance(item, bytes):
        raise MalformedChainData("an RLP string where a list must stand")
    return item


def as_integer(item: Item, size: int = 32) -> int:
    """The item as a whole number of at most `size` bytes, without leading zeroes. Raises MalformedChainData."""
    data = as_bytes(item)
    if len(data) > size or data[:1] == b"\0":
        raise MalformedChainData("not a whole number in RLP")
    return int.from_bytes(data, "big")
