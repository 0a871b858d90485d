"""A box with officers, and people who visit its management service as browsers do: passkeys, cookies, origins."""

from __future__ import annotations

import base64
import re
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from appliance.base64url import from_base64url
from appliance.box.home import Home
from appliance.box.ledgers import Rfc3161Authority
from appliance.ceremonies import Action, QuorumMissing, encode
from appliance.client import Client, Credentials
from appliance.keymaster.client import DeskClient, DeskUnavailable
from appliance.keymaster.console.client import ConsoleClient
from firmware_tests.anchorer.outside import add_ledger, der_of, once_anchored, stamp_profile
from firmware_tests.letters.kinds import install
from firmware_tests.officers import SoftwareOfficer
from firmware_tests.running import RunningBox, cinnabar, wait_until

FIRM = "91440101MA5CUYJL1K"
"""Unified social credit code of a firm that a program acts for."""
OFFICERS = ("ann", "bo", "cai")


def challenge_of(options: dict[str, Any]) -> bytes:
    """The challenge in options for navigator.credentials."""
    return from_base64url(options["challenge"])


class ManagedBox:
    """A running box with the management front: OFFICERS for the box and `demo`; `other` has officers of its own.

    Everything goes the way that people go: invitations, passkeys, the console's codes, the founding's words."""

    def __init__(self, root: Path, *tenants: str) -> None:
        self.running = RunningBox(root, *(tenants or ("demo", "other")))
        self.officers: dict[str, SoftwareOfficer] = {}
        self.clients: list[httpx.Client] = []
        self.threshold = 1

    @property
    def home(self) -> Home:
        return self.running.home

    def start(self, *options: str) -> None:
        if not self.home.settings.exists():
            self.running.provision()
            trusted = der_of(self.running.home.trust / "tsa-ca.pem")
            nobody = Rfc3161Authority(url="http://127.0.0.1:1/", password_file="ledgers/password")
            add_ledger(self.running, stamp_profile("outside", [trusted], ["1.2.3"]), nobody)
            once_anchored(self.running, "former")
            for tenant in self.running.tenants:
                install(self.home, tenant)
        self.running.start(*options, management="127.0.0.1:0")
        wait_until(lambda: self.home.management_socket.exists() and self.up(), 30, "the management service")
        wait_until(self.answers, 30, "the keymaster's desk")

    def up(self) -> bool:
        try:
            return self.visitor().get("/sign-in").status_code == 200
        except httpx.HTTPError:
            return False

    def answers(self) -> bool:
        try:
            with self.desk() as desk:
                return bool(desk.status()["recorder"])
        except DeskUnavailable:
            return False

    def stop(self) -> int:
        """Close every visitor's connections and stop the box; its exit status."""
        for client in self.clients:
            client.close()
        return self.running.stop() if self.running.running else 0

    @property
    def port(self) -> str:
        return self.running.address("management").rpartition(":")[2]

    def origin(self, name: str = "localhost") -> str:
        return f"https://{name}:{self.port}"

    def visitor(self, address: str = "127.0.0.1") -> Visitor:
        return Visitor(self, address=address)

    def console(self) -> ConsoleClient:
        return ConsoleClient(self.home.console_socket)

    def desk(self) -> DeskClient:
        return DeskClient(self.home.desk_socket)

    # Approval credentials

    def candidate(self, name: str, title: str = "") -> SoftwareOfficer:
        """A confirmed candidate: her link, her passkey, the console's code typed by her."""
        officer = SoftwareOfficer(name, origin=self.origin("approve.localhost"), title=title)
        with self.desk() as desk:
            code = desk.invite(name, officer.title)
        page = self.visitor().at("approve.localhost")
        options = page.get(f"/api/invitations/{code}").json()["options"]
        made = page.post(f"/api/invitations/{code}/passkey", json=officer.register(challenge_of(options)))
        assert made.status_code == 200, made.text
        with self.console() as console:
            digits = console.call("code", made.json()["id"])
        confirmed = page.post(f"/api/candidates/{made.json()['id']}/confirmation", json={"code": digits})
        assert confirmed.json()["state"] == "confirmed", confirmed.text
        self.officers[name] = officer
        return officer

    def found(self, threshold: int = 1) -> None:
        """Officers of the box and of both tenants; the other one has programs that act for a firm, and for all."""
        with self.running.admin() as admin:
            admin.enrol_application("other", "party-desk", ["role-holder", f"party-{FIRM}"])
            admin.enrol_application("other", "party-hub", ["role-holder", "party-*"])
        rosters = {"box": OFFICERS, "tenant/demo": OFFICERS, "tenant/other": ("dora", "eli")}
        self.found_with(rosters, threshold)

    def found_with(self, rosters: Mapping[str, Sequence[str]], threshold: int = 1) -> None:
        """The first constitution: officers by scope, and as persons whoever else has been confirmed."""
        self.threshold = threshold
        for name in dict.fromkeys(name for officers in rosters.values() for name in officers):
            self.candidate(name)
        with self.console() as console:
            scopes = {scope: list(officers) for scope, officers in rosters.items()}
            prepared = console.call("prepare_founding", threshold, scopes)
            console.call("found", prepared["digest"], " ".join(prepared["words"].split()[:4]))

    def client(self, tenant: str = "demo") -> Client:
        """The tenant's application; the caller closes it."""
        certificate, key = self.running.credentials(tenant)
        return Client(self.running.url, credentials=Credentials(certificate, key, self.home.trust / "box-ca.pem"))

    def sealed(self, content: bytes = b"a bond", tenant: str = "demo") -> str:
        """Seal a document as the tenant's application; the id of its record."""
        with self.client(tenant) as client:
            return str(client.seal(content).record)

    def say(self, digest: str, *said: str) -> dict[str, Any]:
        """Statements from texts `verb officer`; the summary after the last."""
        shown: dict[str, Any] = {}
        with self.desk() as desk:
            for text in said:
                verb, name = text.split()
                shown = desk.state_(encode(self.officers[name].sign(verb, digest)))  # type: ignore[arg-type]
        return shown

    def decide(self, *actions: Action) -> list[str]:
        """A ceremony from proposal to execution: ann asks, as many others as the threshold says approve, and one
        approval short of them nothing is executed. What the console showed meanwhile."""
        return self._held(actions)[1]

    def held(self, *actions: Action) -> dict[str, Any]:
        """The same; its steps with their facts, and its outputs."""
        digest = self._held(actions)[0]
        with self.desk() as desk:
            return {**desk.proposal(digest), "outputs": desk.transcript(digest)["outputs"]}

    def _held(self, actions: Sequence[Action]) -> tuple[str, list[str]]:
        digest = self._proposed(actions)
        *others, last = OFFICERS[1 : 1 + self.threshold]
        self.say(digest, "request ann", *(f"approve {name}" for name in others))
        shown: list[str] = []
        with self.desk() as desk, self.console() as console:
            with pytest.raises(QuorumMissing):
                desk.execute(digest)
            self.say(digest, f"approve {last}")
            desk.execute(digest)

            def ended() -> bool:
                for waiting in console.pending():
                    shown.append(console.text(waiting["number"]))
                    console.answer(waiting["number"], "")
                return bool(desk.proposal(digest)["state"] != "executing")

            wait_until(ended, 30, "the end of the ceremony")
            row = desk.proposal(digest)
        assert row["state"] == "executed", row["error"]
        return digest, shown

    def one_word(self, action: Action) -> None:
        """What takes power away, by ann's word alone, at once."""
        shown = self.say(self._proposed([action]), "take-away ann")
        assert shown["state"] == "executed", shown

    def _proposed(self, actions: Sequence[Action]) -> str:
        with self.desk() as desk:
            return desk.submit(desk.draft("ann", "A test", "It must hold", msgspec.json.encode(actions), 24))

    # Sign-in passkeys

    def invite(self, person: str, name: str) -> str:
        """The path of a one-time link, as whoever runs the box makes it."""
        made = cinnabar("management", "invite", "--home", str(self.home.root), person, name)
        assert made.returncode == 0, made.stderr
        found = re.search(r"https://[^/]+(/enrol/\S+)", made.stdout)
        assert found, made.stdout
        return found[1]

    def signed_in(self, person: str, name: str = "", address: str = "127.0.0.1") -> Visitor:
        """A new visitor, enrolled and signed in."""
        visitor = self.visitor(address)
        visitor.enrol(self.invite(person, name or person.title()), person)
        return visitor


