"""Range proofs against the plain definition of the tree's root."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.log import tree
from appliance.log.errors import ProofInvalid
from appliance.log.range_proof import RangeProof, RangeRoot, make_range_proof, root_of_range, verify_range


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


def leaves_of(size: int) -> list[bytes]:
    return [tree.leaf_hash(number.to_bytes(4, "big")) for number in range(size)]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.integers(0, 700))
    start = draw(st.integers(0, size))
    return start, draw(st.integers(start, size)), size


@given(ranges())
@settings(max_examples=150)
def test_every_range_leads_to_the_root(place: tuple[int, int, int]) -> None:
    start, end, size = place
    leaves = leaves_of(size)
    proof = make_range_proof(start, end, size, tree.subtree_reader(leaves))
    assert len(proof.before) + len(proof.after) <= 2 * max(1, size).bit_length()
    assert root_of_range(proof, leaves[start:end]) == plain_root(leaves)


def test_every_small_range() -> None:
    for size in range(20):
        leaves = leaves_of(size)
        for start in range(size + 1):
            for end in range(start, size + 1):
                proof = make_range_proof(start, end, size, tree.subtree_reader(leaves))
                verify_range(proof, leaves[start:end], plain_root(leaves))


@given(ranges(), st.lists(st.integers(0, 300), max_size=20))
@settings(max_examples=60)
def test_leaves_may_come_in_any_portions(place: tuple[int, int, int], portions: list[int]) -> None:
    start, end, size = place
    leaves = leaves_of(size)
    proof = make_range_proof(start, end, size, tree.subtree_reader(leaves))
    adding, at = RangeRoot(start, proof.before), start
    for portion in [*portions, size]:
        stop = min(end, at + portion)
        adding.add(b"".join(leaves[at:stop]))
        at = stop
    assert adding.size == end
    assert adding.root(size, proof.after) == plain_root(leaves)


@given(ranges(), st.data())
@settings(max_examples=150)
def test_whatever_is_changed_is_found(place: tuple[int, int, int], data: st.DataObject) -> None:
    start, end, size = place
    leaves = leaves_of(size)
    proof = make_range_proof(start, end, size, tree.subtree_reader(leaves))
    shown = leaves[start:end]
    kinds = ["drop", "change", "swap", "add"] if len(shown) > 1 else ["add"]
    kind = data.draw(st.sampled_from(kinds))
    where = data.draw(st.integers(0, max(0, len(shown) - 2)))
    if kind == "drop":
        del shown[where]
    elif kind == "change":
        shown[where] = bytes([shown[where][0] ^ 1]) + shown[where][1:]
    elif kind == "swap":
        shown[where], shown[where + 1] = shown[where + 1], shown[where]
    else:
        shown.insert(where, bytes(32))
    with pytest.raises(ProofInvalid):
        verify_range(proof, shown, plain_root(leaves))


def test_a_changed_neighbour_is_found() -> None:
    leaves = leaves_of(100)
    proof = make_range_proof(7, 60, 100, tree.subtree_reader(leaves))
    for side in ("before", "after"):
        for place in range(len(getattr(proof, side))):
            hashes = list(getattr(proof, side))
            hashes[place] = bytes(32)
            changed = RangeProof(7, 60, 100, **{"before": proof.before, "after": proof.after, side: tuple(hashes)})
            with pytest.raises(ProofInvalid):
                verify_range(changed, leaves[7:60], tree.root(leaves))


def test_what_does_not_fit_is_refused() -> None:
    leaves = leaves_of(10)
    proof = make_range_proof(2, 5, 10, tree.subtree_reader(leaves))
    for start, end, size in ((-1, 2, 10), (5, 2, 10), (2, 11, 10)):
        with pytest.raises(ProofInvalid):
            make_range_proof(start, end, size, tree.subtree_reader(leaves))
    with pytest.raises(ProofInvalid):
        RangeRoot(2, ())
    with pytest.raises(ProofInvalid):
        RangeRoot(2, (b"short",))
    with pytest.raises(ProofInvalid):
        RangeRoot(2, proof.before).add(b"torn")
    with pytest.raises(ProofInvalid):
        RangeRoot(2, proof.before).root(1, ())
    with pytest.raises(ProofInvalid):
        RangeRoot(2, proof.before).root(10, ())
