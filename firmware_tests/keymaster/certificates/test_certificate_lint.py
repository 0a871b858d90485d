"""Every profile of the box's certificates, held to RFC 5280 by pkilint, which is not ours."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from appliance.keymaster.certificates import profiles

LINT = (sys.executable, "-W", "ignore", "-m", "pkilint.bin.lint_pkix_cert", "lint", "-s", "NOTICE", "-f", "JSON")
LINT_CRL = (sys.executable, "-W", "ignore", "-m", "pkilint.bin.lint_crl", "lint", "-s", "NOTICE", "-f", "JSON")
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
YEAR = datetime.timedelta(days=365)

CA_KEY = ec.generate_private_key(ec.SECP384R1())
CA = profiles.authority(
    profiles.name("REHEARSAL test-ca", "REHEARSAL - no legal effect"),
    CA_KEY,
    CA_KEY.public_key(),
    hashes.SHA384(),
    NOW,
    10 * YEAR,
)
ISSUER = profiles.Issuer(
    CA, CA_KEY, hashes.SHA384(), "http://box.example/crl/test-ca.crl", "http://box.example/ocsp/test-ca"
)
SUBJECT = profiles.name("REHEARSAL 测试 seal", "REHEARSAL - no legal effect")
P256: PublicKeyTypes = ec.generate_private_key(ec.SECP256R1()).public_key()
RSA: PublicKeyTypes = rsa.generate_private_key(65_537, 3072).public_key()

PROFILES: dict[str, Callable[[PublicKeyTypes], x509.Certificate]] = {
    "unit": lambda key: profiles.time_stamping_unit(ISSUER, SUBJECT, key, NOW, YEAR),
    "seal": lambda key: profiles.seal(ISSUER, SUBJECT, key, NOW, YEAR),
    "server": lambda key: profiles.tls_server(ISSUER, SUBJECT, key, NOW, YEAR, ["box.example", "192.0.2.1", "::1"]),
    "client": lambda key: profiles.tls_client(ISSUER, SUBJECT, key, NOW, YEAR),
    "responder": lambda key: profiles.ocsp_responder(ISSUER, SUBJECT, key, NOW, YEAR),
    "authority": lambda _: CA,
}


def findings(command: tuple[str, ...], path: Path) -> list[object]:
    ran = subprocess.run((*command, str(path)), capture_output=True, text=True, check=False, timeout=60)
    return [one for one in json.loads(ran.stdout)["results"] if one["finding_descriptions"]]


@pytest.mark.parametrize("key", [P256, RSA], ids=["p256", "rsa"])
@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_breaks_a_rule(profile: str, key: PublicKeyTypes, tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(PROFILES[profile](key).public_bytes(serialization.Encoding.PEM))
    assert findings(LINT, path) == []


def test_no_servers_certificate_is_longer_than_browsers_take() -> None:
    """The front's renewal and EST have it from the profile itself."""
    made = profiles.tls_server(ISSUER, SUBJECT, P256, NOW, 3 * YEAR, ["box.example"])
    assert made.not_valid_after_utc == NOW + datetime.timedelta(days=397) == NOW + profiles.LONGEST_SERVER


def test_a_broken_certificate_is_found(tmp_path: Path) -> None:
    """The linter is awake."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(SUBJECT)
        .issuer_name(CA.subject)
        .public_key(P256)  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(builder.sign(CA_KEY, hashes.SHA384()).public_bytes(serialization.Encoding.PEM))
    assert findings(LINT, path)


def test_a_revocation_list_breaks_no_rule(tmp_path: Path) -> None:
    held = profiles.Revocation(2**150 + 1, NOW, x509.ReasonFlags.certificate_hold)
    gone = profiles.Revocation(2**150 + 2, NOW)
    crl = profiles.revocation_list(ISSUER, 7, [held, gone], NOW, datetime.timedelta(days=7))
    path = tmp_path / "list.pem"
    path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    assert findings((*LINT_CRL, "-t", "CRL", "-p", "PKIX"), path) == []
