"""Proof of a range of a log: every leaf hash of leaves [start, end), and what lies beside them up to a signed head.

What lies before `start` and after `end` is given as the fewest complete subtrees (RFC 6962, section 2.1): before, those
of `start` read as a sum of powers of two, the widest first; after, those that begin at `end`, each as wide as its
place and the tree's size allow. Whoever adds them up in their order has the root of the tree, whatever the number of
leaves, and needs a few dozen hashes of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.log.errors import ProofInvalid
from appliance.log.tree import ReadSubtree, fold, node_hash
from appliance.tree_hash import SHA256, TreeHash

_BLOCK_LEVEL = 8
_BLOCK = 1 << _BLOCK_LEVEL


@dataclass(frozen=True)
class RangeProof:
    """Leaves [start, end) of the tree of `size`: what lies beside them, a hash each, from left to right."""

    start: int
    end: int
    size: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def subtrees_before(start: int) -> list[tuple[int, int]]:
    """The complete subtrees, (level, index), that cover leaves [0, start), from left to right."""
    found: list[tuple[int, int]] = []
    at = 0
    for level in range(start.bit_length() - 1, -1, -1):
        if start >> level & 1:
            found.append((level, at >> level))
            at += 1 << level
    return found


def subtrees_after(end: int, size: int) -> list[tuple[int, int]]:
    """The complete subtrees, (level, index), that cover leaves [end, size), from left to right."""
    found: list[tuple[int, int]] = []
    at = end
    while at < size:
        level = (size - at).bit_length() - 1
        if at:
            level = min(level, (at & -at).bit_length() - 1)
        found.append((level, at >> level))
        at += 1 << level
    return found


def make_range_proof(start: int, end: int, size: int, read: ReadSubtree) -> RangeProof:
    """The proof of leaves [start, end), from stored subtrees. Raises ProofInvalid for a range outside the tree."""
    if not 0 <= start <= end <= size:
        raise ProofInvalid(f"a tree of {size} leaves has no range from {start} to {end}")
    return RangeProof(
        start,
        end,
        size,
        tuple(read(*place) for place in subtrees_before(start)),
        tuple(read(*place) for place in subtrees_after(end, size)),
    )


class RangeRoot:
    """Adds leaf hashes up to a root, in their order, in bounded memory. Give `before`, the leaves, then `after`."""

    def __init__(self, start: int, before: Sequence[bytes], hashing: TreeHash = SHA256) -> None:
        """Raises ProofInvalid when `before` is not what lies before `start`."""
        places = subtrees_before(start)
        if start < 0 or len(places) != len(before):
            raise ProofInvalid(f"{len(places)} hashes lie before leaf {start}, not {len(before)}")
        self.size = start
        """Leaves so far."""
        self._hashing = hashing
        self._stack: list[tuple[int, bytes]] = []
        self._waiting = bytearray()
        for (level, _), value in zip(places, before, strict=True):
            self._stack.append((level, _checked(value, hashing)))

    def add(self, leaf_hashes: bytes) -> None:
        """The next leaves' hashes, packed, any number of them. Raises ProofInvalid for a torn one."""
        width = self._hashing.size
        if len(leaf_hashes) % width:
            raise ProofInvalid(f"a leaf hash has {width} bytes")
        self.size += len(leaf_hashes) // width
        self._waiting += leaf_hashes
        # Gathered, so that most of the tree is folded a level at a time.
        if len(self._waiting) >= _BLOCK * width:
            self._settle()

    def root(self, size: int, after: Sequence[bytes]) -> bytes:
        """The root of the tree of `size`. Raises ProofInvalid when `after` is not what lies after the leaves."""
        places = subtrees_after(self.size, size)
        if size < self.size or len(places) != len(after):
            raise ProofInvalid(f"{len(places)} hashes lie between leaf {self.size} and {size}, not {len(after)}")
        self._settle()
        for (level, _), value in zip(places, after, strict=True):
            self._push(level, _checked(value, self._hashing))
        result = b""
        for _, value in reversed(self._stack):
            result = node_hash(value, result, self._hashing) if result else value
        return result or self._hashing.empty_root

    def _settle(self) -> None:
        """Fold what waits into the stack: whole blocks at once, single leaves at the two ends."""
        waiting, at = bytes(self._waiting), 0
        width = self._hashing.size
        first = self.size - len(waiting) // width
        self._waiting.clear()
        while at < len(waiting):
            place = first + at // width
            left = (len(waiting) - at) // width
            level = min(left.bit_length() - 1, (place & -place).bit_length() - 1 if place else 63, _BLOCK_LEVEL)
            end = at + (width << level)
            self._push(level, fold(waiting[at:end], self._hashing))
            at = end

    def _push(self, level: int, value: bytes) -> None:
        stack = self._stack
        while stack and stack[-1][0] == level:
            value = node_hash(stack.pop()[1], value, self._hashing)
            level += 1
        stack.append((level, value))


def root_of_range(proof: RangeProof, leaf_hashes: Iterable[bytes], hashing: TreeHash = SHA256) -> bytes:
    """The root that a proof and the leaf hashes of its range lead to. Raises ProofInvalid where they do not fit."""
    adding = RangeRoot(proof.start, proof.before, hashing)
    for value in leaf_hashes:
        adding.add(_checked(value, hashing))
    if adding.size != proof.end:
        raise ProofInvalid(f"{adding.size - proof.start} leaf hashes, not {proof.end - proof.start}")
    return adding.root(proof.size, proof.after)


def verify_range(proof: RangeProof, leaf_hashes: Iterable[bytes], tree_root: bytes, hashing: TreeHash = SHA256) -> None:
    """Raise ProofInvalid unless these are leaves [start, end) of the tree of `size` with `tree_root`."""
    if root_of_range(proof, leaf_hashes, hashing) != tree_root:
        raise ProofInvalid(f"leaves {proof.start} to {proof.end} do not lead to the root of the tree of {proof.size}")


def _checked(value: bytes, hashing: TreeHash) -> bytes:
    if len(value) != hashing.size:
        raise ProofInvalid(f"a hash has {hashing.size} bytes")
    return value
