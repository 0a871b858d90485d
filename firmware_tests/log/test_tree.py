"""Trees and proofs against the recursive definition of RFC 6962, and what must not verify."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.log import tree
from appliance.log.errors import ProofInvalid
from firmware_tests.log import oracle

entries = st.lists(st.binary(max_size=4), min_size=1, max_size=90)


def hashes(data: list[bytes]) -> list[bytes]:
    return [tree.leaf_hash(entry) for entry in data]


def test_empty_tree() -> None:
    assert tree.root([]) == tree.EMPTY_ROOT == oracle.mth([])


@given(entries)
def test_root(data: list[bytes]) -> None:
    assert tree.root(hashes(data)) == oracle.mth(data)


@given(entries, st.data())
def test_inclusion(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    path = tree.inclusion_proof(index, len(data), tree.subtree_reader(hashes(data)))
    assert path == oracle.path(index, data)
    tree.verify_inclusion(index, len(data), tree.leaf_hash(data[index]), path, oracle.mth(data))


@given(entries, st.data())
def test_consistency(data: list[bytes], draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, len(data)))
    path = tree.consistency_proof(old, len(data), tree.subtree_reader(hashes(data)))
    assert path == oracle.proof(old, data)
    tree.verify_consistency(old, oracle.mth(data[:old]), len(data), oracle.mth(data), path)


@given(entries, st.data())
def test_a_changed_inclusion_proof_fails(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    path = oracle.path(index, data)
    leaf, root = tree.leaf_hash(data[index]), oracle.mth(data)
    changed = draw.draw(st.sampled_from(["leaf", "root", "step", "longer", "shorter", "index", "size"]))
    size = len(data)
    if changed == "leaf":
        leaf = tree.leaf_hash(b"another entry")
    elif changed == "root":
        root = bytes(32)
    elif changed == "longer":
        path = [*path, bytes(32)]
    elif changed == "step":
        path = [bytes(32), *path[1:]]
        if not path[1:]:
            root = bytes(32)
    elif changed == "shorter":
        path, root = path[:-1], root if path else bytes(32)
    elif changed == "index":
        index = size
    else:
        size = index
    with pytest.raises(ProofInvalid):
        tree.verify_inclusion(index, size, leaf, path, root)


@given(entries, entries, st.data())
def test_two_histories_are_never_consistent(data: list[bytes], other: list[bytes], draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, len(data)))
    forked = [*other[: old - 1], b"forked", *data[old:]][: max(old, 1)]
    if forked == data[: len(forked)] or len(forked) != old:
        return
    with pytest.raises(ProofInvalid):
        tree.verify_consistency(old, oracle.mth(forked), len(data), oracle.mth(data), oracle.proof(old, data))


def test_consistency_at_the_edges() -> None:
    root = oracle.mth([b"a", b"b"])
    tree.verify_consistency(0, tree.EMPTY_ROOT, 2, root, [])
    tree.verify_consistency(2, root, 2, root, [])
    tree.verify_consistency(0, tree.EMPTY_ROOT, 0, tree.EMPTY_ROOT, [])
    for old, old_root, new, new_root, path in [
        (0, bytes(32), 2, root, []),
        (0, tree.EMPTY_ROOT, 0, root, []),
        (2, bytes(32), 2, root, []),
        (2, root, 1, root, []),
        (-1, root, 1, root, []),
        (1, root, 2, root, [b"short"]),
    ]:
        with pytest.raises(ProofInvalid):
            tree.verify_consistency(old, old_root, new, new_root, path)
