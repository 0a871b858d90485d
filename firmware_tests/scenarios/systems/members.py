"""Programs and devices that fetch certificates of their own (EST), within a frame that officers set once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.ceremonies.actions import AuthoriseEnrolment, EnrolApplication, SetCertificateProfile
from appliance.client import Client, Credentials
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.running import cinnabar


@dataclass
class Member:
    """One of them. Its key was made where it runs, and is nowhere else."""

    client: Client
    certificate: x509.Certificate

    @property
    def digest(self) -> str:
        """SHA-256 of the certificate, by which the register knows it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def joined(hall: ManagedBox, tenant: str, name: str, role: str, party: str | None, directory: Path) -> Member:
    """A program of the tenant with a role, for the firm with the id `party` where there is one: officers let it enrol
    once, it asks with the console's secret, and has its certificate. The caller closes its client."""
    acts_for = [] if party is None else [f"party-{party}"]
    (secret,) = hall.decide(
        SetCertificateProfile(
            profile=name,
            authority="box-ca",
            tenant=tenant,
            use="tls-client",
            common_name_pattern=name,
            days=30,
            most=2,
            until="2099-01-01T00:00:00Z",
        ),
        EnrolApplication(
            tenant=tenant,
            application=name,
            permissions=[f"role-{role}", *acts_for, f"{tenant}-seal", f"{tenant}-tsu"],
        ),
        AuthoriseEnrolment(tenant=tenant, profile=name, application=name),
    )
    file, out = directory / f"{name}.secret", directory / name
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    box = hall.running
    ca = x509.load_pem_x509_certificate((box.home.trust / "box-ca.pem").read_bytes())
    where = ("--est", f"https://{box.address('public')}", "--name", name, "--secret-file", str(file), "--out", str(out))
    done = cinnabar("enrol", *where, "--ca-sha256", ca.fingerprint(hashes.SHA256()).hex(":"))
    assert done.returncode == 0, done.stderr
    credentials = Credentials(out / f"{name}.crt", out / f"{name}.key", out / "ca.pem")
    certificate = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
    return Member(Client(box.url, credentials=credentials), certificate)
