"""A partner at a running box: its TLS client, its messages, and the profile that lets it in."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from appliance.ceremonies.actions import SetPartner
from firmware_tests.gateway import partner as theirs
from firmware_tests.gateway.partner import Party
from firmware_tests.running import RunningBox


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
        answer = self._patiently(lambda: self.http.get(self.path))
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
        headers = {"content-type": self.media}
        return self._patiently(lambda: self.http.post(path or self.path, content=raw, headers=headers))

    @staticmethod
    def _patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
        """What a partner does while the box cannot answer: the same again, a little later."""
        for _ in range(60):
            answer = send()
            if answer.status_code != 503:
                break
            time.sleep(0.5)
        return answer

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


def connected(box: RunningBox, application: str) -> httpx.Client:
    """With the certificate of an application."""
    certificate = box.home.clients / f"{application}.crt"
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return httpx.Client(base_url=box.url, verify=context, timeout=30)


def profile_of(partner: Partner, kinds: Sequence[str] = ("bid-bond",)) -> SetPartner:
    """All calls, of letters of these kinds."""

    def der(name: str) -> str:
        return base64.b64encode(partner.party.certificate(name)).decode()

    return SetPartner(
        tenant=partner.tenant, partner=partner.name, title="国机供应链 SRM", format=partner.format,  # type: ignore[arg-type]
        sign=partner.party.sign, sign_certificates=[der("sign")], encrypt_certificate=der("encrypt"),  # type: ignore[arg-type]
        answer_key=f"{partner.tenant}-seal", calls=["begin", "event", "letter"], kinds=list(kinds),
    )  # fmt: skip
