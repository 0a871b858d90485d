"""Log proofs, receipts and record openings, checked against the log and against what was handed out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from appliance.evidence import LogEntry
from appliance.record import commitment
from firmware_tests.evidence.logs import (
    DOCUMENT,
    FAILED,
    ORIGIN,
    PASSED,
    SALT,
    UNDECIDED,
    Log,
    Sub,
    entry_of,
    judge,
    opening,
    record_of,
    refused,
)
from firmware_tests.evidence.material import (
    DAY,
    T0,
    World,
    microseconds,
    seal,
    token,
)


@pytest.mark.parametrize("kind", ["stamp", "seal"])
def test_an_opening_with_its_proof(logged: World, log: Log, kind: str) -> None:
    encoded = token(logged.tsa, DOCUMENT) if kind == "stamp" else seal(logged.sealer, DOCUMENT)
    record = record_of(encoded, time=microseconds(T0) + (0 if kind == "stamp" else 999_999))
    report = judge(logged, encoded, opening(record, log.proof(entry_of(record)), encoded))
    assert report.indication is PASSED
    assert report.files[2].kind == "record opening"
    assert set(report.files[2].covers) == {"bond.sig", "bond.json"}


def test_an_opening_alone_judges_the_artifact_inside(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    opened = opening(record, log.proof(entry_of(record)), encoded)
    report = logged.verify(("bond.json", DOCUMENT), ("record.json", opened))
    assert report.indication is PASSED
    assert [part.title for part in report.files[1].parts] == ["record", "time-stamp token (RFC 3161)"]
    alone = logged.verify(("record.json", opened))
    refused(alone, Sub.SIGNED_DATA_NOT_FOUND)


def test_the_record_of_a_batch(logged: World, log: Log) -> None:
    from firmware_tests.evidence.test_evidence_records import DOCUMENTS, batch

    made = batch(logged.tsa)
    record = record_of(made.token, content_digest=made.tree.root.hex(), count=len(DOCUMENTS), kind="batch-stamp")
    opened = opening(record, log.proof(entry_of(record)), made.encode())
    report = logged.verify(("letter", DOCUMENTS[2]), ("record.json", opened))
    assert report.indication is PASSED
    beside = logged.verify(("letter", DOCUMENTS[2]), ("l.ers", made.evidence_record(2)), ("record.json", opened))
    assert beside.indication is PASSED
    refused(logged.verify(("letter", b"none of them"), ("record.json", opened)), Sub.HASH_FAILURE)
    broken = opening(record, log.proof(entry_of(record)), made.encode()[:-9])
    refused(logged.verify(("letter", DOCUMENTS[2]), ("record.json", broken)), Sub.SIGNED_DATA_NOT_FOUND)


def test_proof_or_receipt_as_a_file_of_its_own(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    for name, proof in (("p.tlog-proof", log.proof(entry_of(record))), ("p.cose", log.receipt(entry_of(record)))):
        assert judge(logged, encoded, opening(record, None), (name, proof)).indication is PASSED
    refused(judge(logged, encoded, opening(record, None)), Sub.NO_POE)


def test_a_stamp_over_the_opening_is_no_proof_of_inclusion(logged: World) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    opened = opening(record_of(encoded), None)
    refused(judge(logged, encoded, opened, ("o.tst", token(logged.tsa, opened))), Sub.NO_POE)


def test_changed_record(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    proof = log.proof(entry_of(record))

    def change(value: dict[str, Any]) -> None:
        value["content"] = value["content"].replace('"app"', '"apq"')

    report = judge(logged, encoded, opening(record, proof, change=change))
    refused(report, Sub.HASH_FAILURE)

    def change_both(value: dict[str, Any]) -> None:
        change(value)
        value["commitment"] = commitment(SALT, value["content"].encode()).hex()

    refused(judge(logged, encoded, opening(record, proof, change=change_both)), Sub.HASH_FAILURE)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(salt="00"),
        lambda value: value.update(salt=5),
        lambda value: value.update(content="{}"),
        lambda value: value.update(content=value["content"].replace(",", ", ", 1)),
        lambda value: value.update(content=value["content"].replace("{", '{"application":"app",', 1)),
        lambda value: value.update(content=value["content"][:-1] + ',"zz":1}'),
        lambda value: value.update(content="\ud800"),
        lambda value: value.update(artifact="!"),
        lambda value: value.update(proof="x"),
        lambda value: value.update(proof={"tlog_proof": "x"}),
    ],
)
def test_malformed_openings(logged: World, log: Log, change: Callable[[Any], object]) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    opened = opening(record, log.proof(entry_of(record)), change=change)
    report = judge(logged, encoded, opened.replace(b"\xed", b"?"))
    assert report.indication is FAILED
    assert Sub.FORMAT_FAILURE in report.files[2].sub_indications


def test_duplicate_members_of_an_opening(logged: World) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    opened = opening(record_of(encoded), None).replace(b'"salt"', b'"salt": "00", "salt"')
    report = judge(logged, encoded, opened)
    refused(report, Sub.FORMAT_FAILURE)


@pytest.mark.parametrize(
    "changes",
    [
        {"time": microseconds(T0) + 1},
        {"content_digest": "00" * 32},
        {"content_hash": "sha512"},
        {"signed_digest": "00" * 32},
    ],
    ids=["time", "digest", "hash", "signed bytes"],
)
def test_a_record_that_contradicts_the_stamp(logged: World, log: Log, changes: dict[str, Any]) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded, **changes)
    refused(judge(logged, encoded, opening(record, log.proof(entry_of(record)))), Sub.SIG_CONSTRAINTS_FAILURE)


def test_a_record_about_another_signature(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(token(logged.tsa, DOCUMENT, T0 + DAY))
    refused(judge(logged, encoded, opening(record, log.proof(entry_of(record)))), Sub.SIGNED_DATA_NOT_FOUND)


def test_proof_of_another_record(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    refused(judge(logged, encoded, opening(record_of(encoded), log.proof(b"another"))), Sub.HASH_FAILURE)


def test_log_that_the_bundle_does_not_name(world: World, log: Log) -> None:
    encoded = token(world.tsa, DOCUMENT)
    record = record_of(encoded)
    report = judge(world, encoded, opening(record, log.proof(entry_of(record))))
    refused(report, Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_head_signed_by_another_key(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    other = Log()
    refused(judge(logged, encoded, opening(record, other.proof(entry_of(record)))), Sub.SIG_CRYPTO_FAILURE)


def test_key_whose_sizes_have_passed(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    retired = replace(logged, logs=(LogEntry(origin=ORIGIN, key=str(log.verifier), last_size=5),))
    refused(judge(retired, encoded, opening(record, log.proof(entry_of(record)))), Sub.SIG_CRYPTO_FAILURE)


def test_proof_of_a_plain_entry(logged: World, log: Log) -> None:
    report = logged.verify(("entry.bin", b"an entry"), ("entry.tlog-proof", log.proof(b"an entry")))
    assert report.indication is PASSED
    alone = logged.verify(("entry.tlog-proof", log.proof(b"an entry")))
    refused(alone, Sub.SIGNED_DATA_NOT_FOUND, "entry.tlog-proof")
    wrong = logged.verify(("entry.bin", b"another"), ("entry.tlog-proof", log.proof(b"an entry")))
    refused(wrong, Sub.HASH_FAILURE, "entry.tlog-proof")


# --- witnesses -----------------------------------------------------------------------------------------------------


def test_an_opening_that_carries_another_signature(logged: World, log: Log) -> None:
    """The artifact in an opening speaks for nothing when the record is about another signature."""
    encoded, other = token(logged.tsa, DOCUMENT), token(logged.tsa, DOCUMENT, T0 + DAY)
    record = record_of(other)
    opened = opening(record, log.proof(entry_of(record), [T0] * 3), encoded)
    report = logged.verify(("bond.json", DOCUMENT), ("record.json", opened), now=T0 + 2 * DAY)
    refused(report, Sub.SIGNED_DATA_NOT_FOUND)
    assert report.files[0].indication is UNDECIDED
    assert report.files[0].claimed == []
    assert report.files[0].existed_no_later_than is None


def test_a_record_about_another_document_than_its_seal(logged: World, log: Log) -> None:
    encoded = seal(logged.sealer, DOCUMENT)
    record = record_of(encoded, content_digest=hashlib.sha256(b"b").hexdigest())
    opened = opening(record, log.proof(entry_of(record), [T0] * 3), encoded)
    report = logged.verify(("b.txt", b"b"), ("bond.json", DOCUMENT), ("bond.p7s", encoded), ("record.json", opened))
    refused(report, Sub.SIG_CONSTRAINTS_FAILURE)
    assert report.files[0].indication is UNDECIDED
    assert report.files[0].claimed == []
    assert all(file.existed_no_later_than is None for file in report.files)


@pytest.mark.parametrize("kind", ["proof", "receipt"])
def test_a_proof_of_another_log(logged: World, log: Log, kind: str) -> None:
    """A log that the bundle names does not vouch for another's name, nor with another's key."""
    entry = b"an entry"
    other = Log("other.rehearsal.example/log")
    both = replace(logged, logs=(*logged.logs, LogEntry(origin=other.origin, key=str(other.verifier))))
    swapped = replace(logged, logs=(LogEntry(origin=ORIGIN, key=str(other.verifier)),))
    encoded = other.proof(entry) if kind == "proof" else other.receipt(entry)
    assert both.verify(("entry.bin", entry), ("entry.proof", encoded)).indication is PASSED
    assert other.origin in str(both.verify(("entry.bin", entry), ("entry.proof", encoded)).files[1].parts)
    for world in (logged, swapped):
        report = world.verify(("entry.bin", entry), ("entry.proof", encoded))
        assert report.indication is not PASSED
        assert report.files[1].covers == []


@pytest.mark.parametrize("member", ["content", "salt", "commitment", "artifact", "proof", "tlog_proof"])
def test_each_member_of_an_opening_stands_once(logged: World, log: Log, member: str) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    opened = opening(record, log.proof(entry_of(record)), encoded)
    name = b'"%s":' % member.encode()
    assert opened.count(name) == 1
    for other in (b'"0", ', b"null, "):
        refused(judge(logged, encoded, opened.replace(name, name + other + name)), Sub.FORMAT_FAILURE)
