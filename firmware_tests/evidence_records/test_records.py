"""Evidence records: written like the plain version writes them, read strictly, verified by us and by BouncyCastle."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

import msgspec
import pytest
from asn1crypto import cms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import CinnabarError
from appliance.evidence_records import (
    CompactBatch,
    EvidenceMismatch,
    EvidenceRejected,
    HashTree,
    expand,
    parse_evidence_record,
    verify_hash_chain,
)
from firmware_tests.evidence_records import plain

COUNTS = [1, 2, 3, 5, 6, 11, 33]


def documents(count: int) -> list[bytes]:
    return [b"document %d" % number for number in range(count)]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture(scope="session")
def batches(openssl_tsa) -> dict[int, CompactBatch]:
    result = {}
    for count in COUNTS:
        tree = HashTree.build(b"".join(map(sha256, documents(count))))
        result[count] = CompactBatch(tree, openssl_tsa.token(tree.root))
    return result


def test_like_the_plain_version(batches) -> None:
    for count, batch in batches.items():
        leaves = [sha256(document) for document in documents(count)]
        for index in range(count):
            _, siblings = plain.root_and_path(leaves, index)
            lists = [sorted((leaves[index], siblings[0])), *([each] for each in siblings[1:])] if siblings else []
            expected = plain.evidence_record([[plain.archive_timestamp(batch.token, lists)]], ["sha256"])
            assert batch.evidence_record(index) == expected
            record = parse_evidence_record(expected)
            (verified,) = verify_hash_chain(record, {"sha256": leaves[index]})
            assert verified.token == batch.token
            assert abs(verified.imprint.time_us / 10**6 - time.time()) < 3600


def test_bouncycastle_verifies(batches, bouncycastle, tmp_path: Path) -> None:
    arguments: list[str | Path] = [str(int(time.time()) + 3600)]
    for count, batch in batches.items():
        for index in range(count):
            record, document = tmp_path / f"{count}-{index}.ers", tmp_path / f"{count}-{index}.txt"
            record.write_bytes(batch.evidence_record(index))
            document.write_bytes(documents(count)[index])
            arguments += [record, document]
    (tmp_path / "other.txt").write_bytes(b"another document")
    arguments += [tmp_path / "33-0.ers", tmp_path / "other.txt"]
    verdicts = bouncycastle.run("EvidenceRecordVerify", *arguments)
    assert verdicts[:-1] == ["ok"] * sum(COUNTS)
    assert verdicts[-1].startswith("failed")


@pytest.mark.parametrize("hash_name", ["sha384", "sha512"])
def test_other_hashes(hash_name: str, openssl_tsa, bouncycastle, tmp_path: Path) -> None:
    tree = HashTree.build(b"".join(hashlib.new(hash_name, each).digest() for each in documents(7)), hash_name)
    batch = CompactBatch(tree, openssl_tsa.token(tree.root, hash_name))
    (tmp_path / "record").write_bytes(batch.evidence_record(6))
    (tmp_path / "document").write_bytes(documents(7)[6])
    arguments = [str(int(time.time()) + 3600), tmp_path / "record", tmp_path / "document"]
    assert bouncycastle.run("EvidenceRecordVerify", *arguments) == ["ok"]
    record = parse_evidence_record(batch.evidence_record(6))
    verify_hash_chain(record, {hash_name: tree.leaf(6)})
    with pytest.raises(EvidenceMismatch, match=f"needs the data's {hash_name} digest"):
        verify_hash_chain(record, {"sha256": bytes(32)})


def test_another_digest(batches) -> None:
    record = parse_evidence_record(batches[5].evidence_record(0))
    with pytest.raises(EvidenceMismatch, match="does not hold this digest"):
        verify_hash_chain(record, {"sha256": sha256(b"another")})
    single = parse_evidence_record(batches[1].evidence_record(0))
    with pytest.raises(EvidenceMismatch, match="does not lead to"):
        verify_hash_chain(single, {"sha256": sha256(b"another")})


def test_an_inner_node_is_not_an_item(batches) -> None:
    """Hashes of the lists above the first are not data objects (RFC 4998, section 4.3, step 2)."""
    batch = batches[5]
    record = parse_evidence_record(batch.evidence_record(0))
    inner = record.chains[0][0].reduced_hash_tree[1][0]
    with pytest.raises(EvidenceMismatch, match="does not hold this digest"):
        verify_hash_chain(record, {"sha256": inner})


def test_expand_checks_the_path(batches) -> None:
    batch = batches[6]
    digest, path = batch.item(2)
    assert expand(digest, path, batch.token) == batch.evidence_record(2)
    for wrong in (path[32:], path + bytes(32), path[::-1], b""):
        with pytest.raises(EvidenceMismatch):
            expand(digest, wrong, batch.token)
    with pytest.raises(EvidenceRejected):
        expand(digest, path[1:], batch.token)
    with pytest.raises(EvidenceRejected):
        expand(digest, path, batch.token[1:])


def test_compact_batch(batches) -> None:
    for count, batch in batches.items():
        again = CompactBatch.decode(batch.encode())
        assert again.item(count - 1) == batch.item(count - 1)
        assert again.evidence_record(count - 1) == batch.evidence_record(count - 1)
    with pytest.raises(EvidenceMismatch, match="does not cover the root"):
        CompactBatch(batches[2].tree, batches[3].token)
    with pytest.raises(EvidenceRejected):
        CompactBatch(batches[2].tree, b"no token")
    fields = msgspec.msgpack.decode(batches[5].encode())
    for position, value in [(0, "cinnabar-batch/2"), (1, "sha1"), (2, 6), (3, b""), (3, bytes(32)), (4, b"")]:
        changed = [*fields[:position], value, *fields[position + 1 :]]
        with pytest.raises(CinnabarError):
            CompactBatch.decode(msgspec.msgpack.encode(changed))


# --- renewals, RFC 4998, section 5.2 -----------------------------------------------------------------------------


def renewed(openssl_tsa, document: bytes, *, hash_name: str = "sha512", covered: bytes | None = None) -> bytes:
    """A record whose token was renewed once under SHA-256 and whose hash tree was renewed after that."""
    digest = sha256(document)
    others = [sha256(b"other %d" % number) for number in range(3)]
    root, siblings = plain.root_and_path([others[0], digest, *others[1:]], 1)
    lists = [sorted((digest, siblings[0])), *([each] for each in siblings[1:])]
    first = plain.archive_timestamp(openssl_tsa.token(root), lists)
    second = plain.archive_timestamp(openssl_tsa.token(sha256(first["time_stamp"].dump())), [])
    older = plain.ArchiveTimeStampSequence([plain.ArchiveTimeStampChain([first, second])]).dump()

    def new_hash(data: bytes) -> bytes:
        return hashlib.new(hash_name, data).digest()

    leaf = covered or new_hash(new_hash(document) + new_hash(older))
    neighbour = new_hash(b"another record's")
    root = new_hash(b"".join(sorted((leaf, neighbour))))
    third = plain.archive_timestamp(openssl_tsa.token(root, hash_name), [[leaf, neighbour]])
    return plain.evidence_record([[first, second], [third]], ["sha256", hash_name])


def test_renewals(openssl_tsa) -> None:
    document = b"a guarantee for thirty years"
    record = parse_evidence_record(renewed(openssl_tsa, document))
    digests = {"sha256": sha256(document), "sha512": hashlib.sha512(document).digest()}
    stamps = verify_hash_chain(record, digests)
    assert [stamp.algorithm.name for stamp in stamps] == ["sha256", "sha256", "sha512"]
    assert [stamp.imprint.time_us for stamp in stamps] == sorted(stamp.imprint.time_us for stamp in stamps)
    with pytest.raises(EvidenceMismatch, match="needs the data's sha512"):
        verify_hash_chain(record, {"sha256": sha256(document)})
    with pytest.raises(EvidenceMismatch, match="does not hold this digest"):
        verify_hash_chain(record, {**digests, "sha512": hashlib.sha512(b"x").digest()})


def test_bouncycastle_takes_the_renewals_too(openssl_tsa, bouncycastle, tmp_path: Path) -> None:
    (tmp_path / "document").write_bytes(b"a guarantee")
    (tmp_path / "record").write_bytes(renewed(openssl_tsa, b"a guarantee"))
    arguments = [str(int(time.time()) + 3600), tmp_path / "record", tmp_path / "document"]
    assert bouncycastle.run("EvidenceRecordVerify", *arguments) == ["ok"]


def test_a_broken_renewal(openssl_tsa) -> None:
    document = b"a guarantee"
    digests = {"sha256": sha256(document), "sha512": hashlib.sha512(document).digest()}
    skips = parse_evidence_record(renewed(openssl_tsa, document, covered=digests["sha512"]))
    with pytest.raises(EvidenceMismatch, match="does not hold this digest"):
        verify_hash_chain(skips, digests)
    first = plain.archive_timestamp(openssl_tsa.token(digests["sha256"]), [])
    stray = plain.archive_timestamp(openssl_tsa.token(sha256(b"something else")), [])
    unlinked = parse_evidence_record(plain.evidence_record([[first, stray]], ["sha256"]))
    with pytest.raises(EvidenceMismatch, match="does not lead to"):
        verify_hash_chain(unlinked, digests)
    time.sleep(1.1)  # OpenSSL's tokens have whole seconds
    later = plain.archive_timestamp(openssl_tsa.token(digests["sha256"]), [])
    backwards = plain.archive_timestamp(first["time_stamp"].dump(), [[sha256(later["time_stamp"].dump())]])
    record = parse_evidence_record(plain.evidence_record([[later, backwards]], ["sha256"]))
    with pytest.raises(EvidenceMismatch, match="older than what it renews"):
        verify_hash_chain(record, digests)
    mixed = plain.archive_timestamp(openssl_tsa.token(digests["sha512"], "sha512"), [])
    record = parse_evidence_record(plain.evidence_record([[first, mixed]], ["sha256", "sha512"]))
    with pytest.raises(EvidenceMismatch, match="one chain use different"):
        verify_hash_chain(record, digests)


# --- what is no evidence record ----------------------------------------------------------------------------------


def test_refusals(batches, openssl_tsa) -> None:
    token = batches[1].token
    digest = sha256(documents(1)[0])
    stamp = plain.archive_timestamp(token, [])
    wrong = plain.AlgorithmIdentifier({"algorithm": plain.OIDS["sha512"]})
    named = plain.ArchiveTimeStamp({"digest_algorithm": wrong, "time_stamp": cms.ContentInfo.load(token)})
    signed = cms.ContentInfo({"content_type": "data", "content": b"x"}).dump()
    cases = {
        "not version 1": plain.evidence_record([[stamp]], ["sha256"], version=2),
        "encrypted data": plain.evidence_record(
            [[stamp]], ["sha256"], encryption_info={"type": "1.2.3", "value": plain.core.Null()}
        ),
        "does not list": plain.evidence_record([[stamp]], ["sha512"]),
        "no archive time-stamp": plain.evidence_record([], ["sha256"]),
        "chain without": plain.evidence_record([[]], ["sha256"]),
        "empty list": plain.evidence_record([[plain.archive_timestamp(token, [[]])]], ["sha256"]),
        "length of the tree's": plain.evidence_record([[plain.archive_timestamp(token, [[bytes(31)]])]], ["sha256"]),
        "more than 64 levels": plain.evidence_record([[plain.archive_timestamp(token, [[digest]] * 65)]], ["sha256"]),
        "more than 4096 hashes": plain.evidence_record(
            [[plain.archive_timestamp(token, [[digest] * 4097])]], ["sha256"]
        ),
        "more than 256 archive": plain.evidence_record([[stamp] * 257], ["sha256"]),
        "another digest algorithm than its token": plain.evidence_record([[named]], ["sha256", "sha512"]),
        "not an RFC 3161 token": plain.evidence_record([[plain.archive_timestamp(signed, [])]], ["sha256"]),
        "left over": batches[2].evidence_record(0) + b"\x00",
    }
    for reason, encoded in cases.items():
        with pytest.raises(EvidenceRejected, match=reason):
            parse_evidence_record(encoded)


def test_crypto_infos_and_attributes_are_passed_over(batches) -> None:
    token = cms.ContentInfo.load(batches[1].token)
    attribute = cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": "260101000000Z"})]})
    stamp = plain.ArchiveTimeStamp({"attributes": [attribute], "time_stamp": token})
    encoded = plain.evidence_record([[stamp]], ["sha256"], crypto_infos=[attribute])
    verify_hash_chain(parse_evidence_record(encoded), {"sha256": sha256(documents(1)[0])})


@given(data=st.data())
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz(batches, data) -> None:
    encoded = bytearray(batches[11].evidence_record(4))
    compact = bytearray(batches[3].encode())
    for value in (encoded, compact):
        for _ in range(data.draw(st.integers(1, 3))):
            # Most of a record is its token: half of the changes go to the part before it.
            end = data.draw(st.sampled_from([200, len(value) - 1]))
            position = data.draw(st.integers(0, end))
            value[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    digest = {"sha256": sha256(documents(11)[4])}
    with contextlib.suppress(CinnabarError):
        verify_hash_chain(parse_evidence_record(bytes(encoded)), digest)
    with contextlib.suppress(CinnabarError):
        CompactBatch.decode(bytes(compact)).evidence_record(0)


@given(st.binary(max_size=100))
def test_noise(data: bytes) -> None:
    with pytest.raises(EvidenceRejected):
        parse_evidence_record(data)
    with pytest.raises(EvidenceRejected):
        CompactBatch.decode(data)
