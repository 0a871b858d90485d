"""Every check of a time-stamp token refuses for its own reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.evidence import Indication, NamedDigest, Report, SubIndication
from firmware_tests.evidence.material import (
    DAY,
    T0,
    Holder,
    World,
    certify,
    crl,
    ess,
    seal,
    signed_data,
    signer_info,
    time_stamper,
    token,
    tst_info,
)

DOCUMENT = b'{"amount":"100.00","currency":"CNY"}'
PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication


def judge(world: World, stamp: bytes, document: bytes = DOCUMENT, **more: object) -> Report:
    return world.verify(("bond.json", document), ("bond.tst", stamp), **more)  # type: ignore[arg-type]


def outcome(report: Report, name: str = "bond.tst") -> tuple[Indication | None, list[SubIndication]]:
    file = next(file for file in report.files if file.name == name)
    return file.indication, file.sub_indications


def refused(report: Report, sub: SubIndication) -> None:
    """The stamp is refused for this reason and no other, and nothing of it passes overall."""
    assert outcome(report) == (sub.indication, [sub]), report
    assert report.indication is not PASSED


def test_a_good_stamp_passes(world: World) -> None:
    report = judge(world, token(world.tsa, DOCUMENT))
    assert report.indication is PASSED
    assert report.exit_code == 0
    document, stamp = report.files
    assert document.covered_by == ["bond.tst"]
    assert stamp.covers == ["bond.json"]
    assert [word.time for word in document.claimed] == ["2026-03-01 12:00:00 UTC"]
    assert document.existed_no_later_than is None, "the box's own word shows nothing"


def test_another_partys_stamp_shows_when_the_document_existed(world: World) -> None:
    report = judge(world, token(world.foreign_tsa, DOCUMENT))
    shown = report.files[0].existed_no_later_than
    assert shown is not None
    assert shown.time == "2026-03-01 12:00:01 UTC", "genTime and its accuracy"
    assert report.files[0].claimed == []


def test_another_party_whose_class_is_not_accepted_shows_nothing(world: World) -> None:
    trust = world.trust(time=None)
    report = judge(world, token(world.foreign_tsa, DOCUMENT), trust=trust)
    assert report.indication is PASSED
    assert report.files[0].existed_no_later_than is None


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"])
def test_digests_of_the_imprint(world: World, hash_name: str) -> None:
    assert judge(world, token(world.tsa, DOCUMENT, info={"hash_name": hash_name})).indication is PASSED


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["p256", "p384", "secp256k1", "rsa", "ed25519"],
)
def test_kinds_of_keys(world: World, key: ec.EllipticCurvePrivateKey) -> None:
    unit = time_stamper("Unit", world.tsa_ca, key=key)
    assert judge(world, token(unit, DOCUMENT, hash_name="sha512")).indication is PASSED


def test_a_response_is_as_good_as_its_token(world: World) -> None:
    response = tsp.TimeStampResp(
        {"status": {"status": "granted"}, "time_stamp_token": tsp.ContentInfo.load(token(world.tsa, DOCUMENT))}
    )
    assert judge(world, response.dump()).indication is PASSED


def test_a_refusal_of_the_authority_is_no_stamp(world: World) -> None:
    refusal = core.Sequence.load(bytes.fromhex("30053003020102"))
    refused(judge(world, refusal.dump()), Sub.FORMAT_FAILURE)


def test_a_digest_stands_for_the_document(world: World) -> None:
    import hashlib

    digest = NamedDigest("sha256", hashlib.sha256(DOCUMENT).digest())
    stamp = token(world.tsa, DOCUMENT)
    assert world.verify(("bond.tst", stamp), digests=[digest]).indication is PASSED
    other = NamedDigest("sha256", hashlib.sha256(b"other").digest())
    refused(world.verify(("bond.tst", stamp), digests=[other]), Sub.HASH_FAILURE)


def test_another_document(world: World) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT), b"another"), Sub.HASH_FAILURE)


def test_no_document(world: World) -> None:
    refused(world.verify(("bond.tst", token(world.tsa, DOCUMENT))), Sub.SIGNED_DATA_NOT_FOUND)


def test_signature_by_another_key(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, sign_with=ec.generate_private_key(ec.SECP256R1()))
    refused(judge(world, stamp), Sub.SIG_CRYPTO_FAILURE)


def test_signed_digest_is_not_of_the_statement(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, attributes={"message_digest": b"\0" * 32})
    refused(judge(world, stamp), Sub.HASH_FAILURE)


def test_nonce(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, info={"nonce": 42})
    assert judge(world, stamp, nonce=42).indication is PASSED
    refused(judge(world, stamp, nonce=43), Sub.SIG_CONSTRAINTS_FAILURE)
    refused(judge(world, token(world.tsa, DOCUMENT), nonce=42), Sub.SIG_CONSTRAINTS_FAILURE)


def test_policy_that_the_bundle_does_not_accept(world: World) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT, info={"policy": "1.2.3.4"})), Sub.SIG_CONSTRAINTS_FAILURE)


@pytest.mark.parametrize(
    "changes",
    [
        {"eku": None},
        {"eku_critical": False},
        {"eku": [ExtendedKeyUsageOID.CODE_SIGNING]},
        {"eku": [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]},
        {"key_usage": "key_agreement"},
    ],
    ids=["none", "not critical", "another", "two", "key usage"],
)
def test_certificate_not_solely_for_time_stamping(world: World, changes: dict[str, object]) -> None:
    unit = time_stamper("Unit", world.tsa_ca, **changes)
    refused(judge(world, token(unit, DOCUMENT)), Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_private_key_usage_period(world: World) -> None:
    def unit(until: datetime) -> Holder:
        period = x509.PrivateKeyUsagePeriod(T0 - 5 * DAY, until)
        return time_stamper("Unit", world.tsa_ca, extra=[(period, False)])

    assert judge(world, token(unit(T0 + DAY), DOCUMENT)).indication is PASSED
    refused(judge(world, token(unit(T0 - DAY), DOCUMENT)), Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_certificate_of_an_authority_that_is_not_in_the_bundle(world: World) -> None:
    rogue_ca = certify("TSA CA", ca=True)
    rogue = time_stamper("TSU 1", rogue_ca)
    stamp = token(rogue, DOCUMENT, certificates=[rogue.der, rogue_ca.der], crls=[crl(rogue_ca)])
    refused(judge(world, stamp), Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_seal_authority_does_not_make_time_stampers(world: World) -> None:
    refused(judge(world, token(time_stamper("Unit", world.seal_ca), DOCUMENT)), Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_certificate_authority_itself_as_signer(world: World) -> None:
    report = judge(world, token(world.tsa_ca, DOCUMENT))
    assert outcome(report)[0] is UNDECIDED
    assert Sub.NO_CERTIFICATE_CHAIN_FOUND in outcome(report)[1]


def test_intermediate_authority_needs_its_own_revocation_list(world: World) -> None:
    root = certify("Root", ca=True, path_length=1)
    middle = certify("Middle", root, ca=True)
    unit = time_stamper("Unit", middle)
    rooted = World(**{**world.__dict__, "tsa_ca": root, "crls": {"root.crl": crl(root), "middle.crl": crl(middle)}})
    stamp = token(unit, DOCUMENT, certificates=[unit.der, middle.der])
    assert judge(rooted, stamp).indication is PASSED
    refused(judge(rooted.with_crl("root.crl", crl(root, until=T0 - timedelta(hours=1))), stamp), Sub.TRY_LATER)
    revoked = rooted.with_crl("root.crl", crl(root, [(middle, T0 - DAY, None)]))
    refused(judge(revoked, stamp), Sub.REVOKED_CA_NO_POE)


def test_path_length_constraint(world: World) -> None:
    middle = certify("Middle", world.tsa_ca, ca=True)  # the authority allows none below it
    unit = time_stamper("Unit", middle)
    more = world.with_crl("middle.crl", crl(middle))
    refused(judge(more, token(unit, DOCUMENT, certificates=[unit.der, middle.der])), Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_certificate_missing_from_the_token_may_be_given(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, certificates=[])
    refused(judge(world, stamp), Sub.NO_SIGNING_CERTIFICATE_FOUND)
    report = world.verify(("bond.json", DOCUMENT), ("bond.tst", stamp), ("tsa.cer", world.tsa.der))
    assert report.indication is PASSED
    assert report.files[2].indication is None, "a helper is not judged"


def test_signed_attribute_binds_another_certificate(world: World) -> None:
    twin = time_stamper("TSU 1", world.tsa_ca, key=world.tsa.key)
    refused(judge(world, token(world.tsa, DOCUMENT, bound=twin.der)), Sub.NO_SIGNING_CERTIFICATE_FOUND)


def test_signed_attribute_with_issuer_and_serial(world: World) -> None:
    parsed = asn1_x509.Certificate.load(world.tsa.der)

    def bound(serial: int) -> bytes:
        names = [asn1_x509.GeneralName("directory_name", parsed.issuer)]
        value = ess(world.tsa.der, issuer_serial={"issuer": names, "serial_number": serial})
        return token(world.tsa, DOCUMENT, attributes={"signing_certificate_v2": value})

    assert judge(world, bound(parsed.serial_number)).indication is PASSED
    refused(judge(world, bound(parsed.serial_number + 1)), Sub.NO_SIGNING_CERTIFICATE_FOUND)


@pytest.mark.parametrize("name", ["signing_certificate_v2", "message_digest", "content_type"])
def test_signed_attribute_missing_or_twice(world: World, name: str) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT, attributes={name: None})), Sub.FORMAT_FAILURE)
    refused(judge(world, token(world.tsa, DOCUMENT, repeat=[name])), Sub.FORMAT_FAILURE)


def test_signed_content_type_is_another(world: World) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT, attributes={"content_type": "data"})), Sub.FORMAT_FAILURE)


def test_weak_digest_of_the_imprint(world: World) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT, info={"hash_name": "sha1"})), Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_weak_key(world: World) -> None:
    unit = time_stamper("Unit", world.tsa_ca, key=rsa.generate_private_key(65537, 1024))  # noqa: S505
    refused(judge(world, token(unit, DOCUMENT)), Sub.CRYPTO_CONSTRAINTS_FAILURE)


def test_two_signers(world: World) -> None:
    content = tst_info(DOCUMENT, T0)
    signers = [signer_info(world.tsa, "tst_info", content) for _ in range(2)]
    stamp = signed_data(signers, [world.tsa.der], content_type="tst_info", content=content)
    refused(judge(world, stamp), Sub.FORMAT_FAILURE)


@pytest.mark.parametrize("serial", [0, -5, 1 << 160])
def test_serial_number_out_of_range(world: World, serial: int) -> None:
    refused(judge(world, token(world.tsa, DOCUMENT, info={"serial_number": serial})), Sub.SIG_CONSTRAINTS_FAILURE)


def test_accuracy_out_of_range(world: World) -> None:
    encoded = bytearray(tst_info(DOCUMENT, T0, accuracy={"seconds": 1, "millis": 999}))
    place = encoded.index(b"\x80\x02\x03\xe7")
    encoded[place : place + 4] = b"\x80\x02\x03\xe8"
    refused(judge(world, token(world.tsa, DOCUMENT, encoded_info=bytes(encoded))), Sub.FORMAT_FAILURE)


def test_name_of_the_authority(world: World) -> None:
    subject = asn1_x509.Certificate.load(world.tsa.der).subject
    issuer = asn1_x509.Certificate.load(world.tsa.der).issuer
    good = token(world.tsa, DOCUMENT, info={"tsa": asn1_x509.GeneralName("directory_name", subject)})
    bad = token(world.tsa, DOCUMENT, info={"tsa": asn1_x509.GeneralName("directory_name", issuer)})
    assert judge(world, good).indication is PASSED
    refused(judge(world, bad), Sub.SIG_CONSTRAINTS_FAILURE)


def test_unknown_critical_extension(world: World) -> None:
    def extensions(critical: bool) -> list[dict[str, object]]:
        return [{"extn_id": "1.2.3.4", "critical": critical, "extn_value": b"\x05\x00"}]

    assert judge(world, token(world.tsa, DOCUMENT, info={"extensions": extensions(False)})).indication is PASSED
    refused(
        judge(world, token(world.tsa, DOCUMENT, info={"extensions": extensions(True)})), Sub.SIG_CONSTRAINTS_FAILURE
    )


# --- time ------------------------------------------------------------------------------------------------------------


def test_verified_at_the_time_of_the_stamp_and_not_now(world: World) -> None:
    unit = time_stamper("Unit", world.tsa_ca, not_after=T0 + 30 * DAY)
    stamp = token(unit, DOCUMENT)
    assert judge(world, stamp, now=T0 + 2000 * DAY).indication is PASSED, "the certificate has expired since"


def test_stamp_from_after_its_certificate(world: World) -> None:
    unit = time_stamper("Unit", world.tsa_ca, not_after=T0 - DAY)
    refused(judge(world, token(unit, DOCUMENT)), Sub.EXPIRED)


def test_stamp_from_before_its_certificate(world: World) -> None:
    unit = time_stamper("Unit", world.tsa_ca, not_before=T0 + DAY)
    refused(judge(world, token(unit, DOCUMENT), now=T0 + 2 * DAY), Sub.NOT_YET_VALID)


def test_stamp_from_the_future(world: World) -> None:
    report = judge(world, token(world.tsa, DOCUMENT, T0 + 10 * DAY), now=T0)
    refused(report, Sub.TIMESTAMP_ORDER_FAILURE)


def test_fraction_of_a_second(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC))
    assert judge(world, stamp).files[0].claimed[0].time == "2026-03-01 12:00:00.123 UTC"


def test_bundle_out_of_force(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT)
    trust = world.trust(expires=T0 + 10 * DAY)
    assert judge(world, stamp, now=T0 + 9 * DAY, trust=trust).indication is PASSED
    refused(judge(world, stamp, now=T0 + 11 * DAY, trust=trust), Sub.TRY_LATER)
    assert outcome(judge(world, stamp, b"another", now=T0 + 11 * DAY, trust=trust))[0] is FAILED, "still refuted"


# --- revocation ------------------------------------------------------------------------------------------------------

REASONS_THAT_CLEAR = [x509.ReasonFlags.cessation_of_operation, x509.ReasonFlags.superseded,
                      x509.ReasonFlags.affiliation_changed]  # fmt: skip


def revoked_world(world: World, when: datetime, reason: x509.ReasonFlags | None) -> World:
    return world.with_crl("tsa-ca.crl", crl(world.tsa_ca, [(world.tsa, when, reason)], issued=T0 + 5 * DAY))


@pytest.mark.parametrize("reason", REASONS_THAT_CLEAR)
def test_revoked_later_for_a_harmless_reason(world: World, reason: x509.ReasonFlags) -> None:
    later = revoked_world(world, T0 + DAY, reason)
    assert judge(later, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY).indication is PASSED
    refused(judge(later, token(world.tsa, DOCUMENT, T0 + 2 * DAY), now=T0 + 10 * DAY), Sub.REVOKED)


@pytest.mark.parametrize("reason", [None, x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise])
def test_revoked_later_for_a_reason_that_taints_the_key(world: World, reason: x509.ReasonFlags | None) -> None:
    later = revoked_world(world, T0 + DAY, reason)
    refused(judge(later, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY), Sub.REVOKED_NO_POE)


def test_a_tainted_stamp_stands_if_others_saw_it_before(world: World) -> None:
    later = revoked_world(world, T0 + DAY, x509.ReasonFlags.key_compromise)
    stamp = token(world.tsa, DOCUMENT)
    witness = token(world.foreign_tsa, stamp, T0 + timedelta(hours=1))
    late = token(world.foreign_tsa, stamp, T0 + 2 * DAY)
    own = token(world.tsa, stamp, T0 + timedelta(hours=1))
    report = later.verify(("bond.json", DOCUMENT), ("bond.tst", stamp), ("w.tst", witness), now=T0 + 10 * DAY)
    assert report.indication is PASSED
    for helper in (late, own):
        report = later.verify(("bond.json", DOCUMENT), ("bond.tst", stamp), ("w.tst", helper), now=T0 + 10 * DAY)
        assert outcome(report) == (UNDECIDED, [Sub.REVOKED_NO_POE])


def test_revoked_before(world: World) -> None:
    before = revoked_world(world, T0 - DAY, x509.ReasonFlags.superseded)
    refused(judge(before, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY), Sub.REVOKED)


def test_on_hold(world: World) -> None:
    held = revoked_world(world, T0 - DAY, x509.ReasonFlags.certificate_hold)
    refused(judge(held, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY), Sub.TRY_LATER)
    lifted = held.with_crl("newer.crl", crl(world.tsa_ca, issued=T0 + 6 * DAY))
    assert judge(lifted, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY).indication is PASSED


def test_a_newer_list_that_forgot_does_not_undo_a_revocation(world: World) -> None:
    both = revoked_world(world, T0 - DAY, x509.ReasonFlags.superseded).with_crl(
        "newer.crl", crl(world.tsa_ca, issued=T0 + 6 * DAY)
    )
    refused(judge(both, token(world.tsa, DOCUMENT), now=T0 + 10 * DAY), Sub.REVOKED)


def test_no_list_in_force_at_the_time(world: World) -> None:
    stale = world.with_crl("tsa-ca.crl", crl(world.tsa_ca, issued=T0 - 9 * DAY, until=T0 - DAY))
    refused(judge(stale, token(world.tsa, DOCUMENT)), Sub.TRY_LATER)
    newer = stale.with_crl("newer.crl", crl(world.tsa_ca, issued=T0 + DAY))
    assert judge(newer, token(world.tsa, DOCUMENT)).indication is PASSED, "a later list answers too"


def test_list_signed_by_someone_else(world: World) -> None:
    forged = world.with_crl("tsa-ca.crl", crl(world.tsa_ca, signer=world.foreign_ca))
    refused(judge(forged, token(world.tsa, DOCUMENT)), Sub.TRY_LATER)


def test_delta_and_partitioned_lists_are_not_used(world: World) -> None:
    delta = crl(world.tsa_ca, extra=[(x509.DeltaCRLIndicator(1), True)])
    refused(judge(world.with_crl("tsa-ca.crl", delta), token(world.tsa, DOCUMENT)), Sub.TRY_LATER)


def test_list_from_the_future_is_not_used(world: World) -> None:
    future = world.with_crl("tsa-ca.crl", crl(world.tsa_ca, issued=T0 + 100 * DAY))
    refused(judge(future, token(world.tsa, DOCUMENT)), Sub.TRY_LATER)


def test_list_in_the_token_or_beside_it(world: World) -> None:
    bare = World(**{**world.__dict__, "crls": {}})
    refused(judge(bare, token(world.tsa, DOCUMENT)), Sub.TRY_LATER)
    assert judge(bare, token(world.tsa, DOCUMENT, crls=[crl(world.tsa_ca)])).indication is PASSED
    beside = bare.verify(("a", DOCUMENT), ("a.tst", token(world.tsa, DOCUMENT)), ("x.crl", crl(world.tsa_ca)))
    assert beside.indication is PASSED


def test_two_files_cannot_lift_each_other_up(world: World) -> None:
    """Each tainted stamp would be saved by the other if it counted."""
    later = revoked_world(world, T0 + DAY, None)
    first = token(world.tsa, DOCUMENT)
    second = token(world.tsa, first, T0 + timedelta(hours=1))
    report = later.verify(("bond.json", DOCUMENT), ("a.tst", first), ("b.tst", second), now=T0 + 10 * DAY)
    assert report.indication is UNDECIDED


def test_a_stamp_contradicted_by_another_party(world: World) -> None:
    stamp = token(world.tsa, DOCUMENT, T0 + timedelta(hours=1))
    witness = token(world.foreign_tsa, stamp, T0)
    report = world.verify(("bond.json", DOCUMENT), ("bond.tst", stamp), ("w.tst", witness))
    refused(report, Sub.TIMESTAMP_ORDER_FAILURE)


def test_a_seal_is_not_taken_for_a_stamp(world: World) -> None:
    report = world.verify(("bond.json", DOCUMENT), ("bond.tst", seal(world.tsa, DOCUMENT)))
    assert report.indication is UNDECIDED


def test_a_stamp_over_a_stamp_that_states_a_later_time(world: World) -> None:
    """Also where the box made both: a time of its own that runs backwards dates nothing."""
    for hours, passes in ((-1, False), (1, True)):
        first = token(world.tsa, DOCUMENT)
        second = token(world.tsa, first, T0 + timedelta(hours=hours))
        report = world.verify(("bond.json", DOCUMENT), ("a.tst", first), ("b.tst", second))
        assert (report.indication is PASSED) is passes
        assert (SubIndication.TIMESTAMP_ORDER_FAILURE in report.sub_indications) is not passes
