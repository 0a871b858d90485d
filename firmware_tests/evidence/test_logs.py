"""Log proofs, receipts and record openings, checked against the log and against what was handed out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.evidence import Indication, LogEntry, Report, SubIndication, TimeRules, WitnessEntry
from appliance.log import (
    Checkpoint,
    NoteSignature,
    TlogProof,
    VerifierKey,
    inclusion_proof,
    leaf_hash,
    make_receipt,
    parse_note,
    root,
    sign_checkpoint,
    sign_root,
    subtree_reader,
)
from appliance.log.note import COSIGNATURE_V1, Note, cosigned_message
from appliance.record import Record, commitment
from firmware_tests.evidence.material import (
    DAY,
    T0,
    Holder,
    World,
    certify,
    microseconds,
    seal,
    seal_signer,
    signed_data,
    token,
)

ORIGIN = "bank.rehearsal.example/log"
DOCUMENT = b'{"amount":"1.00"}'
SALT = bytes(range(32))
PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication


class Log:
    """A log of entries in memory, its key, and its witnesses."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.key = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(origin, self.key.public_key().public_bytes_raw())
        self.witnesses = [Ed25519PrivateKey.generate() for _ in range(3)]
        self.entries = [b"filler %d" % number for number in range(5)]

    def names(self) -> list[VerifierKey]:
        return [
            VerifierKey(f"witness{number}.example", key.public_key().public_bytes_raw(), COSIGNATURE_V1)
            for number, key in enumerate(self.witnesses)
        ]

    def checkpoint(self, entries: list[bytes], seen: list[datetime]) -> bytes:
        head = Checkpoint(self.origin, len(entries), root([leaf_hash(entry) for entry in entries]))
        note = parse_note(sign_checkpoint(head, [(self.verifier, self.key.sign)]))
        lines = list(note.signatures)
        for key, name, when in zip(self.witnesses, self.names(), seen, strict=False):
            seconds = microseconds(when) // 1_000_000
            signature = seconds.to_bytes(8, "big") + key.sign(cosigned_message(seconds, note.text))
            lines.append(NoteSignature(name.name, name.key_id, signature))
        return Note(note.text, tuple(lines)).encode()

    def proof(self, entry: bytes, seen: list[datetime] | None = None) -> bytes:
        entries = [*self.entries, entry]
        path = inclusion_proof(5, 6, subtree_reader([leaf_hash(one) for one in entries]))
        return TlogProof(5, tuple(path), self.checkpoint(entries, seen or [])).encode()

    def receipt(self, entry: bytes) -> bytes:
        hashes = [leaf_hash(one) for one in [*self.entries, entry]]
        signed = sign_root(6, root(hashes), self.verifier, self.key.sign)
        return make_receipt(signed, 5, inclusion_proof(5, 6, subtree_reader(hashes)))


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def logged(world: World, log: Log) -> World:
    return replace(
        world,
        logs=(LogEntry(origin=ORIGIN, key=str(log.verifier)),),
        witnesses=tuple(WitnessEntry(key=str(name)) for name in log.names()),
        time=TimeRules(accepted=["tsa", "witness"], witnesses=2),
    )


def record_of(encoded: bytes, **changes: Any) -> Record:
    """The record that the box keeps of a stamp or a seal."""
    signer = cms.ContentInfo.load(encoded)["content"]["signer_infos"][0]
    signed = signer["signed_attrs"].untag().dump()
    is_stamp = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04" in encoded[:200]
    fields: dict[str, Any] = {
        "application": "app",
        "content_digest": hashlib.sha256(DOCUMENT).hexdigest(),
        "content_hash": "sha256",
        "key": "unit-1",
        "kind": "stamp" if is_stamp else "seal",
        "signature_digest": hashlib.sha256(signer["signature"].native).hexdigest(),
        "signed_digest": hashlib.sha256(signed).hexdigest(),
        "tenant": "bank",
        "time": microseconds(T0),
    }
    return Record(**(fields | changes))


def opening(
    record: Record, proof: bytes | None, artifact: bytes | None = None, change: Callable[[Any], object] | None = None
) -> bytes:
    content = record.canonical()
    value: dict[str, Any] = {
        "record": "ab" * 22,
        "content": content.decode(),
        "salt": SALT.hex(),
        "commitment": commitment(SALT, content).hex(),
        "index": 5,
        "artifact_type": "application/timestamped-data",
        "proof": None if proof is None else {"tlog_proof": proof.decode()},
    }
    if artifact is not None:
        value["artifact"] = base64.b64encode(artifact).decode()
    if change is not None:
        change(value)
    return json.dumps(value, indent=1).encode()


def entry_of(record: Record) -> bytes:
    return commitment(SALT, record.canonical())


def judge(world: World, encoded: bytes, opened: bytes, *more: tuple[str, bytes]) -> Report:
    return world.verify(("bond.json", DOCUMENT), ("bond.sig", encoded), ("record.json", opened), *more)


