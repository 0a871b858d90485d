"""Trees, tiles, proofs and receipts under each hash, against the recursive definition and plain hashlib."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.files import write_durably
from appliance.log import Integrator, LogKey, LogReader, TileReader, VerifierKey, tree
from appliance.log.box_leaf import TenantStatement, make_box_leaf, verify_opening
from appliance.log.checkpoint import Checkpoint, sign_checkpoint
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.log.range_proof import make_range_proof, verify_range
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from appliance.log.receipts import parse_receipt, sign_root, verify_receipt
from appliance.record import COMMITMENT_PREFIX, commitment
from appliance.tree_hash import SHA256, SHA512, SM3, TREE_HASHES, TreeHash, hash_of, renewed_origin
from firmware_tests.log import oracle

PLAIN = {"sha256": hashlib.sha256, "sha512": hashlib.sha512, "sm3": lambda data: hashlib.new("sm3", data)}
hashings = st.sampled_from(TREE_HASHES)
entries = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def leaves(data: list[bytes], hashing: TreeHash) -> list[bytes]:
    return [tree.leaf_hash(entry, hashing) for entry in data]


@given(hashings, entries, st.data())
def test_trees_and_proofs(hashing: TreeHash, data: list[bytes], draw: st.DataObject) -> None:
    new = PLAIN[hashing.name]
    hashes = leaves(data, hashing)
    root = tree.root(hashes, hashing)
    assert root == oracle.mth(data, new)
    read = tree.subtree_reader(hashes, hashing)
    index = draw.draw(st.integers(0, len(data) - 1))
    path = tree.inclusion_proof(index, len(data), read, hashing)
    assert path == oracle.path(index, data, new)
    tree.verify_inclusion(index, len(data), hashes[index], path, root, hashing)
    old = draw.draw(st.integers(1, len(data)))
    proof = tree.consistency_proof(old, len(data), read, hashing)
    assert proof == oracle.proof(old, data, new)
    tree.verify_consistency(old, oracle.mth(data[:old], new), len(data), root, proof, hashing)
    span = make_range_proof(min(index, old), max(index, old), len(data), read)
    verify_range(span, hashes[span.start : span.end], root, hashing)
    # Under another hash nothing of it holds.
    other = draw.draw(st.sampled_from([one for one in TREE_HASHES if one != hashing]))
    if path:
        with pytest.raises(ProofInvalid):
            tree.verify_inclusion(index, len(data), hashes[index], path, root, other)
    assert tree.root(leaves(data, other), other) != root


def test_the_empty_tree_of_each_hash() -> None:
    for hashing in TREE_HASHES:
        assert tree.root([], hashing) == PLAIN[hashing.name](b"").digest()
        assert len(hashing.empty_root) == hashing.size


@pytest.mark.parametrize(
    ("origin", "hashing"),
    [
        ("log.example/bank", SHA256), ("log.example/bank/sha512", SHA512), ("log.example/bank/sm3", SM3),
        ("log.example/sha512/bank", SHA256), ("sha512", SHA512), ("log.example/bank-sha512", SHA256),
        ("log.example/bank/sha256", SHA256), ("log.example/bank/SHA512", SHA256), ("log.example/bank/sha512/", SHA256),
    ],
)  # fmt: skip
def test_an_origin_names_its_hash(origin: str, hashing: TreeHash) -> None:
    assert hash_of(origin) is hashing


def test_the_origin_of_the_log_that_follows() -> None:
    assert renewed_origin("log.example/bank", SHA512) == "log.example/bank/sha512"
    assert renewed_origin("log.example/bank/sha512", SM3) == "log.example/bank/sm3"


@given(hashings, st.binary(max_size=40), st.binary(min_size=32, max_size=32))
def test_commitments_are_under_the_hash_of_the_log(hashing: TreeHash, record: bytes, salt: bytes) -> None:
    assert commitment(salt, record, hashing) == PLAIN[hashing.name](COMMITMENT_PREFIX + salt + record).digest()


def made(place: Path, origin: str, size: int) -> tuple[LogReader, list[bytes], LogKey, Any]:
    """A published log of an origin, without box."""
    hashing = hash_of(origin)
    data = [PLAIN[hashing.name](b"%d" % number).digest() for number in range(size)]
    integrator = Integrator(place, hashing=hashing)
    integrator.append(data)
    integrator.flush()
    key = Ed25519PrivateKey.generate()
    verifier = VerifierKey(origin, key.public_key().public_bytes_raw())
    root = integrator.root()
    integrator.close()
    write_durably(place / CHECKPOINT_FILE, sign_checkpoint(Checkpoint(origin, size, root), [(verifier, key.sign)]))
    write_durably(place / SIGNED_ROOT_FILE, sign_root(size, root, verifier, key.sign, hashing).encode())
    return LogReader(place, hashing), data, LogKey(verifier), key


@pytest.mark.parametrize("name", ["sha512", "sm3"])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_tiles_proofs_and_receipts(tmp_path: Path, name: str, size: int) -> None:
    origin = f"log.example/rehearsal/{name}"
    hashing = hash_of(origin)
    reader, data, key, _ = made(tmp_path, origin, size)
    if size < 1_000:
        assert TileReader(tmp_path, size, hashing).root() == oracle.mth(data, PLAIN[name])
    if size >= 256:
        assert (tmp_path / "tile/0/000").stat().st_size == 256 * hashing.size
        assert (tmp_path / "tile/entries/000").stat().st_size == 256 * (2 + hashing.size)
    for index in {0, size // 2, size - 1}:
        proof = TlogProof.parse(reader.tlog_proof(index, entry=data[index]))
        assert verify_tlog_proof(proof, data[index], origin, [key]).size == size
        receipt = parse_receipt(reader.receipt(index))
        verify_receipt(receipt, data[index], [key], hashing)
        with pytest.raises((ProofInvalid, SignatureInvalid)):
            verify_receipt(receipt, data[index], [key], SHA256)
        with pytest.raises(ProofInvalid):
            verify_tlog_proof(proof, b"another", origin, [key])
    # An integrator goes on where the tiles end.
    integrator = Integrator(tmp_path, size, hashing=hashing)
    integrator.append([bytes(hashing.size)])
    integrator.flush()
    assert integrator.root() == TileReader(tmp_path, size + 1, hashing).root()
    with pytest.raises(ValueError, match="bytes"):
        integrator.append([bytes(hashing.size + 1)])
    integrator.close()


def test_a_root_of_another_length_is_no_head_of_the_log() -> None:
    key = Ed25519PrivateKey.generate()
    for origin, width in (("log.example/a", 64), ("log.example/a/sha512", 32), ("log.example/a/sm3", 64)):
        verifier = VerifierKey(origin, key.public_key().public_bytes_raw())
        note = sign_checkpoint(Checkpoint(origin, 1, bytes(width)), [(verifier, key.sign)])
        with pytest.raises(MalformedNote, match="root"):
            Checkpoint.parse(parse_note(note).text)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(hashings, st.integers(1, 40))
def test_box_leaves(hashing: TreeHash, tenants: int) -> None:
    statements = {
        f"tenant-{number}": TenantStatement(origin="log.example/a", previous="00", root="00", size=number)
        for number in range(tenants)
    }
    leaf = make_box_leaf(statements, 5, hashing)
    assert leaf.leaf.entry(hashing) == PLAIN[hashing.name](leaf.leaf.canonical()).digest()
    for name, opening in leaf.openings.items():
        assert verify_opening(opening, hashing) == statements[name]
        assert len(opening.commitment(hashing)) == hashing.size
        for other in TREE_HASHES:
            if other != hashing:
                with pytest.raises((ProofInvalid, MalformedProof)):
                    verify_opening(opening, other)
