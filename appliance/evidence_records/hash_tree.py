"""Hash trees of RFC 4998, section 4.2: binary, each node the hash of its two children in ascending binary order.

A node without a sibling rises to the next level as it is, so that n leaves need n - 1 hashes and no padding. Because
children are sorted, a path is just the siblings from the leaf upward: their sides need not be told. The tree is kept
as one run of bytes: all leaves in the order given, then the next level, up to the root.

Duplicate digests are refused: two items with one leaf would share one path, and whoever holds the one proof could
show it for the other. Who wants them merged uses `distinct` first and keeps the positions.
"""

from __future__ import annotations

from itertools import accumulate

from appliance.algorithms import DigestAlgorithm, digest_algorithm
from appliance.evidence_records.errors import BatchRejected, DuplicateDigests, EvidenceRejected

MAX_LEAVES = 1 << 20


class HashTree:
    """A built tree over the digests of one batch. Immutable; see `build` and `unpack`."""

    __slots__ = ("_offsets", "_widths", "algorithm", "count", "packed")

    def __init__(self, algorithm: DigestAlgorithm, count: int, packed: bytes) -> None:
        self.algorithm = algorithm
        self.count = count
        self.packed = packed
        """All levels, leaves first, root last."""
        self._widths = _widths(count)
        self._offsets = [0, *accumulate(width * algorithm.size for width in self._widths)]

    @classmethod
    def build(cls, digests: bytes, hash_name: str = "sha256") -> HashTree:
        """Build the tree over digests given as one concatenation, each as long as `hash_name` makes them.

        Raises BatchRejected, DuplicateDigests, UnknownAlgorithm.
        """
        algorithm = digest_algorithm(hash_name)
        leaves = _split(digests, algorithm)
        if len(set(leaves)) != len(leaves):
            raise DuplicateDigests(_repetitions(leaves))
        levels = [digests]
        level = leaves
        while len(level) > 1:
            level = _parents(level, algorithm)
            levels.append(b"".join(level))
        return cls(algorithm, len(leaves), b"".join(levels))

    @classmethod
    def unpack(cls, packed: bytes, count: int, hash_name: str) -> HashTree:
        """A tree from its packed levels, as `packed` gave them; only sizes are checked. Raises EvidenceRejected."""
        algorithm = digest_algorithm(hash_name)
        if not 1 <= count <= MAX_LEAVES or len(packed) != algorithm.size * sum(_widths(count)):
            raise EvidenceRejected("the packed tree has not the size of its number of leaves")
        return cls(algorithm, count, packed)

    @property
    def root(self) -> bytes:
        """What the batch's time-stamp covers."""
        return self.packed[-self.algorithm.size :]

    def leaf(self, index: int) -> bytes:
        """The digest at this position. Raises IndexError."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        size = self.algorithm.size
        return self.packed[index * size : (index + 1) * size]

    def path(self, index: int) -> bytes:
        """The siblings from this leaf up to the root, concatenated; empty for a batch of one. Raises IndexError."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        size, packed = self.algorithm.size, self.packed
        siblings = []
        for width, offset in zip(self._widths, self._offsets, strict=False):
            sibling = index ^ 1
            if sibling < width:
                start = offset + sibling * size
                siblings.append(packed[start : start + size])
            index >>= 1
        return b"".join(siblings)


def distinct(digests: bytes, hash_name: str = "sha256") -> tuple[bytes, list[int]]:
    """Merge equal digests: the distinct ones in order of first occurrence, and for each item its leaf's position."""
    leaves = _split(digests, digest_algorithm(hash_name))
    positions: dict[bytes, int] = {}
    items = [positions.setdefault(leaf, len(positions)) for leaf in leaves]
    return b"".join(positions), items


def climb(digest: bytes, path: bytes, algorithm: DigestAlgorithm) -> bytes:
    """The root that a digest and its path lead to. Raises EvidenceRejected for lengths that no tree has."""
    size, new = algorithm.size, algorithm.new
    if len(digest) != size or len(path) % size or len(path) > size * MAX_LEAVES.bit_length():
        raise EvidenceRejected(f"not a {algorithm.name} digest with a path of such digests")
    node = digest
    for start in range(0, len(path), size):
        sibling = path[start : start + size]
        node = new(node + sibling if node < sibling else sibling + node).digest()
    return node


def _split(digests: bytes, algorithm: DigestAlgorithm) -> list[bytes]:
    size = algorithm.size
    count, rest = divmod(len(digests), size)
    if rest:
        raise BatchRejected(f"the digests are not all {size} bytes long")
    if not 1 <= count <= MAX_LEAVES:
        raise BatchRejected(f"a batch has 1 to {MAX_LEAVES} digests, not {count}")
    return [digests[start : start + size] for start in range(0, len(digests), size)]


def _parents(level: list[bytes], algorithm: DigestAlgorithm) -> list[bytes]:
    new = algorithm.new
    parents = [
        new(left + right if left < right else right + left).digest()
        for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) % 2:
        parents.append(level[-1])
    return parents


def _widths(count: int) -> list[int]:
    """How many nodes each level has, from the leaves to the root."""
    widths = [count]
    while count > 1:
        count = (count + 1) // 2
        widths.append(count)
    return widths


def _repetitions(leaves: list[bytes]) -> list[int]:
    seen: set[bytes] = set()
    repeated = []
    for position, leaf in enumerate(leaves):
        if leaf in seen:
            repeated.append(position)
        seen.add(leaf)
    return repeated
