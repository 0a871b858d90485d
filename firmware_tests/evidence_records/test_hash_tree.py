"""The packed tree against the plain one; what is no batch is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.algorithms import DIGESTS, UnknownAlgorithm
from appliance.evidence_records import (
    MAX_LEAVES,
    BatchRejected,
    DuplicateDigests,
    EvidenceRejected,
    HashTree,
    climb,
    distinct,
)
from firmware_tests.evidence_records.plain import root_and_path


def leaves_of(count: int, hash_name: str = "sha256") -> list[bytes]:
    return [hashlib.new(hash_name, b"%d" % number).digest() for number in range(count)]


@pytest.mark.parametrize("hash_name", list(DIGESTS))
@pytest.mark.parametrize("count", [*range(1, 18), 100])
def test_every_path_leads_to_the_root(count: int, hash_name: str) -> None:
    leaves = leaves_of(count, hash_name)
    tree = HashTree.build(b"".join(leaves), hash_name)
    for index, leaf in enumerate(leaves):
        root, siblings = root_and_path(leaves, index, hash_name)
        assert tree.root == root
        assert tree.leaf(index) == leaf
        assert tree.path(index) == b"".join(siblings)
        assert climb(leaf, tree.path(index), DIGESTS[hash_name]) == root
    for index in (-1, count):
        with pytest.raises(IndexError):
            tree.leaf(index)
        with pytest.raises(IndexError):
            tree.path(index)


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=70).map(list), st.data())
def test_any_digests(leaves: list[bytes], data) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = HashTree.build(b"".join(leaves))
    root, siblings = root_and_path(leaves, index)
    assert (tree.root, tree.path(index)) == (root, b"".join(siblings))
    again = HashTree.unpack(tree.packed, tree.count, "sha256")
    assert (again.root, again.path(index), again.leaf(index)) == (root, tree.path(index), leaves[index])


def test_a_path_has_at_most_log2_siblings() -> None:
    tree = HashTree.build(b"".join(leaves_of(10_000)))
    assert max(len(tree.path(index)) for index in range(10_000)) == 14 * 32
    assert len(tree.packed) < 2 * 10_000 * 32 + 14 * 32


def test_no_batch() -> None:
    with pytest.raises(BatchRejected, match="1 to"):
        HashTree.build(b"")
    with pytest.raises(BatchRejected, match="not all 32 bytes"):
        HashTree.build(bytes(33))
    with pytest.raises(BatchRejected, match=str(MAX_LEAVES + 1)):
        HashTree.build(bytes(32 * (MAX_LEAVES + 1)))
    with pytest.raises(UnknownAlgorithm):
        HashTree.build(bytes(20), "sha1")


def test_duplicates_are_refused_with_their_positions() -> None:
    leaves = leaves_of(6)
    with pytest.raises(DuplicateDigests, match="2 digests repeat earlier ones, at positions 6, 7") as caught:
        HashTree.build(b"".join([*leaves, leaves[3], leaves[3]]))
    assert caught.value.positions == [6, 7]
    with pytest.raises(DuplicateDigests, match="10000 digests") as caught:
        HashTree.build(leaves[0] * 10_001)
    assert len(caught.value.positions) == 100


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_distinct(numbers: list[int]) -> None:
    leaves = leaves_of(6)
    merged, positions = distinct(b"".join(leaves[number] for number in numbers))
    tree = HashTree.build(merged)
    assert tree.count == len(set(numbers))
    assert [tree.leaf(position) for position in positions] == [leaves[number] for number in numbers]


@pytest.mark.parametrize(("packed", "count"), [(b"", 0), (b"", 1), (bytes(32 * 4), 2), (bytes(32), -1), (b"", 2**40)])
def test_unpack(packed: bytes, count: int) -> None:
    with pytest.raises(EvidenceRejected):
        HashTree.unpack(packed, count, "sha256")


@pytest.mark.parametrize(("digest", "path"), [(bytes(31), b""), (bytes(32), bytes(33)), (bytes(32), bytes(32 * 22))])
def test_climb(digest: bytes, path: bytes) -> None:
    with pytest.raises(EvidenceRejected):
        climb(digest, path, DIGESTS["sha256"])


def test_vector_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evidence-records.md").read_text()
    a, b, c = (hashlib.sha256(letter).digest() for letter in (b"a", b"b", b"c"))
    tree = HashTree.build(a + b + c)
    assert tree.path(0) == b + c
    assert f"`{tree.root.hex()}`; the path of the first" in page
    assert f"the one node `{tree.path(2).hex()}`" in page
