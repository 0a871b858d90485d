"""The unit's rules: time, policies, digests, validity; and the certificate that is checked as a whole."""

from __future__ import annotations

import dataclasses
import datetime
import time
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

import hsm.mechanisms
from appliance import der
from appliance.algorithms import DIGESTS, SCHEMES, UnknownAlgorithm
from appliance.box.settings import UnitSettings
from appliance.clock import Clock, ClockStepped, Reading, TimeNotShown
from appliance.clock.sources import SystemSource
from appliance.errors import CinnabarError, Unavailable
from appliance.timestamps import (
    FailureInfo,
    StampRejected,
    TimeRanBackwards,
    TimeStampUnit,
    UnitFaults,
    UnitProfile,
    UnitStopped,
    check_unit_certificate,
    failure_of,
    rejection_of,
)

POLICY = "1.3.6.1.4.1.59999.1.1"
DAY = datetime.timedelta(days=1)


def us(moment: datetime.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


# --- rules of a stamp ---------------------------------------------------------------------------------------------


def test_a_clock_that_is_not_shown_or_too_inaccurate_gives_no_stamp(make_unit: Any) -> None:
    unit = make_unit(accuracy_us=1000)
    now = unit.reading().time_us
    for reading in (Reading(now, None, "system"), Reading(now, 1001, "chrony")):
        with pytest.raises(TimeNotShown) as caught:
            unit.unit.prepare_digest("sha256", bytes(32), reading)
        assert failure_of(caught.value) is FailureInfo.timeNotAvailable
        assert unit.mark.mark_us == 0
    assert unit.unit.prepare_digest("sha256", bytes(32), Reading(now, 1000, "chrony")).time_us == now


def test_a_rehearsal_unit_without_accuracy_takes_the_unverified_clock(make_unit: Any) -> None:
    unit = make_unit(accuracy_us=None, rehearsal=True)
    prepared = unit.unit.prepare_digest("sha256", bytes(32), unit.clock.read())
    assert tsp.TSTInfo.load(prepared.tst_info)["accuracy"].native is None


def test_general_time_never_runs_backwards_by_more_than_the_accuracy(make_unit: Any) -> None:
    unit = make_unit(accuracy_us=1000)
    now = unit.reading().time_us
    for offset in (0, 500, -500, -1000 + 500):
        assert unit.unit.prepare_digest("sha256", bytes(32), Reading(now + offset, 1, "chrony")).time_us == now + offset
    with pytest.raises(TimeRanBackwards) as caught:
        unit.unit.prepare_digest("sha256", bytes(32), Reading(now - 501, 1, "chrony"))
    assert caught.value.control == "TIME"
    assert failure_of(caught.value) is FailureInfo.timeNotAvailable


@pytest.mark.parametrize(
    ("arguments", "failure"),
    [
        ({"digest_name": "sha1", "digest": bytes(20)}, FailureInfo.badAlg),
        ({"digest_name": "", "digest": b""}, FailureInfo.badAlg),
        ({"digest": bytes(31)}, FailureInfo.badDataFormat),
        ({"digest_name": "sha512"}, FailureInfo.badDataFormat),
        ({"policy": "1.2.3"}, FailureInfo.unacceptedPolicy),
        ({"policy": "1.2.x"}, FailureInfo.badDataFormat),
        ({"policy": "9.9"}, FailureInfo.badDataFormat),
        ({"nonce": 2**255}, FailureInfo.badRequest),
        ({"nonce": -(2**255) - 1}, FailureInfo.badRequest),
    ],
)
def test_digest_callers_meet_the_same_rules(
    software_unit: Any, arguments: dict[str, Any], failure: FailureInfo
) -> None:
    asked = {"digest_name": "sha256", "digest": bytes(32), "reading": software_unit.reading(), **arguments}
    with pytest.raises(StampRejected) as caught:
        software_unit.unit.prepare_digest(**asked)
    assert caught.value.failure is failure


def test_a_unit_that_does_not_send_certificates_says_so(make_unit: Any) -> None:
    unit = make_unit(sends_certificates=False)
    with pytest.raises(StampRejected) as caught:
        unit.unit.prepare_digest("sha256", bytes(32), unit.reading())
    assert caught.value.failure is FailureInfo.addInfoNotAvailable
    unit.unit.prepare_digest("sha256", bytes(32), unit.reading(), certificates=False)


def test_errors_of_the_box_become_rejections() -> None:
    for error, failure in (
        (StampRejected(FailureInfo.badAlg, "no"), "bad_alg"),
        (TimeNotShown("no clock"), "time_not_available"),
        (UnitStopped("over"), "system_failure"),
        (Unavailable("x" * 10_000), "system_failure"),
        (CinnabarError(), "system_failure"),
    ):
        encoded = rejection_of(error)
        response = der.Reader(encoded).enter()
        status = tsp.PKIStatusInfo.load(response.raw(), strict=True)
        response.finish()
        assert status["status"].native == "rejection"
        assert status["fail_info"].native == {failure}
        assert len(encoded) < 2000


class RehearsalMachine:
    """A rehearsal box's clocks and monitor, moved by hand."""

    def __init__(self) -> None:
        self.boot_ns = 10**12
        self.offset_ns = time.time_ns()
        self.source = SystemSource(lifetime_ns=3 * 10**9, system=self.system, boot=lambda: self.boot_ns)
        self.measure()
        self.clock = Clock(lambda: self.word, system=self.system, boot=lambda: self.boot_ns)

    def system(self) -> int:
        return self.boot_ns + self.offset_ns

    def measure(self) -> None:
        self.word = self.source.measure()


def test_a_clock_stepped_back_and_forward_under_a_unit(make_unit: Any) -> None:
    unit = make_unit(accuracy_us=None, rehearsal=True)
    machine = RehearsalMachine()

    def stamp() -> int:
        time_us: int = unit.unit.prepare_digest("sha256", bytes(32), machine.clock.read()).time_us
        return time_us

    first = stamp()
    machine.offset_ns -= 10 * 10**9
    with pytest.raises(ClockStepped):  # seen at once, before the monitor speaks again
        stamp()
    machine.measure()
    with pytest.raises(TimeRanBackwards):  # the monitor of a rehearsal box believes it; the mark does not
        stamp()
    for _ in range(4):
        machine.boot_ns += 2 * 10**9
        machine.measure()
        with pytest.raises(TimeRanBackwards):
            stamp()
    machine.boot_ns += 2 * 10**9 + 1000
    machine.measure()
    assert stamp() == first + 1
    machine.offset_ns += 3600 * 10**9
    with pytest.raises(ClockStepped):
        stamp()
    machine.measure()
    assert stamp() == first + 1 + 3600 * 10**6
    machine.offset_ns -= 3600 * 10**9
    machine.measure()
    with pytest.raises(TimeRanBackwards):  # stamps from the future are in the world: wait for it
        stamp()


def test_a_new_certificate_needs_no_restart(authority: Any, make_unit: Any) -> None:
    """A unit with the new certificate takes over the mark of the old one in the same process."""
    old = make_unit()
    before = old.unit.prepare_digest("sha256", bytes(32), old.reading())
    certificate = authority.unit_certificate(old.key.public_key())
    renewed = TimeStampUnit(dataclasses.replace(old.profile, certificate=certificate), old.mark)
    reading = Reading(before.time_us - 2_000_000, 1, "chrony")
    with pytest.raises(TimeRanBackwards):
        renewed.prepare_digest("sha256", bytes(32), reading)
    prepared = renewed.prepare_digest("sha256", bytes(32), old.reading())
    token = renewed.complete(prepared, old.sign(prepared.to_be_signed))
    assert certificate.public_bytes(Encoding.DER) in token


def test_the_schemes_are_those_of_the_hsm_room() -> None:
    assert set(SCHEMES) == set(hsm.mechanisms.SCHEMES)


# --- end of life --------------------------------------------------------------------------------------------------


def test_the_unit_stops_at_the_end_of_its_private_key_usage(authority: Any, make_unit: Any, software_keys: Any) -> None:
    public_key = software_keys("ecdsa-p256-sha256").public_key()
    end = authority.not_before + 10 * DAY
    certificate = authority.unit_certificate(public_key, key_period=(authority.not_before + DAY, end))
    unit = make_unit(certificate=certificate)
    assert unit.unit.days_left(us(end - 2 * DAY)) == pytest.approx(2, abs=0.001)
    for moment, works in (
        (us(authority.not_before + DAY) - 1, False),
        (us(authority.not_before + DAY), True),
        (us(end) + 999_999, True),
        (us(end) + 1_000_000, False),
    ):
        reading = Reading(moment, 1, "chrony")
        if works:
            assert unit.unit.prepare_digest("sha256", bytes(32), reading).time_us == moment
        else:
            with pytest.raises(UnitStopped):
                unit.unit.prepare_digest("sha256", bytes(32), reading)
    assert unit.unit.days_left(us(end + DAY)) < 0


# --- faults at start ----------------------------------------------------------------------------------------------


def faults(unit: Any, key: Any = None, now: int | None = None) -> list[str]:
    with pytest.raises(UnitFaults) as caught:
        check_unit_certificate(unit.profile, (key or unit.key).public_key(), now or unit.reading().time_us)
    return caught.value.faults


def test_a_good_certificate_passes(software_unit: Any, authority: Any) -> None:
    validity = check_unit_certificate(
        software_unit.profile, software_unit.key.public_key(), software_unit.reading().time_us
    )
    assert validity.start_us == us(authority.not_before)
    assert validity.end_us == us(authority.not_after) + 1_000_000


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_has_a_good_unit(make_unit: Any, scheme: str) -> None:
    unit = make_unit(scheme)
    check_unit_certificate(unit.profile, unit.key.public_key(), unit.reading().time_us)


def test_all_faults_are_told_at_once(authority: Any, software_keys: Any) -> None:
    key = software_keys("ecdsa-p384-sha384")
    certificate = authority.unit_certificate(
        key.public_key(),
        purposes=[ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING],
        purposes_critical=False,
        usage=x509.KeyUsage(False, False, True, False, False, False, False, False, False),
        ca=True,
        not_before=authority.not_before - 20 * DAY,
        not_after=authority.not_before - 10 * DAY,
    )
    profile = UnitProfile(
        name="tsu-9",
        scheme=SCHEMES["ecdsa-p256-sha256"],
        certificate=certificate,
        chain=(authority.root,),
        default_policy="not an oid",
        accuracy_us=None,
        qualified=True,
        ordering=True,
        lanes=4,
        digests=("sha1",),
    )
    with pytest.raises(UnitFaults) as caught:
        check_unit_certificate(profile, software_keys("ed25519").public_key(), us(authority.not_before))
    told = "\n".join(caught.value.faults)
    for words in (
        "policy 'not an oid' is not an object identifier",
        "no digest 'sha1'",
        "only a rehearsal unit may do without an accuracy",
        "an ordering unit has one lane",
        "does not claim ordering",
        "declares an accuracy of one second or better",
        "is not timeStamping alone",
        "extended key usage is not critical",
        "lacks digitalSignature and contentCommitment",
        "allows more than signing",
        "is a CA's",
        "is not for the key in the token",
        "does not fit the scheme ecdsa-p256-sha256",
        "validity ended at",
        "is not issued by the one that follows",
    ):
        assert words in told
    assert len(caught.value.faults) == 15
    assert "tsu-9" in str(caught.value)


def test_no_extended_key_usage_and_not_yet_valid(authority: Any, make_unit: Any, software_keys: Any) -> None:
    public_key = software_keys("ecdsa-p256-sha256").public_key()
    unit = make_unit(certificate=authority.unit_certificate(public_key, purposes=[]))
    early = us(authority.not_before) - 1
    assert faults(unit, now=early) == [
        "the certificate has no extended key usage",
        f"the unit's validity begins at {authority.not_before:%Y-%m-%dT%H:%M:%SZ}",
    ]


def test_a_rehearsal_unit_is_never_qualified(make_unit: Any) -> None:
    assert faults(make_unit(rehearsal=True, qualified=True)) == ["a rehearsal unit is never qualified"]


def unit_settings(**changes: Any) -> UnitSettings:
    fields: dict[str, Any] = {
        "name": "tsu-1",
        "tenant": "bank",
        "token": "bank",
        "key_uri": "pkcs11:object=tsu-1",
        "scheme": "ecdsa-p256-sha256",
        "certificate": "tsu-1.pem",
        "default_policy": POLICY,
        **changes,
    }
    return UnitSettings(**fields)


def test_a_profile_from_settings_leaves_the_root_out_of_tokens(authority: Any, software_unit: Any) -> None:
    path = (software_unit.profile.certificate, authority.issuing, authority.root)
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in path)
    profile = UnitProfile.from_settings(unit_settings(accuracy_us=5), pem, rehearsal=False)
    assert profile.certificate == path[0]
    assert profile.chain == (authority.issuing,)
    assert profile.accuracy_us == 5
    check_unit_certificate(profile, software_unit.key.public_key(), software_unit.reading().time_us)


def test_settings_that_cannot_be_read(authority: Any) -> None:
    pem = authority.root.public_bytes(Encoding.PEM)
    with pytest.raises(UnitFaults, match="cannot be read"):
        UnitProfile.from_settings(unit_settings(), b"nothing", rehearsal=True)
    with pytest.raises(UnknownAlgorithm, match="no signature scheme 'rot13'"):
        UnitProfile.from_settings(unit_settings(scheme="rot13"), pem, rehearsal=True)


def test_the_table_of_digests_is_hashlibs() -> None:
    for digest in DIGESTS.values():
        assert len(digest.digest(b"x")) == digest.size


def test_units_do_not_share_marks(make_unit: Any) -> None:
    first, second = make_unit(), make_unit()
    first.unit.prepare_digest("sha256", bytes(32), first.reading())
    assert second.mark.mark_us == 0
