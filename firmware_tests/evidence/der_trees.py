"""DER taken apart into a tree that can be changed and written again, also into what is no DER any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from appliance.der import BIT_STRING, OCTET_STRING, DerError, Reader, tlv

_CONSTRUCTED = 0x20


@dataclass
class Node:
    """One element. `inner`: what is in it, where that is DER as well, as in most OCTET STRINGs here."""

    tag: int
    content: bytes
    inner: list[Node] | None = None
    before: bytes = b""
    """The count of unused bits, in a BIT STRING with DER inside."""

    def encode(self) -> bytes:
        return tlv(self.tag, self.content if self.inner is None else self.before + encode(self.inner))


def encode(nodes: list[Node]) -> bytes:
    return b"".join(node.encode() for node in nodes)


def decode(encoded: bytes) -> list[Node]:
    """Raises DerError."""
    reader, found = Reader(encoded), list[Node]()
    while reader:
        tag = reader.peek()
        content = reader.read(tag)
        node = Node(tag, content)
        if tag & _CONSTRUCTED:
            node.inner = decode(content)
        elif tag in (OCTET_STRING, BIT_STRING):
            node.before = content[:1] if tag == BIT_STRING else b""
            try:
                # Two bytes at random are DER now and then; what holds certificates, keys and signatures is longer.
                node.inner = decode(content[len(node.before) :]) if len(content) > 4 and 0x30 in content[:2] else None
            except DerError:
                node.inner = None
        found.append(node)
    return found


def everywhere(nodes: list[Node]) -> Iterator[tuple[list[Node], int]]:
    """Each element, as the list that it stands in and its place there."""
    for place, node in enumerate(nodes):
        yield nodes, place
        yield from everywhere(node.inner or [])


def at(encoded: bytes, path: tuple[int, ...], change: Callable[[list[Node], int], object]) -> bytes:
    """With the element at this path changed. `change` gets the list that it stands in, and its place there."""
    nodes = whole = decode(encoded)
    for place in path[:-1]:
        inner = nodes[place].inner
        assert inner is not None
        nodes = inner
    change(nodes, path[-1] % len(nodes))
    return encode(whole)


def behind(nodes: list[Node], place: int) -> None:
    """An INTEGER behind it."""
    nodes.insert(place + 1, Node(0x02, b"\x01"))


def twice(nodes: list[Node], place: int) -> None:
    nodes.insert(place, nodes[place])


def padded(nodes: list[Node], place: int) -> None:
    """A zero before what it holds."""
    nodes[place] = Node(nodes[place].tag, b"\0" + nodes[place].content)
