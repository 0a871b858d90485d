"""What a log shows of time: its witnesses, and which of several signatures a record helps."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from asn1crypto import cms

from appliance.record import Record
from firmware_tests.evidence.logs import (
    DOCUMENT,
    PASSED,
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
    Holder,
    World,
    certify,
    microseconds,
    seal,
    seal_signer,
    signed_data,
    token,
)


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
