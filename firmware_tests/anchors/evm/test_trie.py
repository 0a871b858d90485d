"""Tries: the published roots, another library's roots and proofs, and what is no proof."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchors.evm import rlp
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256
from appliance.anchors.evm.trie import (
    EMPTY_ROOT,
    MAXIMUM_NODE_BYTES,
    MAXIMUM_PROOF_NODES,
    NotInTrie,
    Trie,
    index_key,
    prove,
)
from firmware_tests.others.npm import node

# Of github.com/ethereum/tests, TrieTests/trietest.json, what is left once the deletions in it are done.
PUBLISHED: dict[str, tuple[Mapping[str, str], str]] = {
    "emptyValues": (
        {"do": "verb", "horse": "stallion", "doge": "coin", "dog": "puppy"},
        "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84",
    ),
    "insert-middle-leaf": (
        {
            "key1aa": "0123456789012345678901234567890123456789xxx",
            "key1": "0123456789012345678901234567890123456789Very_Long",
            "key2bb": "aval3",
            "key2": "short",
            "key3cc": "aval3",
            "key3": "1234567890123456789012345678901",
        },
        "cb65032e2f76c48b82b5c24b3db8f670ce73982869d38cd39a624f23d62a9e89",
    ),
}


@pytest.mark.parametrize(("entries", "root"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_roots(entries: Mapping[str, str], root: str) -> None:
    trie = Trie({key.encode(): value.encode() for key, value in entries.items()})
    assert trie.root.hex() == root
    for key, value in entries.items():
        assert prove(trie.root, key.encode(), trie.proof(key.encode())) == value.encode()


def test_a_trie_of_nothing() -> None:
    assert Trie.of_list([]).root == EMPTY_ROOT == keccak256(rlp.encode(b""))
    with pytest.raises(MalformedChainData):
        prove(EMPTY_ROOT, index_key(0), [rlp.encode(b"")])


values = st.binary(min_size=1, max_size=80)
lists = st.lists(values, min_size=1, max_size=300)
maps = st.dictionaries(st.binary(min_size=1, max_size=6), values, min_size=1, max_size=40)


@given(lists, st.data())
def test_each_of_a_list_is_proved_and_nothing_else(items: list[bytes], data: st.DataObject) -> None:
    trie = Trie.of_list(items)
    index = data.draw(st.integers(0, len(items) - 1))
    proof = trie.proof(index_key(index))
    assert prove(trie.root, index_key(index), proof) == items[index]
    other = data.draw(st.integers(0, len(items) + 300))
    try:
        found = prove(trie.root, index_key(other), proof)
    except MalformedChainData:
        return
    # Short values stand inside the nodes above them: a proof of one shows its neighbours, too.
    assert found == items[other]


@given(maps, st.data())
def test_a_damaged_proof_never_proves_another_value(entries: dict[bytes, bytes], data: st.DataObject) -> None:
    trie = Trie(entries)
    key = data.draw(st.sampled_from(sorted(entries)))
    proof = trie.proof(key)
    place = data.draw(st.integers(0, len(proof) - 1))
    match data.draw(st.sampled_from(["change", "cut", "drop", "double", "swap", "add", "root"])):
        case "change":
            at = data.draw(st.integers(0, len(proof[place]) - 1))
            mask = data.draw(st.integers(1, 255))
            proof[place] = proof[place][:at] + bytes([proof[place][at] ^ mask]) + proof[place][at + 1 :]
        case "cut":
            proof[place] = proof[place][:-1]
        case "drop":
            del proof[place]
        case "double":
            proof.insert(place, proof[place])
        case "swap":
            other = Trie({each: value + b"!" for each, value in entries.items()})
            proof[place:] = other.proof(key)[place:]
        case "add":
            proof.append(rlp.encode([b"\x20", b"value"]))
        case "root":
            with pytest.raises(NotInTrie):
                prove(keccak256(trie.root), key, proof)
            return
    with pytest.raises(MalformedChainData):
        prove(trie.root, key, proof)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.binary(min_size=1, max_size=4))
def test_a_hostile_node_under_its_own_hash_is_refused_as_malformed(encoded: bytes, key: bytes) -> None:
    try:
        found = prove(keccak256(encoded), key, [encoded])
    except MalformedChainData:
        return
    assert found in encoded


def extension(path: str, below: rlp.Encodable) -> bytes:
    return rlp.encode([bytes.fromhex(path), below])


HOSTILE = {
    "an extension over nothing": extension("00", b"\x01" * 32),
    "a path with a flag that is none": extension("4180", b"value"),
    "a path whose padding is not zero": extension("2180", b"value"),
    "a path of no bytes": extension("", b"value"),
    "three items": rlp.encode([b"\x20\x80", b"value", b""]),
    "one item": rlp.encode([b"\x20\x80"]),
    "a branch of sixteen": rlp.encode([b""] * 16),
    "a branch whose value is a list": rlp.encode([b""] * 8 + [[b"\x20", [b"value"]]] + [b""] * 8),
    "a node in place that is longer than a hash": rlp.encode([b""] * 8 + [[b"\x30", b"v" * 40]] + [b""] * 8),
    "a reference of 31 bytes": rlp.encode([b""] * 8 + [b"\x01" * 31] + [b""] * 8),
    "a string": rlp.encode(b"value"),
    "a leaf of nothing": extension("2080", b""),
}


@pytest.mark.parametrize("encoded", HOSTILE.values(), ids=HOSTILE)
def test_nodes_that_no_trie_has(encoded: bytes) -> None:
    with pytest.raises(MalformedChainData):
        prove(keccak256(encoded), b"\x80", [encoded])


def test_an_extension_is_followed_along_its_own_path_alone() -> None:
    trie = Trie({b"\x12\x34": bytes(40), b"\x12\x56": bytes([1]) * 40})
    proof = trie.proof(b"\x12\x34")
    assert prove(trie.root, b"\x12\x34", proof) == bytes(40)
    for key in (b"\x13\x34", b"\x92\x34", b"\x12", b"\x34"):
        with pytest.raises(NotInTrie):
            prove(trie.root, key, proof)


def test_an_extension_of_no_length_is_none() -> None:
    leaf = extension("2080", b"v" * 40)
    above = extension("00", keccak256(leaf))
    with pytest.raises(NotInTrie, match="another way"):
        prove(keccak256(above), b"\x80", [above, leaf])


@pytest.mark.parametrize(("size", "holds"), [(31, True), (32, False)])
def test_a_node_stands_in_place_only_where_it_is_shorter_than_a_hash(size: int, holds: bool) -> None:
    value = b"v" * (size - 3)
    leaf: list[rlp.Encodable] = [b"\x30", value]
    assert len(rlp.encode(leaf)) == size
    branch = rlp.encode([b""] * 8 + [leaf] + [b""] * 8)
    if holds:
        assert prove(keccak256(branch), b"\x80", [branch]) == value
    else:
        with pytest.raises(NotInTrie, match="inside another"):
            prove(keccak256(branch), b"\x80", [branch])


def test_a_trie_has_no_empty_values_and_proofs_of_its_own_keys_alone() -> None:
    with pytest.raises(ValueError, match="not there"):
        Trie({b"key": b""})
    with pytest.raises(KeyError):
        Trie({b"key": b"value"}).proof(b"other")


def test_a_proof_of_very_many_nodes_is_not_looked_at() -> None:
    with pytest.raises(NotInTrie, match="nodes, at most"):
        prove(bytes(32), b"\x80", [b""] * (MAXIMUM_PROOF_NODES + 1))


def test_a_very_large_node_is_not_hashed() -> None:
    large = rlp.encode([b"\x20\x80", bytes(MAXIMUM_NODE_BYTES)])
    with pytest.raises(NotInTrie, match="bytes, at most"):
        prove(keccak256(large), b"\x80", [large])


def test_another_library_makes_the_same_roots_and_takes_our_proofs_and_we_take_its(tmp_path: Path) -> None:
    chance = random.Random(8)
    tries = [
        Trie.of_list([chance.randbytes(chance.randint(1, 90)) for _ in range(size)])
        for size in (1, 2, 16, 17, 129, 300)
    ]
    tries += [
        Trie({chance.randbytes(chance.randint(1, 5)): chance.randbytes(chance.randint(1, 50)) for _ in range(60)})
        for _ in range(10)
    ]
    asked = []
    for trie in tries:
        entries = trie.values
        keys = chance.sample(sorted(entries), min(10, len(entries)))
        asked.append((trie, keys))
    cases = [
        {
            "entries": [[key.hex(), value.hex()] for key, value in trie.values.items()],
            "proofs": [[key.hex(), [each.hex() for each in trie.proof(key)]] for key in keys],
        }
        for trie, keys in asked
    ]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    for (trie, keys), theirs in zip(asked, node("evm-tries.mjs", str(file)), strict=True):
        assert theirs["root"] == trie.root.hex()
        for key, value, nodes in zip(keys, theirs["values"], theirs["proofs"], strict=True):
            assert bytes.fromhex(value) == trie.values[key]
            # It lists the nodes that stand inside others once more.
            hashed = [each for at, each in enumerate(map(bytes.fromhex, nodes)) if at == 0 or len(each) >= 32]
            assert hashed == trie.proof(key)
