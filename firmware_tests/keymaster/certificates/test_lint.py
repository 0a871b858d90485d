"""What a certificate is held to before a real key signs it: good ones pass, each broken rule is named."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.lint import CertificateRefused, Role, check, check_signature, findings

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
CA_KEY = ec.generate_private_key(ec.SECP384R1())
KEY = ec.generate_private_key(ec.SECP256R1())
CA = profiles.authority(profiles.name("A CA", "Org"), CA_KEY, CA_KEY.public_key(), hashes.SHA384(), NOW, 3650 * DAY)
ISSUER = profiles.Issuer(CA, CA_KEY, hashes.SHA384(), "http://crl.invalid/a.crl")
Profile = Callable[..., x509.Certificate]


def end_entity(profile: Profile, common_name: str = "Somebody", days: int = 90) -> x509.Certificate:
    return profile(ISSUER, profiles.name(common_name, "Org"), KEY.public_key(), NOW, days * DAY)


@pytest.mark.parametrize(("profile", "role"), [(profiles.seal, "seal"), (profiles.time_stamping_unit, "stamp")])
def test_what_our_profiles_make_is_good(profile: Profile, role: Role) -> None:
    made = end_entity(profile)
    assert findings(made, role, CA) == []
    check_signature(made, CA)
    assert findings(CA, "authority", None) == []


@pytest.mark.parametrize(
    ("profile", "role", "why"),
    [
        (profiles.seal, "stamp", "sole purpose"),
        (profiles.time_stamping_unit, "seal", "makes no stamps"),
        (profiles.seal, "authority", "basic constraints"),
        (profiles.seal, "ocsp", "responder"),
    ],
)
def test_a_certificate_for_something_else(profile: Profile, role: Role, why: str) -> None:
    with pytest.raises(CertificateRefused, match=why):
        check(end_entity(profile), role, CA)


@pytest.mark.parametrize("name", ["x" * 65, " front", "back ", "a\u202eb", "a\tb"])
def test_names_that_break_the_rules(name: str) -> None:
    if len(name) > 64:
        with pytest.raises(ValueError, match="64"):
            end_entity(profiles.seal, name)
        return
    assert any("name" in one for one in findings(end_entity(profiles.seal, name), "seal", CA))


def test_a_stranger_of_the_same_name_signed_nothing() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    forged = profiles.Issuer(CA, other, hashes.SHA384(), "")
    made = profiles.seal(forged, profiles.name("x", "Org"), KEY.public_key(), NOW, 90 * DAY)
    with pytest.raises(CertificateRefused, match="not signed by the key"):
        check_signature(made, CA)


def test_outside_certificates_are_held_to_the_same() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(CA.subject)
        .public_key(weak.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + 20_000 * DAY)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=False)
        .sign(CA_KEY, hashes.SHA384())
    )
    said = "; ".join(findings(made, "stamp", CA))
    for why in (
        "fewer than 64 bits",
        "RSA key",
        "does not say what",
        "name its issuer's key",
        "longer than its issuer",
    ):
        assert why in said, said
