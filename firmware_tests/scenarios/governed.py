"""A running box with officers in software: enrolled and founded over its sockets as their browsers and console do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec

from appliance.base64url import from_base64url
from appliance.ceremonies import Action, encode
from appliance.keymaster.client import DeskClient
from appliance.keymaster.console.client import ConsoleClient
from firmware_tests.officers import SoftwareOfficer
from firmware_tests.running import RunningBox

NAMES = ("ann", "bo", "cai")
HOST = "approve.localhost:8444"


class GovernedBox(RunningBox):
    """Two of three officers beside the requester decide, for the box and for each tenant."""

    def __init__(self, root: Path, *tenants: str) -> None:
        super().__init__(root, *tenants)
        self.officers: dict[str, SoftwareOfficer] = {}

    def found(self) -> None:
        with DeskClient(self.home.desk_socket) as desk, ConsoleClient(self.home.console_socket) as console:
            for name in NAMES:
                self._enrol(desk, console, name)
            prepared = console.call("prepare_founding", 2, {})
            console.call("found", prepared["digest"], " ".join(prepared["words"].split()[:4]))

    def _enrol(self, desk: DeskClient, console: ConsoleClient, name: str) -> None:
        officer = self.officers[name] = SoftwareOfficer(name, origin=f"https://{HOST}")
        code = desk.invite(name, officer.title)
        transport = httpx.HTTPTransport(uds=str(self.home.approve_socket))
        with httpx.Client(transport=transport, base_url="http://approve.localhost", headers={"Host": HOST}) as page:
            options = page.get(f"/api/invitations/{code}").json()["options"]
            made = officer.register(from_base64url(options["challenge"]))
            candidate = page.post(f"/api/invitations/{code}/passkey", json=made).json()
            typed = console.call("code", candidate["id"])
            done = page.post(f"/api/candidates/{candidate['id']}/confirmation", json={"code": typed})
            assert done.status_code == 200, done.text

    def say(self, digest: str, *said: str) -> dict[str, Any]:
        """Statements from texts `verb officer`; the summary after the last."""
        shown: dict[str, Any] = {}
        with DeskClient(self.home.desk_socket) as desk:
            for text in said:
                verb, name = text.split()
                shown = desk.state_(encode(self.officers[name].sign(verb, digest)))  # type: ignore[arg-type]
        return shown

    def submit(self, *actions: Action) -> str:
        with DeskClient(self.home.desk_socket) as desk:
            return desk.submit(desk.draft("ann", "A test", "It must hold 必须", msgspec.json.encode(list(actions)), 24))

    def one_word(self, action: Action) -> dict[str, Any]:
        """One officer's word; how it stands then."""
        return self.say(self.submit(action), "take-away ann")

    def decide(self, *actions: Action, patience_s: float = 30.0) -> list[dict[str, Any]]:
        """A ceremony from proposal to execution; its steps."""
        digest = self.submit(*actions)
        shown = self.say(digest, "request ann", "approve bo", "approve cai")
        assert shown["state"] == "approved", shown
        with DeskClient(self.home.desk_socket, patience=120) as desk:
            shown = desk.execute(digest, patience_s)
            assert shown["state"] == "executed", shown
            steps: list[dict[str, Any]] = desk.proposal(digest)["steps"]
        return steps
