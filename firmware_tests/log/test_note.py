"""Signed notes, verifier keys, checkpoints, proofs and receipts: vectors, bad input, and any bytes at all."""

from __future__ import annotations

import base64
import contextlib

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.log import (
    Checkpoint,
    LogKey,
    MalformedNote,
    MalformedProof,
    ProofInvalid,
    SignatureInvalid,
    TlogProof,
    VerifierKey,
    inclusion_proof,
    leaf_hash,
    make_receipt,
    merge_notes,
    open_checkpoint,
    parse_note,
    parse_receipt,
    root,
    sign_checkpoint,
    sign_note,
    sign_root,
    subtree_reader,
    tree,
    verified_by,
    verify_receipt,
    verify_tlog_proof,
)
from appliance.log.box_leaf import Leaf, Opening, TenantStatement, commitment, parse_opening, verify_opening
from appliance.log.note import COSIGNATURE_V1, cosigned_message

ORIGIN = "log.example/rehearsal/alfa"
ENTRIES = [bytes([number]) * 32 for number in range(9)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]
ROOT = root(HASHES)


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def verifier(number: int, name: str = ORIGIN, kind: int = 1) -> VerifierKey:
    return VerifierKey(name, private(number).public_key().public_bytes_raw(), kind)


HEAD = Checkpoint(ORIGIN, len(ENTRIES), ROOT)
NOTE = sign_checkpoint(HEAD, [(verifier(1), private(1).sign)])
PATH = tuple(inclusion_proof(4, len(ENTRIES), subtree_reader(HASHES)))
PROOF = TlogProof(4, PATH, NOTE, b"beside")
RECEIPT = make_receipt(sign_root(len(ENTRIES), ROOT, verifier(1), private(1).sign), 4, PATH)


def test_the_specifications_note() -> None:
    """The example of C2SP signed-note, whose verifier key is published with it in golang.org/x/mod/sumdb/note."""
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = text + f"\n— PeterNeumann {signature}\n".encode()
    assert verified_by(parse_note(note), [key]) == [key]
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    with pytest.raises(SignatureInvalid):
        verified_by(parse_note(note.replace(b"answer", b"anzwer")), [key])


def test_checkpoints() -> None:
    assert open_checkpoint(NOTE, ORIGIN, [LogKey(verifier(1))]) == HEAD
    with_extension = Checkpoint(ORIGIN, 0, ROOT, ("extension",))
    assert Checkpoint.parse(with_extension.text()) == with_extension


@pytest.mark.parametrize(
    "key", [LogKey(verifier(2)), LogKey(verifier(1, "other")), LogKey(verifier(1), 10), LogKey(verifier(1), 0, 8)]
)
def test_keys_that_may_not_sign_here(key: LogKey) -> None:
    with pytest.raises(SignatureInvalid):
        open_checkpoint(NOTE, ORIGIN, [key])


def test_another_logs_checkpoint() -> None:
    with pytest.raises(SignatureInvalid):
        open_checkpoint(NOTE, "log.example/rehearsal/bravo", [LogKey(verifier(1))])


def test_a_known_keys_bad_signature_spoils_the_note() -> None:
    two = merge_notes([NOTE, sign_checkpoint(HEAD, [(verifier(2), private(2).sign)])])
    keys = [LogKey(verifier(1)), LogKey(verifier(2))]
    assert len(parse_note(two).signatures) == 2
    assert open_checkpoint(two, ORIGIN, keys) == HEAD
    forged = merge_notes([NOTE, sign_checkpoint(HEAD, [(verifier(2), private(3).sign)])])
    with pytest.raises(SignatureInvalid):
        open_checkpoint(forged, ORIGIN, keys)
    assert open_checkpoint(forged, ORIGIN, keys[:1]) == HEAD  # a line of an unknown key is ignored
    with pytest.raises(MalformedNote):
        merge_notes([NOTE, sign_checkpoint(Checkpoint(ORIGIN, 1, ROOT), [(verifier(2), private(2).sign)])])


