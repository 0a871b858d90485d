"""A running box with officers, and ceremonies on it from draft to end: what tests of actions share."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import msgspec

from appliance.box.settings import read_settings, write_settings
from appliance.ceremonies import encode
from appliance.keymaster.client import DeskClient, DeskUnavailable
from firmware_tests.keymaster.test_box import NAMES, Officers, found
from firmware_tests.running import RunningBox, wait_until

LATER = "2099-01-01T00:00:00Z"


class GovernedBox(RunningBox):
    """A box whose officers are ann, bo and cai, of every scope."""

    officers: Officers

    def begin(self, *, provisioned: tuple[str, ...] = (), run: tuple[str, ...] = (), **settings: Any) -> None:
        """Provision, start and found. `provisioned`, `run`: options of the two commands; `settings`: members of
        box.json to be others than provisioning's."""
        self.provision(*provisioned)
        if settings:
            now = read_settings(self.home.settings)
            write_settings(self.home.settings, msgspec.structs.replace(now, **settings))
        self.officers = Officers()
        self.start(*run)
        try:
            for name in NAMES:
                self.officers.enrol(self, name)
            for _ in range(5):  # a token that is busy says so, and the person types it once more
                done = found(self)
                if "(unavailable). Nothing was changed." not in done.stderr:
                    break
            assert done.returncode == 0, done.stdout + done.stderr
        except BaseException:
            self.stop()  # no fixture knows of it yet
            raise

    def desk(self) -> DeskClient:
        """A connection to the desk, once it answers: a keymaster that died is back in a moment."""
        clients: list[DeskClient] = []

        def answers() -> bool:
            with contextlib.suppress(DeskUnavailable):
                clients.append(DeskClient(self.home.desk_socket, patience=120))
            return bool(clients)

        wait_until(answers, 30, "the desk")
        return clients[0]

    def approved(self, *actions: msgspec.Struct, hours: int = 24) -> str:
        """A proposal that the quorum has approved."""
        with self.desk() as desk:
            text = desk.draft("ann", "A test", "It must hold 必须", msgspec.json.encode(list(actions)), hours)
            digest = desk.submit(text)
            assert self.officers.decide(desk, digest)["state"] == "approved"
        return digest

    def hold(self, *actions: msgspec.Struct) -> dict[str, Any]:
        """A ceremony from draft to end; the proposal as the desk shows it."""
        return self.finish(self.approved(*actions))

    def finish(self, digest: str, state: str = "executed") -> dict[str, Any]:
        """Execute and wait for the end."""
        shown: dict[str, Any] = {}

        def ended() -> bool:
            with contextlib.suppress(DeskUnavailable), self.desk() as desk:
                shown.update(desk.proposal(digest))
                if shown["state"] == "approved":
                    desk.execute(digest, 0.0)
            return shown.get("state") in {"executed", "failed"}

        wait_until(ended, 90, "the end of the execution")
        assert shown["state"] == state, (shown["error"], self.said()[-3000:])
        return shown

    def word(self, action: msgspec.Struct) -> dict[str, Any]:
        """One officer's word, which takes something away at once."""
        with self.desk() as desk:
            text = desk.draft("bo", "A test", "At once", msgspec.json.encode([action]), 1)
            digest = desk.submit(text)
            shown = desk.state_(encode(self.officers["bo"].sign("take-away", digest)))
            assert shown["state"] == "executed", shown
            return desk.proposal(digest)

    def key(self, name: str, tenant: str | None = "demo") -> dict[str, Any]:
        """A key as the desk tells of it."""
        with self.desk() as desk:
            scope = "box" if tenant is None else f"tenant/{tenant}"
            (found_key,) = [one for one in desk.call("keys", scope) if one["name"] == name]
        return found_key  # type: ignore[no-any-return]


def now_text(**ahead: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(**ahead)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
