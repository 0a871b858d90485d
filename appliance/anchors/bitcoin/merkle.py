"""The merkle tree of a block's transactions: root, branch, and a branch's root.

A level of odd size repeats its last node. Two blocks of other transactions could thereby have one root
(CVE-2012-2459), so a branch is read together with the number of transactions: a node is hashed with itself where the
level ends in it and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from appliance.anchors.bitcoin.encoding import sha256d
from appliance.anchors.bitcoin.errors import MalformedBitcoin

MOST_TRANSACTIONS: Final = 1 << 17
"""A block of 4 MB has no more than 67,000 of 60 bytes."""


def root_of(txids: Sequence[bytes]) -> bytes:
    """The root over the ids of all transactions of a block."""
    level = list(txids)
    while len(level) > 1:
        level = [sha256d(left + right) for left, right in _pairs(level)]
    return level[0]


def branch_of(txids: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The siblings from transaction `index` up to the root; none of them is stored for a node hashed with itself."""
    branch: list[bytes] = []
    level = list(txids)
    while len(level) > 1:
        if index ^ 1 < len(level):
            branch.append(level[index ^ 1])
        level = [sha256d(left + right) for left, right in _pairs(level)]
        index >>= 1
    return tuple(branch)


def climb(txid: bytes, index: int, count: int, branch: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs that are hashed from a transaction up to the root.

    Raises MalformedBitcoin where the branch does not fit transaction `index` of `count`."""
    if not 0 <= index < count <= MOST_TRANSACTIONS:
        raise MalformedBitcoin("no transaction of a block stands there")
    siblings = iter(branch)
    node = txid
    while count > 1:
        if index ^ 1 < count:
            sibling = next(siblings, b"")
            if len(sibling) != 32:
                raise MalformedBitcoin("the branch is too short for its block")
            if sibling == node:
                raise MalformedBitcoin("two nodes of the tree are one (CVE-2012-2459)")
        else:
            sibling = node
        pair = (sibling, node) if index & 1 else (node, sibling)
        yield pair
        node = sha256d(b"".join(pair))
        index, count = index >> 1, (count + 1) >> 1
    if next(siblings, None) is not None:
        raise MalformedBitcoin("the branch is too long for its block")


def root_by(txid: bytes, index: int, count: int, branch: Sequence[bytes]) -> bytes:
    """The root that a branch leads to. Raises MalformedBitcoin."""
    pairs = list(climb(txid, index, count, branch))
    return sha256d(b"".join(pairs[-1])) if pairs else txid


def _pairs(level: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for at in range(0, len(level), 2):
        yield level[at], level[min(at + 1, len(level) - 1)]