def test_cosignatures_of_witnesses() -> None:
    key = verifier(5, "witness.example/w1", COSIGNATURE_V1)
    signature = private(5).sign(cosigned_message(1_700_000_000, HEAD.text()))
    line = (1_700_000_000).to_bytes(8, "big") + signature
    note = sign_note(HEAD.text(), [(verifier(1), private(1).sign), (key, lambda _: line)])
    assert verified_by(note, [key]) == [key]
    late = sign_note(HEAD.text(), [(key, lambda _: (1).to_bytes(8, "big") + signature)])
    with pytest.raises(SignatureInvalid):
        verified_by(late, [key])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\nAAAA\n",
        "a\n-1\nAAAA\n",
        "a\n1\nAAAA\n",
        "a\n1\n\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n99999999999999999999\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(32)).decode(),
        "a\n1\n" + base64.b64encode(bytes(33)).decode() + "\n",
        "a\n١\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_no_checkpoint(text: str) -> None:
    with pytest.raises(MalformedNote):
        Checkpoint.parse(text.encode())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "name",
        "name+00000000+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
        "name+zz+AQ==",
        "na me+00000000+AQ==",
        str(verifier(1))[:-4],
        str(verifier(1)).replace("+", "++", 1),
    ],
)
def test_no_verifier_key(key: str) -> None:
    with pytest.raises(MalformedNote):
        VerifierKey.parse(key)


def test_the_proof_file() -> None:
    encoded = PROOF.encode()
    assert encoded.startswith(b"c2sp.org/tlog-proof@v1\nextra YmVzaWRl\nindex 4\n")
    assert TlogProof.parse(encoded) == PROOF
    assert verify_tlog_proof(PROOF, ENTRIES[4], ORIGIN, [LogKey(verifier(1))]) == HEAD
    with pytest.raises(ProofInvalid):
        verify_tlog_proof(PROOF, ENTRIES[5], ORIGIN, [LogKey(verifier(1))])


def test_receipts() -> None:
    receipt = parse_receipt(RECEIPT)
    assert verify_receipt(receipt, ENTRIES[4], [LogKey(verifier(1))]) == ROOT
    tagged = cbor2.loads(RECEIPT)
    assert tagged.tag == 18
    assert tagged.value[2] is None
    assert cbor2.loads(tagged.value[0]) == {1: -8, 4: str(verifier(1)).rpartition("+")[0].encode(), 395: 1}
    for keys in ([LogKey(verifier(2))], [LogKey(verifier(1), 10)], []):
        with pytest.raises(SignatureInvalid):
            verify_receipt(receipt, ENTRIES[4], keys)
    with pytest.raises(SignatureInvalid):
        verify_receipt(receipt, ENTRIES[5], [LogKey(verifier(1))])


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for parse in (parse_note, Checkpoint.parse, TlogProof.parse, parse_receipt, parse_opening):
        with contextlib.suppress(MalformedNote, MalformedProof):
            parse(data)


@given(st.data())
def test_any_change_of_a_good_one(data: st.DataObject) -> None:
    """A changed note, proof or receipt is malformed, does not verify, or says exactly what the good one says."""
    keys = [LogKey(verifier(1))]
    which = data.draw(st.sampled_from([NOTE, PROOF.encode(), RECEIPT]))
    start = data.draw(st.integers(0, len(which)))
    end = data.draw(st.integers(start, min(len(which), start + 3)))
    changed = which[:start] + data.draw(st.binary(max_size=3)) + which[end:]
    with contextlib.suppress(MalformedNote, MalformedProof, SignatureInvalid, ProofInvalid):
        if which is NOTE:
            assert open_checkpoint(changed, ORIGIN, keys) == HEAD
        elif which is RECEIPT:
            assert verify_receipt(parse_receipt(changed), ENTRIES[4], keys) == ROOT
        else:
            assert verify_tlog_proof(TlogProof.parse(changed), ENTRIES[4], ORIGIN, keys) == HEAD


@given(
    st.recursive(
        st.none() | st.integers() | st.binary() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.integers(), s)
    )
)
def test_any_cbor_as_receipt(value: object) -> None:
    for candidate in (
        value,
        cbor2.CBORTag(18, value),
        cbor2.CBORTag(18, [cbor2.dumps(value), {396: value}, None, b""]),
    ):
        with contextlib.suppress(MalformedProof):
            parse_receipt(cbor2.dumps(candidate))


