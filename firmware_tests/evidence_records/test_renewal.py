"""Renewed records: built by hand and by the product alike, still proving their data, and taken by BouncyCastle."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import CinnabarError
from appliance.evidence_records import (
    BatchRejected,
    EvidenceMismatch,
    EvidenceRejected,
    Renewal,
    RenewalTree,
    expand,
    first_record,
    hash_tree_renewal,
    parse_evidence_record,
    time_stamp_renewal,
    verify_hash_chain,
)
from appliance.evidence_records.record import LARGEST_RECORD
from firmware_tests.evidence.material import POLICY, T0, Holder, certify, time_stamper
from firmware_tests.evidence.material import token as make_token
from firmware_tests.evidence_records import plain

DOCUMENTS = [b"letter %d" % number for number in range(5)]


@pytest.fixture(scope="module")
def holder() -> Holder:
    return time_stamper("Unit", certify("CA", ca=True))


def digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name.replace("sha3-", "sha3_"), data).digest()


def stamped(holder: Holder, tree: RenewalTree, years: int) -> bytes:
    imprint = {"hash_algorithm": {"algorithm": tree.algorithm.oid}, "hashed_message": tree.root}
    when = T0 + timedelta(days=365 * years)
    return make_token(holder, b"", when, info={"message_imprint": imprint, "policy": POLICY})


def renew(holder: Holder, renewals: Sequence[Renewal], years: int) -> list[bytes]:
    tree = RenewalTree.of(renewals)
    token = stamped(holder, tree, years)
    return [tree.renewed(index, renewals[index], token) for index in range(len(renewals))]


def first(holder: Holder, documents: Sequence[bytes], name: str = "sha256") -> list[bytes]:
    return renew(holder, [first_record(name, [digest(name, one)]) for one in documents], 0)


def every_digest(data: bytes) -> dict[str, bytes]:
    return {name: digest(name, data) for name in ("sha256", "sha384", "sha512", "sha3-512", "sm3")}


def test_a_time_stamp_renewal_goes_on_in_its_chain_and_a_hash_tree_renewal_begins_one(holder: Holder) -> None:
    records = first(holder, DOCUMENTS)
    records = renew(holder, [time_stamp_renewal(one) for one in records], 1)
    again = [
        hash_tree_renewal(record, "sha512", [digest("sha512", one)])
        for record, one in zip(records, DOCUMENTS, strict=True)
    ]
    records = renew(holder, again, 2)
    for record, document in zip(records, DOCUMENTS, strict=True):
        read = parse_evidence_record(record)
        assert [[stamp.algorithm.name for stamp in chain] for chain in read.chains] == [["sha256"] * 2, ["sha512"]]
        assert read.digest_algorithms == (plain.OIDS["sha256"], plain.OIDS["sha512"])
        assert len(verify_hash_chain(read, every_digest(document))) == 3
        with pytest.raises(EvidenceMismatch):
            verify_hash_chain(read, every_digest(b"another"))
        only_old = {"sha256": digest("sha256", document)}
        with pytest.raises(EvidenceMismatch, match="needs the data's sha512"):
            verify_hash_chain(read, only_old)


def test_written_as_the_plain_version_writes_it(holder: Holder) -> None:
    """The structures by asn1crypto, the hashes as section 5.2 has them."""
    old = first(holder, DOCUMENTS[:1])[0]
    token = parse_evidence_record(old).chains[0][0].token
    older = plain.EvidenceRecord.load(old)["archive_time_stamp_sequence"].dump()
    leaf = digest("sha512", digest("sha512", DOCUMENTS[0]) + digest("sha512", older))
    other = digest("sha512", b"another file's")
    wanted = hash_tree_renewal(old, "sha512", [digest("sha512", DOCUMENTS[0])])
    tree = RenewalTree.of([wanted, first_record("sha512", [other])])
    assert tree.root == digest("sha512", b"".join(sorted((leaf, other))))
    made = stamped(holder, tree, 3)
    chains = [[plain.archive_timestamp(token, [])], [plain.archive_timestamp(made, [[leaf], [other]])]]
    assert tree.renewed(0, wanted, made) == plain.evidence_record(chains, ["sha256", "sha512"])


@pytest.mark.parametrize("name", ["sha384", "sha512", "sha3-512", "sm3"])
def test_every_hash_that_renews(holder: Holder, name: str) -> None:
    records = first(holder, DOCUMENTS)
    pairs = zip(records, DOCUMENTS, strict=True)
    renewed = renew(holder, [hash_tree_renewal(record, name, [digest(name, one)]) for record, one in pairs], 1)
    for record, document in zip(renewed, DOCUMENTS, strict=True):
        assert len(verify_hash_chain(parse_evidence_record(record), every_digest(document))) == 2


def test_a_group_is_shown_by_each_of_its_members(holder: Holder) -> None:
    group = [digest("sha256", one) for one in DOCUMENTS]
    for beside in ([], [first_record("sha256", [digest("sha256", b"another file")])]):
        record = renew(holder, [first_record("sha256", group), *beside], 0)[0]
        record = renew(holder, [time_stamp_renewal(record)], 1)[0]
        again = hash_tree_renewal(record, "sha512", [digest("sha512", one) for one in DOCUMENTS])
        record = renew(holder, [again], 2)[0]
        for document in DOCUMENTS:
            assert len(verify_hash_chain(parse_evidence_record(record), every_digest(document))) == 3
        with pytest.raises(EvidenceMismatch):
            verify_hash_chain(parse_evidence_record(record), every_digest(b"another file"))


def test_a_bare_token_becomes_a_record(holder: Holder) -> None:
    token = make_token(holder, DOCUMENTS[0])
    record = expand(digest("sha256", DOCUMENTS[0]), b"", token)
    record = renew(holder, [time_stamp_renewal(record)], 1)[0]
    assert verify_hash_chain(parse_evidence_record(record), every_digest(DOCUMENTS[0]))[0].token == token


def test_two_files_with_the_same_bytes_share_a_node(holder: Holder) -> None:
    records = renew(holder, [first_record("sha256", [bytes(32)])] * 2 + [first_record("sha256", [b"\1" * 32])], 0)
    assert records[0] == records[1]


def test_crypto_infos_stay_as_they_are(holder: Holder) -> None:
    from asn1crypto import cms

    token = make_token(holder, DOCUMENTS[0])
    attribute = cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": "260101000000Z"})]})
    record = plain.evidence_record([[plain.archive_timestamp(token, [])]], ["sha256"], crypto_infos=[attribute])
    renewed = renew(holder, [time_stamp_renewal(record)], 1)[0]
    assert plain.EvidenceRecord.load(renewed)["crypto_infos"][0].dump() == attribute.dump()


def test_what_cannot_be_renewed(holder: Holder) -> None:
    record = first(holder, DOCUMENTS[:1])[0]
    stamp = plain.archive_timestamp(parse_evidence_record(record).chains[0][0].token, [])
    with pytest.raises(EvidenceRejected, match="as many as one may have"):
        time_stamp_renewal(plain.evidence_record([[stamp]] * 256, ["sha256"]))
    with pytest.raises(EvidenceRejected, match="a sha512 digest has 64 bytes"):
        hash_tree_renewal(record, "sha512", [bytes(32)])
    with pytest.raises(EvidenceRejected, match="1 to 4096 data objects, not 0"):
        first_record("sha256", [])
    with pytest.raises(EvidenceRejected, match="not 4097"):
        first_record("sha256", [number.to_bytes(32, "big") for number in range(4097)])
    with pytest.raises(BatchRejected):
        RenewalTree.of([])
    with pytest.raises(BatchRejected):
        RenewalTree.of([first_record("sha256", [bytes(32)]), first_record("sha512", [bytes(64)])])
    tree = RenewalTree.of([time_stamp_renewal(record)])
    with pytest.raises(EvidenceMismatch, match="does not cover the root"):
        tree.renewed(0, time_stamp_renewal(record), make_token(holder, b"something else"))
    with pytest.raises(EvidenceMismatch, match="another renewal in this place"):
        tree.renewed(0, first_record("sha256", [bytes(32)]), stamped(holder, tree, 1))
    with pytest.raises(EvidenceRejected, match="more than 4194304 bytes"):
        parse_evidence_record(b"0" * (LARGEST_RECORD + 1))


def test_hostile_records_cost_little(holder: Holder) -> None:
    """The most chains that fit, each hashing all before it; a record of the largest size is made of one long token."""
    token = parse_evidence_record(first(holder, DOCUMENTS[:1])[0]).chains[0][0].token
    chain = plain.archive_timestamp(token, [[digest("sha256", b"%d" % number) for number in range(400)]])
    record = plain.evidence_record([[chain]] * 256, ["sha256"])
    assert LARGEST_RECORD * 0.8 < len(record) < LARGEST_RECORD
    start = time.process_time()
    read = parse_evidence_record(record)
    for number in range(100):
        with pytest.raises(EvidenceMismatch):
            verify_hash_chain(read, {"sha256": digest("sha256", b"%d" % number)})
    assert time.process_time() - start < 5


def test_bouncycastle_takes_what_was_renewed(openssl_tsa, bouncycastle, tmp_path: Path) -> None:
    """Tokens by OpenSSL, all at the present: each renewal and each group, in every hash that OpenSSL stamps."""

    def made(renewals: Sequence[Renewal]) -> list[bytes]:
        tree = RenewalTree.of(renewals)
        token = openssl_tsa.token(tree.root, tree.algorithm.name)
        return [tree.renewed(index, renewals[index], token) for index in range(len(renewals))]

    arguments: list[str | Path] = [str(int(time.time()) + 3600)]
    expected: list[bool] = []
    for name in ("sha384", "sha512"):
        records = made([first_record("sha256", [digest("sha256", one)]) for one in DOCUMENTS])
        records = made([time_stamp_renewal(one) for one in records])
        again = zip(records, DOCUMENTS, strict=True)
        records = made([hash_tree_renewal(record, name, [digest(name, one)]) for record, one in again])
        records = made([time_stamp_renewal(one) for one in records])
        for number, record in enumerate(records):
            (tmp_path / f"{name}-{number}.ers").write_bytes(record)
            (tmp_path / f"{name}-{number}").write_bytes(DOCUMENTS[number])
            arguments += [tmp_path / f"{name}-{number}.ers", tmp_path / f"{name}-{number}"]
            expected.append(True)
        arguments += [tmp_path / f"{name}-0.ers", tmp_path / f"{name}-1"]
        expected.append(False)
    group = made([first_record("sha256", [digest("sha256", one) for one in DOCUMENTS])])
    group = made([hash_tree_renewal(group[0], "sha512", [digest("sha512", one) for one in DOCUMENTS])])
    (tmp_path / "group.ers").write_bytes(group[0])
    for number in range(len(DOCUMENTS)):
        arguments += [tmp_path / "group.ers", tmp_path / f"sha512-{number}"]
        expected.append(True)
    verdicts = bouncycastle.run("EvidenceRecordVerify", *arguments)
    assert [one == "ok" for one in verdicts] == expected, verdicts


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_renewed_record_still_proves_its_data(holder: Holder, data: st.DataObject) -> None:
    documents = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=6, unique=True))
    records = first(holder, documents, data.draw(st.sampled_from(["sha256", "sha384"])))
    stamps = 1
    for years, name in enumerate(data.draw(st.lists(st.sampled_from(["", "sha512", "sm3"]), max_size=4)), 1):
        if name:
            pairs = zip(records, documents, strict=True)
            asked = [hash_tree_renewal(record, name, [digest(name, one)]) for record, one in pairs]
        else:
            asked = [time_stamp_renewal(one) for one in records]
        records = renew(holder, asked, years)
        stamps += 1
    for record, document in zip(records, documents, strict=True):
        found = verify_hash_chain(parse_evidence_record(record), every_digest(document))
        assert len(found) == stamps
        with pytest.raises(EvidenceMismatch):
            verify_hash_chain(parse_evidence_record(record), every_digest(document + b"x"))


@pytest.fixture(scope="module")
def long_record(holder: Holder) -> bytes:
    record = first(holder, DOCUMENTS)[0]
    record = renew(holder, [time_stamp_renewal(record), first_record("sha256", [bytes(32)])], 1)[0]
    again = hash_tree_renewal(record, "sha512", [digest("sha512", DOCUMENTS[0])])
    return renew(holder, [again, first_record("sha512", [bytes(64)])], 2)[0]


@given(st.data())
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_byte_of_an_older_chain_breaks_the_way_to_the_newest_token(
    long_record: bytes, data: st.DataObject
) -> None:
    """The newest token itself is held by its signature, which is the verifier's to check."""
    newest = parse_evidence_record(long_record).chains[-1][-1].token
    changed = bytearray(long_record)
    at = data.draw(st.integers(0, len(changed) - len(newest) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CinnabarError):
        verify_hash_chain(parse_evidence_record(bytes(changed)), every_digest(DOCUMENTS[0]))