def refused(report: Report, sub: SubIndication, name: str = "record.json") -> None:
    file = next(file for file in report.files if file.name == name)
    assert (file.indication, file.sub_indications) == (sub.indication, [sub]), report
    assert report.indication is not PASSED


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


def test_the_second_earliest_of_two_witnesses_gives_the_time(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    seen = [T0 + timedelta(hours=hours) for hours in (5, 1, 3)]
    report = judge(logged, encoded, opening(record, log.proof(entry_of(record), seen)))
    assert report.indication is PASSED
    shown = [file.existed_no_later_than for file in report.files]
    assert [one.time if one else None for one in shown] == ["2026-03-01 15:00:01 UTC"] * 3


def test_one_witness_is_too_few(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT)
    record = record_of(encoded)
    report = judge(logged, encoded, opening(record, log.proof(entry_of(record), [T0])))
    assert report.indication is PASSED
    assert all(file.existed_no_later_than is None for file in report.files)


def test_witnesses_keep_an_expired_seal_alive(logged: World, log: Log) -> None:
    holder = certify("Short", logged.seal_ca, not_after=T0 + 30 * DAY)
    encoded = seal(holder, DOCUMENT)
    record = record_of(encoded)
    opened = opening(record, log.proof(entry_of(record), [T0 + timedelta(hours=1)] * 3))
    files = (("bond.json", DOCUMENT), ("bond.sig", encoded), ("record.json", opened))
    assert logged.verify(*files[:2], now=T0 + 40 * DAY).indication is UNDECIDED
    assert logged.verify(*files, now=T0 + 40 * DAY).indication is PASSED


def test_witnesses_contradict_a_stamp_from_later(logged: World, log: Log) -> None:
    encoded = token(logged.tsa, DOCUMENT, T0 + timedelta(hours=2))
    record = record_of(encoded, time=microseconds(T0 + timedelta(hours=2)))
    report = judge(logged, encoded, opening(record, log.proof(entry_of(record), [T0, T0])))
    refused(report, Sub.TIMESTAMP_ORDER_FAILURE, "bond.sig")


# --- what a record or a proof shows, and of which signature -----------------------------------------------------------


def two_signers(world: World) -> bytes:
    """A seal whose first signer has a record, and whose second, since expired, was added by someone."""
    second = certify("Second Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    signers = [seal_signer(world.sealer, DOCUMENT), seal_signer(second, DOCUMENT)]
    return signed_data(signers, [world.sealer.der, second.der])


def own_record(encoded: bytes, holder: Holder) -> Record:
    """The record of the signer that the holder's certificate names, wherever it stands in the set."""
    for signer in cms.ContentInfo.load(encoded)["content"]["signer_infos"]:
        if signer["sid"].chosen["serial_number"].native == holder.certificate.serial_number:
            return record_of(
                encoded,
                signature_digest=hashlib.sha256(signer["signature"].native).hexdigest(),
                signed_digest=hashlib.sha256(signer["signed_attrs"].untag().dump()).hexdigest(),
            )
    raise AssertionError


@pytest.mark.parametrize("where", ["inside the opening", "beside it"])
@pytest.mark.parametrize("seal_given", [True, False])
def test_the_record_of_one_signer_does_not_help_the_other(
    logged: World, log: Log, where: str, seal_given: bool
) -> None:
    encoded = two_signers(logged)
    record = own_record(encoded, logged.sealer)
    proof = log.proof(entry_of(record), [T0 + timedelta(hours=1)] * 3)
    inside = where == "inside the opening"
    files = [("bond.json", DOCUMENT), ("record.json", opening(record, proof if inside else None, encoded))]
    files += [("bond.p7s", encoded)] if seal_given else []
    files += [] if inside else [("r.tlog-proof", proof)]
    assert logged.verify(*files, now=T0 + DAY).indication is PASSED
    report = logged.verify(*files, now=T0 + 40 * DAY)
    assert report.indication is UNDECIDED
    holder = report.files[2 if seal_given else 1]
    found = [part.indication for part in holder.parts if "Second Bank" in part.title]
    assert found == [UNDECIDED]
    assert holder.existed_no_later_than is None


def test_the_record_of_a_batch_does_not_date_its_renewals(logged: World, log: Log) -> None:
    from firmware_tests.evidence.test_evidence_records import DOCUMENTS, batch, renewed

    made = batch(logged.tsa)
    record = record_of(made.token, content_digest=made.tree.root.hex(), count=len(DOCUMENTS), kind="batch-stamp")
    opened = opening(record, log.proof(entry_of(record), [T0 + timedelta(hours=1)] * 3))
    renewal = renewed(made.evidence_record(2), logged.tsa, T0 + 3 * DAY)
    files = (("letter", DOCUMENTS[2]), ("l.ers", renewal), ("record.json", opened))
    report = logged.verify(*files, now=T0 + 4 * DAY)
    assert report.indication is PASSED, report
    letter, ers, _ = (file.existed_no_later_than for file in report.files)
    assert letter is not None
    assert letter.time == "2026-03-01 13:00:01 UTC"
    assert ers is None


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
