"""Merkle trees of RFC 6962, section 2.1, over SHA-256 or another hash: pure functions, no storage.

A subtree is named by `(level, index)`: it covers the leaves [index * 2**level, (index + 1) * 2**level). Proofs are
first computed as ranges of leaves, each range the sum of a few complete subtrees, so that whoever stores subtree
hashes (tiles) can build a proof with O(log n) reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from appliance.log.errors import ProofInvalid
from appliance.tree_hash import SHA256, TreeHash

MAXIMUM_SIZE = 2**63 - 1
"""Leaves of a tree. Sizes come out of what strangers hand in, and a walk through a tree takes as many steps, each with
numbers as long, as its size has bits."""
EMPTY_ROOT = SHA256.empty_root
"""Root of the tree without leaves (RFC 6962, section 2.1), under SHA-256."""

Range = tuple[int, int]
"""Leaves [start, end)."""
ReadSubtree = Callable[[int, int], bytes]
"""(level, index) -> hash of that complete subtree."""


def leaf_hash(entry: bytes, hashing: TreeHash = SHA256) -> bytes:
    """H(0x00 || entry)."""
    return hashing.new(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes, hashing: TreeHash = SHA256) -> bytes:
    """H(0x01 || left || right)."""
    return hashing.new(b"\x01" + left + right).digest()


def fold(hashes: bytes, hashing: TreeHash = SHA256) -> bytes:
    """Root over concatenated hashes, each a leaf hash or the root of an equally high complete subtree.

    The last one may also be the root of a smaller, ragged subtree: RFC 6962 splits such a tree at the same places.
    Empty input gives the root of the tree without leaves.
    """
    if not hashes:
        return hashing.empty_root
    new, pair = hashing.new, 2 * hashing.size
    while len(hashes) >= pair:
        even = len(hashes) // pair * pair
        level = b"".join([new(b"\x01" + hashes[at : at + pair]).digest() for at in range(0, even, pair)])
        hashes = level + hashes[even:]
    return hashes


def root(leaf_hashes: Iterable[bytes], hashing: TreeHash = SHA256) -> bytes:
    """Root of the tree over these leaf hashes."""
    return fold(b"".join(leaf_hashes), hashing)


def complete_subtrees(span: Range) -> list[tuple[int, int]]:
    """The complete subtrees, as (level, index) from left to right, that make up a range.

    `start` must be a multiple of every subtree's width in the range, as it is for every range of a proof.
    """
    start, end = span
    subtrees = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append((level, start >> level))
        start += 1 << level
    return subtrees


def range_root(span: Range, read: ReadSubtree, hashing: TreeHash = SHA256) -> bytes:
    """Root of the subtree over a range, from its complete subtrees, right to left."""
    result = b""
    for level, index in reversed(complete_subtrees(span)):
        left = read(level, index)
        result = node_hash(left, result, hashing) if result else left
    return result or hashing.empty_root


def _split(start: int, end: int) -> int:
    """Where RFC 6962 splits [start, end): after the largest power of two smaller than its length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _check_size(size: int) -> None:
    if size > MAXIMUM_SIZE:
        raise ProofInvalid("no tree has 2^63 leaves or more")


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots make the audit path of leaf `index` in a tree of `size`, leaf's sibling first.

    Raises ProofInvalid when the tree has no such leaf (RFC 6962, section 2.1.1).
    """
    _check_size(size)
    if not 0 <= index < size:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    path.reverse()
    return path


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose roots make the consistency proof from `old` to `new` leaves (RFC 6962, section 2.1.2).

    Empty for old == 0 and old == new. Raises ProofInvalid for old > new.
    """
    _check_size(new)
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of {new} leaves cannot extend one of {old}")
    if old in (0, new):
        return []
    path: list[Range] = []
    start, end = 0, new
    while end != old:
        middle = _split(start, end)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start:
        path.append((start, end))
    path.reverse()
    return path


def inclusion_proof(index: int, size: int, read: ReadSubtree, hashing: TreeHash = SHA256) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size`, from stored subtrees."""
    return [range_root(span, read, hashing) for span in inclusion_ranges(index, size)]


def consistency_proof(old: int, new: int, read: ReadSubtree, hashing: TreeHash = SHA256) -> list[bytes]:
    """Consistency proof from `old` to `new` leaves, from stored subtrees."""
    return [range_root(span, read, hashing) for span in consistency_ranges(old, new)]


def subtree_reader(leaf_hashes: Sequence[bytes], hashing: TreeHash = SHA256) -> ReadSubtree:
    """A reader over leaf hashes in memory, for trees that are small."""

    def read(level: int, index: int) -> bytes:
        return fold(b"".join(leaf_hashes[index << level : (index + 1) << level]), hashing)

    return read


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], hashing: TreeHash = SHA256) -> bytes:
    """The root that an audit path leads to from leaf hash `leaf`. Raises ProofInvalid for a path of wrong length."""
    ranges = inclusion_ranges(index, size)
    _check_path(f"the path of leaf {index} in {size}", len(ranges), path, hashing)
    result = leaf
    for (start, _), step in zip(ranges, path, strict=True):
        result = node_hash(result, step, hashing) if start > index else node_hash(step, result, hashing)
    return result


def _check_path(what: str, steps: int, path: Sequence[bytes], hashing: TreeHash) -> None:
    if steps != len(path) or any(len(step) != hashing.size for step in path):
        raise ProofInvalid(f"{what} has {steps} hashes of {hashing.size} bytes, not {len(path)}")


def verify_inclusion(
    index: int, size: int, leaf: bytes, path: Sequence[bytes], tree_root: bytes, hashing: TreeHash = SHA256
) -> None:
    """Raise ProofInvalid unless leaf hash `leaf` stands at `index` in the tree of `size` with `tree_root`."""
    if root_from_inclusion(index, size, leaf, path, hashing) != tree_root:
        raise ProofInvalid(f"the path of leaf {index} does not lead to the root of the tree of {size}")


def roots_from_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes], hashing: TreeHash = SHA256
) -> tuple[bytes, bytes]:
    """The roots of `old` and of `new` leaves that a consistency proof leads to. Raises ProofInvalid for a path of wrong
    length.

    The given roots stand for what the proof leaves out: the new one where it is empty, and the old one where the old
    tree is complete, which is then the same as given.
    """
    ranges = consistency_ranges(old, new)
    _check_path(f"the proof from {old} to {new}", len(ranges), path, hashing)
    if not ranges:
        empty = hashing.empty_root
        return (empty if old == 0 else new_root), (empty if new == 0 else new_root)
    # Leaves below `old` are in the ranges that start below it: those rebuild the old root, all rebuild the new one.
    steps = list(zip(ranges, path, strict=True))
    if ranges[0][0] >= old:  # old is a power of two: the old tree is itself a complete subtree, not in the proof
        old_result = new_result = old_root
    else:
        old_result = new_result = path[0]
        steps = steps[1:]
    for (start, _), step in steps:
        if start >= old:
            new_result = node_hash(new_result, step, hashing)
        else:
            old_result = node_hash(step, old_result, hashing)
            new_result = node_hash(step, new_result, hashing)
    return old_result, new_result


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes], hashing: TreeHash = SHA256
) -> None:
    """Raise ProofInvalid unless the tree (new, new_root) extends the tree (old, old_root)."""
    shown_old, shown_new = roots_from_consistency(old, old_root, new, new_root, path, hashing)
    if shown_old != old_root:
        raise ProofInvalid(f"the proof does not lead to the old root, of {old} leaves")
    if shown_new != new_root:
        raise ProofInvalid(f"the proof does not lead to the new root, of {new} leaves")
