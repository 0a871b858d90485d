"""A founded box whose tenants have partners by ceremony, and the partners: each with keys of its own, none of ours."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.ceremonies.actions import EnrolApplication, EnrolCertificate, SetPartner
from firmware_tests.gateway.docking import Partner, connected, profile_of
from firmware_tests.gateway.partner import Party
from firmware_tests.governed import Governed, governed
from firmware_tests.letters.kinds import install
from firmware_tests.letters.test_instructions import ASKER
from firmware_tests.running import RunningBox

ROOT = Path(__file__).parents[2]


@dataclass
class Docked:
    governed: Governed
    partners: dict[str, Partner]

    @property
    def box(self) -> RunningBox:
        return self.governed.box

    def profile(self, name: str, **changed: Any) -> SetPartner:
        return msgspec.structs.replace(profile_of(self.partners[name]), **changed)


def enrolled(partner: Partner, clients: Path) -> list[msgspec.Struct]:
    """The actions that let a partner in."""
    application = f"{partner.name}-{partner.tenant}"
    made = x509.load_pem_x509_certificate((clients / f"{application}.crt").read_bytes())
    der = base64.b64encode(made.public_bytes(Encoding.DER)).decode()
    roles = ["role-guarantor", "role-asker", f"party-{ASKER['id']}"]
    permissions = [f"partner-{partner.name}", *roles, f"{partner.tenant}-seal", f"{partner.tenant}-tsu"]
    return [
        EnrolApplication(tenant=partner.tenant, application=application, permissions=permissions),
        EnrolCertificate(tenant=partner.tenant, application=application, certificate=der),
        profile_of(partner),
    ]


PARTNERS = (
    ("demo", "srm", "ES256", "ECDH-ES", "envelope"),
    ("demo", "rival", "RS256", "RSA-OAEP-256", "jose"),
    ("other", "srm", "ES384", "RSA-OAEP-256", "envelope"),
)


@pytest.fixture(scope="session")
def docked(open_directory: Path) -> Iterator[Docked]:
    def prepare(box: RunningBox) -> None:
        for tenant in box.tenants:
            install(box.home, tenant)
        for tenant, name, *_ in PARTNERS:
            output = box.home.clients / f"{name}-{tenant}"
            subprocess.run(
                (sys.executable, "-m", "firmware_tests.scenarios.issue_client", box.home.root, output, "0"),
                check=True, timeout=60, cwd=ROOT,
            )  # fmt: skip

    made = governed(open_directory / "docked", "demo", "other", prepare=prepare)
    box, partners = made.box, {}
    for tenant, name, sign, encrypt, format_ in PARTNERS:
        http = connected(box, f"{name}-{tenant}")
        party = Party(open_directory / "parties" / f"{name}-{tenant}", sign, encrypt)
        partners[f"{name}-{tenant}"] = Partner(box, tenant, name, party, format_, http)
    try:
        made.decide([action for one in partners.values() for action in enrolled(one, box.home.clients)])
        yield Docked(made, partners)
    finally:
        for one in partners.values():
            one.http.close()
        status = box.stop()
    assert status == 0, box.said()


@pytest.fixture
def srm(docked: Docked) -> Partner:
    return docked.partners["srm-demo"]


@pytest.fixture
def rival(docked: Docked) -> Partner:
    return docked.partners["rival-demo"]