@given(st.text(max_size=200))
def test_any_text_as_verifier_key_or_opening(text: str) -> None:
    with contextlib.suppress(MalformedNote):
        VerifierKey.parse(text)
    with contextlib.suppress(MalformedProof, ProofInvalid):
        verify_opening(parse_opening(text.encode(errors="replace")))


PROTECTED = cbor2.dumps({1: -8, 4: b"log+00000000", 395: 1})


def receipt_of(proof: bytes, protected: bytes = PROTECTED, beside: object = None) -> bytes:
    unprotected = {396: {-1: [proof]}} if beside is None else beside
    return cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, None, bytes(64)]))


@pytest.mark.parametrize("where", ["size", "index"])
def test_a_receipt_of_a_tree_that_nobody_can_have(where: str) -> None:
    """A size of 60,000 bytes had the walk to the root make as many ranges as it has bits, each of two such numbers."""
    large = (1 << 480_000) - 1
    proof = cbor2.dumps([large, 0, []] if where == "size" else [7, large, []])
    with pytest.raises(MalformedProof):
        parse_receipt(receipt_of(proof))
    with pytest.raises(ProofInvalid):
        tree.inclusion_ranges(0, 1 << 63)
    with pytest.raises(ProofInvalid):
        tree.consistency_ranges(1, 1 << 63)
    assert len(tree.inclusion_ranges(0, (1 << 63) - 1)) == 63


@pytest.mark.parametrize(
    "item",
    [
        cbor2.CBORTag(35, "(?i)" + "[\u0001-\uffff]" * 9),  # a regular expression, which a general reader compiles
        cbor2.CBORTag(36, "From: somebody"),
        cbor2.CBORTag(4, [1 << 60, 1]),
        cbor2.CBORTag(2, bytes([1]) * 9),
        cbor2.CBORTag(28, []),
        1.5,
        True,
    ],
    ids=["expression", "mail", "decimal", "big", "shared", "float", "bool"],
)
def test_a_receipt_has_no_items_but_those_of_its_form(item: object) -> None:
    for whole in (receipt_of(cbor2.dumps([7, item, []])), receipt_of(b"", beside={396: item}), cbor2.dumps(item)):
        with pytest.raises(MalformedProof):
            parse_receipt(whole)
    with pytest.raises(MalformedProof):
        verify_receipt(parse_receipt(receipt_of(cbor2.dumps([7, 1, []]), protected=cbor2.dumps(item))), b"", [])


def test_a_statement_of_a_box_leaf_has_one_spelling() -> None:
    """What is committed to are bytes: with a member in them twice, one reader finds one head, and another the other."""
    statement = TenantStatement(origin=ORIGIN, previous="00" * 32, root=ROOT.hex(), size=9)
    good = msgspec.json.encode(statement, order="sorted")
    assert _opened(good) == statement
    for other in (
        good.replace(b'"size":9', b'"size":9,"size":9'),
        good.replace(b":", b": "),
        good.replace(b"log", b"l\\u006fg"),
    ):
        with pytest.raises(MalformedProof, match="not canonical"):
            _opened(other)


def _opened(statement: bytes) -> object:
    salt = bytes(32)
    leaves = [leaf_hash(commitment(salt, statement)), *(leaf_hash(bytes([one])) for one in range(15))]
    path = [one.hex() for one in inclusion_proof(0, 16, subtree_reader(leaves))]
    leaf = Leaf(root=root(leaves).hex(), time=0)
    return verify_opening(
        Opening(leaf=leaf, path=path, position=0, salt=salt.hex(), statement=msgspec.Raw(statement), width=16)
    )


def test_a_box_leaf_has_a_time_that_can_be_told() -> None:
    for time in (-1, 253_402_300_800_000_000, 10**30):
        with pytest.raises(MalformedProof):
            parse_opening(
                b'{"leaf":{"format":"cinnabar-box-leaf/1","root":"","time":%d},"path":[],"position":0,"salt":"",'
                b'"statement":{},"width":16}' % time
            )
