"""A founded box whose tenants have partners by ceremony, and the partners: each with keys of its own, none of ours."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.ceremonies.actions import EnrolApplication, EnrolCertificate, SetPartner
from firmware_tests.gateway import partner as theirs
from firmware_tests.gateway.partner import Party
from firmware_tests.governed import Governed, governed
from firmware_tests.letters.kinds import install
from firmware_tests.running import RunningBox

ROOT = Path(__file__).parents[2]


@dataclass
class Partner:
    """A partner of a tenant: its TLS client and its message keys."""

    box: RunningBox
    tenant: str
    name: str
    party: Party
    format: str
    http: httpx.Client

    @property
    def path(self) -> str:
        return f"/v1/gateway/{self.name}"

    @property
    def media(self) -> str:
        return "application/json" if self.format == "envelope" else "application/jose"

    @staticmethod
    def now_ms() -> int:
        return int(time.time() * 1000)

    def sheet(self) -> dict[str, Any]:
        answer = self.http.get(self.path)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def write(self, content: object, **changed: Any) -> bytes:
        """A message; `changed`: its sender, receiver, nonce, time_ms."""
        sheet = self.sheet()
        raw = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        told: dict[str, Any] = {
            "sender": sheet["partner"], "receiver": sheet["tenant"], "nonce": base64.urlsafe_b64encode(
                theirs.openssl("rand", "18")).decode(), "time_ms": self.now_ms(), "content": raw,
        } | changed  # fmt: skip
        key = base64.b64decode(sheet["keys"][0]["key"])
        if self.format == "envelope":
            return json.dumps(theirs.write_envelope(self.party, key, **told)).encode()
        return theirs.write_jose(self.party, key, time_s=told.pop("time_ms") // 1000, **told)

    def post(self, raw: bytes, path: str | None = None) -> httpx.Response:
        return self.http.post(path or self.path, content=raw, headers={"content-type": self.media})

    def read(self, answer: bytes) -> dict[str, Any]:
        """What the box answered, verified and decrypted."""
        sheet = self.sheet()
        certificate = base64.b64decode(sheet["answer_certificates"][0])
        reading = theirs.read_envelope if self.format == "envelope" else theirs.read_jose
        names = sheet["tenant"], sheet["partner"]
        content = reading(self.party, answer, *names, certificate, sheet["answer_algorithm"])
        return json.loads(content)  # type: ignore[no-any-return]

    def ask(self, content: object, **changed: Any) -> dict[str, Any]:
        """Write, send, read."""
        answer = self.post(self.write(content, **changed))
        assert answer.status_code == 200, answer.text
        return self.read(answer.content)


@dataclass
class Docked:
    governed: Governed
    partners: dict[str, Partner]

    @property
    def box(self) -> RunningBox:
        return self.governed.box

    def profile(self, name: str, **changed: Any) -> SetPartner:
        return msgspec.structs.replace(profile_of(self.partners[name]), **changed)


def profile_of(partner: Partner) -> SetPartner:
    def der(name: str) -> str:
        return base64.b64encode(partner.party.certificate(name)).decode()

    return SetPartner(
        tenant=partner.tenant, partner=partner.name, title="国机供应链 SRM", format=partner.format,  # type: ignore[arg-type]
        sign=partner.party.sign, sign_certificates=[der("sign")], encrypt_certificate=der("encrypt"),  # type: ignore[arg-type]
        answer_key=f"{partner.tenant}-seal", calls=["begin", "event", "letter"], kinds=["bid-bond"],
    )  # fmt: skip


def enrolled(partner: Partner, clients: Path) -> list[msgspec.Struct]:
    """The actions that let a partner in."""
    application = f"{partner.name}-{partner.tenant}"
    made = x509.load_pem_x509_certificate((clients / f"{application}.crt").read_bytes())
    der = base64.b64encode(made.public_bytes(Encoding.DER)).decode()
    permissions = [f"partner-{partner.name}", "role-guarantor", f"{partner.tenant}-seal", f"{partner.tenant}-tsu"]
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
        certificate = box.home.clients / f"{name}-{tenant}.crt"
        context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        http = httpx.Client(base_url=box.url, verify=context, timeout=30)
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
