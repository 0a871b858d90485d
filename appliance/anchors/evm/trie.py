"""Merkle-Patricia tries (Ethereum yellow paper, appendix D): made from a block's list, and proofs of inclusion.

A block's transactions and its receipts each stand in a trie whose keys are the RLP of their index and whose root is in
the header. A proof is the list of nodes from the root to the value, as RLP; a node shorter than 32 bytes stands inside
the one above it and not in the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""The root of a trie with nothing in it: Keccak-256 of RLP's empty string."""

MAXIMUM_PROOF_NODES = 16
"""The key of an index is at most five bytes long: ten nibbles, so eleven nodes."""
MAXIMUM_NODE_BYTES = 524_288
_NODE_ITEMS = 256
_BRANCH = 17
_HASH_BYTES = 32
_LEAF_FLAG, _ODD_FLAG = 2, 1


class NotInTrie(MalformedChainData):
    """The nodes are no proof that the key stands under this root."""


def index_key(index: int) -> bytes:
    """The key of a block's transaction or receipt."""
    return rlp.encode(rlp.integer(index))


def prove(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """The value that stands under `root` (32 bytes) at `key`, as the proof's nodes show. Raises NotInTrie.

    Every node must be needed and be hashed by the one before it; nothing is said of keys that are absent.
    """
    if len(nodes) > MAXIMUM_PROOF_NODES:
        raise NotInTrie(f"a proof of {len(nodes)} nodes, at most {MAXIMUM_PROOF_NODES} are taken")
    path = _nibbles(key)
    left = list(reversed(nodes))
    reference: rlp.Item = root
    while True:
        node = _open(reference, left)
        if len(node) == _BRANCH:
            if not path:
                value = node[16]
                break
            reference, path = node[path[0]], path[1:]
            continue
        if len(node) != 2:
            raise NotInTrie("a node that is neither a branch nor a leaf nor an extension")
        is_leaf, shared = _read_path(rlp.as_bytes(node[0]))
        if is_leaf:
            if shared != path:
                raise NotInTrie("the proof ends at another key")
            value = node[1]
            break
        if not shared or path[: len(shared)] != shared:
            raise NotInTrie("the proof goes another way than the key")
        reference, path = node[1], path[len(shared) :]
    if left:
        raise NotInTrie("the proof has nodes that nothing refers to")
    found = rlp.as_bytes(value)
    if not found:
        raise NotInTrie("nothing stands at the key")
    return found


def _open(reference: rlp.Item, left: list[bytes]) -> list[rlp.Item]:
    """The node that is referred to: the one that stands in place, or the next of the proof."""
    if not isinstance(reference, bytes):
        if len(rlp.encode(reference)) >= _HASH_BYTES:
            raise NotInTrie("a node stands inside another where its hash should")
        return reference
    if len(reference) != _HASH_BYTES:
        raise NotInTrie("nothing stands at the key")
    if not left:
        raise NotInTrie("the proof is cut short")
    encoded = left.pop()
    if len(encoded) > MAXIMUM_NODE_BYTES:
        raise NotInTrie(f"a node of {len(encoded)} bytes, at most {MAXIMUM_NODE_BYTES} are taken")
    if keccak256(encoded) != reference:
        raise NotInTrie("a node that is not the one whose hash stands above it")
    return rlp.decode_list(encoded, _NODE_ITEMS)


def _nibbles(key: bytes) -> bytes:
    """Half-bytes, one to a byte."""
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _write_path(nibbles: bytes, is_leaf: bool) -> bytes:
    """The hex-prefix form of a path (yellow paper, appendix C)."""
    flag = (_LEAF_FLAG if is_leaf else 0) + len(nibbles) % 2
    padded = bytes([flag]) + (b"" if len(nibbles) % 2 else b"\0") + nibbles
    return bytes(padded[at] << 4 | padded[at + 1] for at in range(0, len(padded), 2))


def _read_path(encoded: bytes) -> tuple[bool, bytes]:
    nibbles = _nibbles(encoded)
    if not nibbles or nibbles[0] > _LEAF_FLAG + _ODD_FLAG:
        raise NotInTrie("a path that is not in hex-prefix form")
    odd = nibbles[0] & _ODD_FLAG
    if not odd and nibbles[1]:
        raise NotInTrie("a path that is not in hex-prefix form")
    return nibbles[0] >= _LEAF_FLAG, nibbles[2 - odd :]


class Trie:
    """A trie over some keys, whole in memory: its root and its proofs. Values are not empty."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        if not all(values.values()):
            raise ValueError("an empty value is one that is not there")
        self.values = values
        self._nodes: dict[bytes, bytes] = {}

    @classmethod
    def of_list(cls, values: Sequence[bytes]) -> Trie:
        """The trie of a block's transactions (raw), or of its receipts (as `receipts` writes them)."""
        return cls({index_key(index): value for index, value in enumerate(values)})

    @cached_property
    def root(self) -> bytes:
        """32 bytes, as a header has it."""
        if not self.values:
            return EMPTY_ROOT
        entries = sorted((_nibbles(key), value) for key, value in self.values.items())
        encoded = rlp.encode(self._node(entries, 0))
        self._nodes[keccak256(encoded)] = encoded
        return keccak256(encoded)

    def proof(self, key: bytes) -> list[bytes]:
        """The nodes that `prove` takes for this key. Raises KeyError."""
        if key not in self.values:
            raise KeyError(key)
        nodes: list[bytes] = []
        reference: rlp.Item = self.root
        path = _nibbles(key)
        while True:
            if isinstance(reference, bytes):
                nodes.append(self._nodes[reference])
                node = rlp.decode_list(self._nodes[reference], _NODE_ITEMS)
            else:
                node = reference
            if len(node) == _BRANCH:
                if not path:
                    return nodes
                reference, path = node[path[0]], path[1:]
                continue
            is_leaf, shared = _read_path(rlp.as_bytes(node[0]))
            if is_leaf:
                return nodes
            reference, path = node[1], path[len(shared) :]

    def _node(self, entries: Sequence[tuple[bytes, bytes]], at: int) -> rlp.Encodable:
        """The node over entries whose keys are alike in their first `at` nibbles; sorted, at least one."""
        first, last = entries[0][0], entries[-1][0]
        if len(entries) == 1:
            return [_write_path(first[at:], is_leaf=True), entries[0][1]]
        shared = at
        while shared < len(first) and shared < len(last) and first[shared] == last[shared]:
            shared += 1
        if shared > at:
            return [_write_path(first[at:shared], is_leaf=False), self._reference(entries, shared)]
        branch: list[rlp.Encodable] = [b""] * _BRANCH
        start = 0
        if len(first) == at:
            branch[16], start = entries[0][1], 1
        while start < len(entries):
            nibble, end = entries[start][0][at], start + 1
            while end < len(entries) and entries[end][0][at] == nibble:
                end += 1
            branch[nibble] = self._reference(entries[start:end], at + 1)
            start = end
        return branch

    def _reference(self, entries: Sequence[tuple[bytes, bytes]], at: int) -> rlp.Encodable:
        """What stands in a node for the one below it: its hash, or itself where that is shorter."""
        node = self._node(entries, at)
        encoded = rlp.encode(node)
        if len(encoded) < _HASH_BYTES:
            return node
        self._nodes[keccak256(encoded)] = encoded
        return keccak256(encoded)