@dataclass
class Visitor:
    """A browser: a cookie jar, an authenticator, and the headers that browsers send."""

    box: ManagedBox
    client: httpx.Client = field(init=False)
    host: str = "localhost"
    address: str = "127.0.0.1"
    """That it comes from."""
    passkey: SoftwareOfficer | None = None
    csrf: str = ""

    def __post_init__(self) -> None:
        self.client = self._client()

    def _client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.box.home.trust / "box-ca.pem"))
        made = httpx.Client(
            base_url=f"https://127.0.0.1:{self.box.port}",
            transport=httpx.HTTPTransport(verify=context, local_address=self.address),
            timeout=30,
            headers={"Host": f"{self.host}:{self.box.port}", "Accept-Language": "en"},
        )
        self.box.clients.append(made)
        return made

    def at(self, host: str) -> Visitor:
        """The same kind of visitor at another name of the front."""
        return Visitor(self.box, host=host)

    @property
    def origin(self) -> str:
        return self.box.origin(self.host)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._send("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """As a page of this origin sends it, with the session's token."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        if self.csrf:
            headers["X-CSRF-Token"] = self.csrf
        return self._send("POST", path, **({**more, "headers": {**headers, **more.get("headers", {})}}))

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        # httpx keeps cookies by the address; browsers by the name, which is all the same here.
        extensions = {"sni_hostname": self.host}
        while True:
            answer = self.client.request(method, path, extensions=extensions, **more)
            if answer.status_code != 429 or not answer.headers["Content-Type"].startswith("text/html"):
                return answer
            time.sleep(0.5)  # the front's own: nobody may ask faster than 50 times a second for long

    def enrol(self, link: str, person: str) -> None:
        """Make the first passkey by a one-time link."""
        passkey = SoftwareOfficer(person, rp_id="localhost", origin=self.origin)
        options = self.post(f"/api/v1{link}/options", json={}).json()["options"]
        made = self.post(f"/api/v1{link}", json={"credential": self._registered(passkey, options), "label": "test"})
        assert made.status_code == 200, made.text
        self.passkey = passkey
        self.learn()

    @staticmethod
    def _registered(passkey: SoftwareOfficer, options: dict[str, Any]) -> dict[str, Any]:
        return passkey.register(challenge_of(options))

    def assertion(self, options: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        """What navigator.credentials.get gives for these options."""
        assert self.passkey is not None
        signed = {"signed_challenge": challenge_of(options)} | wrong
        evidence = self.passkey.sign("request", "0" * 64, **signed).evidence
        identifier = base64.urlsafe_b64encode(self.passkey.credential_id).rstrip(b"=").decode()
        return {
            "id": identifier,
            "rawId": identifier,
            "type": "public-key",
            "response": {
                "clientDataJSON": evidence.client_data_json,  # type: ignore[union-attr]
                "authenticatorData": evidence.authenticator_data,  # type: ignore[union-attr]
                "signature": evidence.signature,  # type: ignore[union-attr]
            },
        }

    def sign_in(self, **wrong: Any) -> httpx.Response:
        options = self.post("/api/v1/sign-in/options", json={}).json()["options"]
        answer = self.post("/api/v1/sign-in", json={"credential": self.assertion(options, **wrong), "next": "/"})
        if answer.status_code == 200:
            self.learn()
        return answer

    def learn(self) -> None:
        """Take the session's token from a page, as scripts do."""
        found = re.search(r'data-csrf="([^"]+)"', self.get("/me").text)
        self.csrf = found[1] if found else ""

    @property
    def cookie(self) -> str:
        return next((value for name, value in self.client.cookies.items() if name == "__Host-cinnabar"), "")

    def draft(self, *actions: dict[str, Any], title: str = "A test", reason: str = "It must hold") -> httpx.Response:
        body = {"title": title, "reason": reason, "actions": list(actions)}
        return self.post("/api/v1/ceremonies/draft", json=body)

    def submit(self, *actions: dict[str, Any], **more: Any) -> str:
        """A proposal handed in; its digest."""
        drafted = self.draft(*actions, **more)
        assert drafted.status_code == 200, drafted.text
        handed = self.post("/api/v1/ceremonies", json={"proposal": drafted.json()["proposal"]})
        assert handed.status_code == 200, handed.text
        return str(drafted.json()["digest"])


def wait_for(visitor: Visitor, digest: str, state: str, seconds: float = 30.0) -> dict[str, Any]:
    """Poll a ceremony until it is in a state."""
    deadline = time.monotonic() + seconds
    while True:
        shown: dict[str, Any] = visitor.get(f"/api/v1/ceremonies/{digest}").json()
        if shown["state"] == state:
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)


__all__ = ["OFFICERS", "ManagedBox", "Visitor", "subprocess", "wait_for"]
