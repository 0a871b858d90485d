"""Time-stamps as anchors: honest ones hold, and each wrong thing is refused for its own reason."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors import AnchorRefused, LedgerProfile, Reason, Receipt, Rule, Strength, canonical, judge
from appliance.anchors.rfc3161 import read_proof, write_proof
from appliance.anchors.rfc3161.judge import Rules, StampReason, TrustedAuthority
from appliance.anchors.rfc3161.judge import judge as judge_stamp
from firmware_tests.anchorer.made import head
from firmware_tests.evidence.material import (
    DAY,
    POLICY,
    T0,
    Holder,
    certify,
    crl,
    microseconds,
    time_stamper,
    token,
)  # fmt: skip

HEAD = head(7)
TEXT = HEAD.checkpoint.partition(b"\n\n")[0] + b"\n"
CA = certify("Outside CA", ca=True)
TSA = time_stamper("Outside TSU", CA)
LIST = crl(CA)


def rules(*holders: Holder, policies: tuple[str, ...] = (POLICY,)) -> Rules:
    return Rules(
        authorities=[
            TrustedAuthority(certificate=base64.b64encode(one.der).decode(), policies=list(policies))
            for one in holders or (CA,)
        ]
    )


def proof(encoded: bytes | None = None, lists: tuple[bytes, ...] = (LIST,), others: tuple[bytes, ...] = ()) -> bytes:
    return bytes(write_proof(token(TSA, TEXT) if encoded is None else encoded, others, lists))


def test_a_stamp_of_another_authority_proves_the_checkpoint_at_its_time() -> None:
    found = judge_stamp(proof(), HEAD.commitment, rules())
    assert (found.strength, found.by) == (Strength.PROVEN, Rule.TIME_STAMP)
    assert found.time_us == microseconds(T0)
    assert found.no_later_us == microseconds(T0) + 1_000_000
    assert "Outside TSU" in found.place


def test_a_whole_receipt_with_its_profile() -> None:
    profile = LedgerProfile(name="outside", rules=msgspec.Raw(canonical.encode(rules())), tolerance_s=2, type="rfc3161")
    receipt = Receipt(checkpoint=HEAD.checkpoint.decode(), ledger="outside", proof=msgspec.Raw(proof()), type="rfc3161")
    found = judge(receipt, HEAD.commitment, profile, now_us=microseconds(T0 + DAY))
    assert found.no_later_us == microseconds(T0) + 3_000_000
    with pytest.raises(AnchorRefused) as refused:
        judge(receipt, HEAD.commitment, profile, now_us=microseconds(T0 - DAY))
    assert refused.value.reason is Reason.TIME_TO_COME


INTERMEDIATE_ROOT = certify("Root", ca=True, path_length=1)
INTERMEDIATE = certify("Between", INTERMEDIATE_ROOT, ca=True)
BELOW = time_stamper("Unit below", INTERMEDIATE)


def test_certificates_and_lists_between_come_from_the_receipt() -> None:
    stamp = token(BELOW, TEXT)
    lists = (crl(INTERMEDIATE_ROOT), crl(INTERMEDIATE))
    whole = proof(stamp, lists, (INTERMEDIATE.der,))
    assert judge_stamp(whole, HEAD.commitment, rules(INTERMEDIATE_ROOT)).strength is Strength.PROVEN
    for lacking in (proof(stamp, lists), proof(stamp, lists[:1], (INTERMEDIATE.der,))):
        with pytest.raises(AnchorRefused):
            judge_stamp(lacking, HEAD.commitment, rules(INTERMEDIATE_ROOT))


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _rejection() -> bytes:
    return bytes.fromhex("30053003020102")  # PKIStatusInfo, rejection


REVOKED = crl(CA, [(TSA, T0 - timedelta(hours=1), x509.ReasonFlags.key_compromise)], issued=T0 + DAY)
REVOKED_LATER = crl(CA, [(TSA, T0 + timedelta(hours=1), x509.ReasonFlags.key_compromise)], issued=T0 + DAY)
LEFT_LATER = crl(CA, [(TSA, T0 + timedelta(hours=1), x509.ReasonFlags.superseded)], issued=T0 + DAY)
FOREIGN = certify("Foreign CA", ca=True)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: proof(token(TSA, b"another text")), Reason.OTHER_COMMITMENT),
        (lambda: proof(token(TSA, head(8).checkpoint.partition(b"\n\n")[0] + b"\n")), Reason.OTHER_COMMITMENT),
        (lambda: proof(token(TSA, TEXT, info={"hash_name": "sha512"})), Reason.OTHER_COMMITMENT),
        (lambda: proof(_flipped(token(TSA, TEXT), -1)), StampReason.STAMP_ALTERED),
        (lambda: proof(token(TSA, TEXT, attributes={"message_digest": bytes(32)})), StampReason.STAMP_ALTERED),
        (lambda: proof(token(TSA, TEXT)[:-1]), Reason.MALFORMED),
        (lambda: proof(b"nothing"), Reason.MALFORMED),
        (lambda: proof(_rejection()), StampReason.AUTHORITY_REFUSED),
        (lambda: proof(token(time_stamper("Unit", FOREIGN), TEXT)), StampReason.FOREIGN_AUTHORITY),
        (lambda: proof(token(TSA, TEXT, info={"policy": "1.2.3.4"})), StampReason.POLICY),
        (lambda: proof(lists=()), StampReason.REVOCATION_UNKNOWN),
        (lambda: proof(lists=(crl(CA, issued=T0 - 9 * DAY, until=T0 - DAY),)), StampReason.REVOCATION_UNKNOWN),
        (lambda: proof(lists=(crl(CA, signer=FOREIGN),)), StampReason.REVOCATION_UNKNOWN),
        (lambda: proof(lists=(LIST, REVOKED)), StampReason.REVOKED),
        (lambda: proof(lists=(LIST, REVOKED_LATER)), StampReason.REVOKED),
        (lambda: proof(lists=(b"no list",)), Reason.MALFORMED),
        (lambda: proof(others=(b"no certificate",)), Reason.MALFORMED),
        (lambda: proof(token(TSA, TEXT, T0 - 20 * DAY)), StampReason.OUT_OF_VALIDITY),
        (lambda: proof(token(certify("No unit", CA), TEXT)), StampReason.CONSTRAINTS),
        (lambda: b"{}", Reason.MALFORMED),
        (lambda: proof()[:-1], Reason.MALFORMED),
        (lambda: proof().replace(b'"token"', b'"token":"AAAA","token"'), Reason.MALFORMED),
        (lambda: proof().replace(b'"token":"MI', b'"token":"M*'), Reason.MALFORMED),
    ],
)
def test_each_wrong_thing_has_its_own_reason(made: Any, reason: Any) -> None:
    with pytest.raises(AnchorRefused) as refused:
        judge_stamp(made(), HEAD.commitment, rules())
    assert refused.value.reason is reason


def test_a_unit_that_was_merely_replaced_later_still_counts() -> None:
    assert judge_stamp(proof(lists=(LIST, LEFT_LATER)), HEAD.commitment, rules()).strength is Strength.PROVEN


def test_a_profile_whose_authority_is_none_is_told() -> None:
    with pytest.raises(AnchorRefused) as refused:
        judge_stamp(proof(), HEAD.commitment, rules(TSA))
    assert refused.value.reason is Reason.RULES_UNREADABLE


GOOD = proof()


@given(st.data())
def test_any_flipped_byte_of_a_proof_refutes_it_or_changes_nothing_that_counts(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    changed = GOOD[:at] + bytes([GOOD[at] ^ data.draw(st.integers(1, 255))]) + GOOD[at + 1 :]
    try:
        found = judge_stamp(changed, HEAD.commitment, rules())
    except AnchorRefused:
        return
    assert found.time_us == microseconds(T0)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_proof(data: bytes) -> None:
    with pytest.raises(AnchorRefused):
        judge_stamp(data, HEAD.commitment, rules())


def test_the_commitment_is_what_any_tool_stamps_of_the_text() -> None:
    assert HEAD.commitment == hashlib.sha256(TEXT).digest()
    assert read_proof(proof()).certificates == []


def test_an_answer_that_is_none_and_an_empty_list_of_answers_are_malformed() -> None:
    for answers in ([base64.b64encode(b"no answer").decode()], []):
        altered = msgspec.structs.replace(read_proof(proof()), ocsp_answers=answers)
        with pytest.raises(AnchorRefused) as refused:
            judge_stamp(canonical.encode(altered), HEAD.commitment, rules())
        assert refused.value.reason is Reason.MALFORMED
