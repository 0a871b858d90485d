"""A real box with a constitution: software officers enrol over the approval socket, the console founds, they decide."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import msgspec

from appliance.base64url import from_base64url
from appliance.ceremonies import Constitution, decode, digest_words, encode
from appliance.keymaster.client import DeskClient
from firmware_tests.officers import SoftwareOfficer
from firmware_tests.running import CLI, RunningBox

NAMES = ("ann", "bo", "cai")


class Governed:
    """A running box and its officers, by id."""

    def __init__(self, box: RunningBox) -> None:
        self.box = box
        self.officers: dict[str, SoftwareOfficer] = {}

    @property
    def root(self) -> str:
        return str(self.box.home.root)

    def desk(self) -> DeskClient:
        return DeskClient(self.box.home.desk_socket)

    def console(self, *arguments: str, typed: str | None = None) -> str:
        done = subprocess.run(
            (*CLI, "console", "--home", self.root, *arguments),
            input=typed, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def enrol(self, name: str, title: str = "") -> SoftwareOfficer:
        """What a browser does with the link that the console gave, and the console's code typed into its page."""
        link = self.console("invite", name, title or name.title()).strip()
        origin, _, code = link.partition("/enrol/")
        officer = self.officers[name] = SoftwareOfficer(name, origin=origin, title=title)
        transport = httpx.HTTPTransport(uds=str(self.box.home.approve_socket))
        host = {"Host": origin.removeprefix("https://")}
        with httpx.Client(transport=transport, base_url="http://approve.localhost", headers=host) as client:
            challenge = client.get(f"/api/invitations/{code}").json()["options"]["challenge"]
            made = officer.register(from_base64url(challenge))
            answer = client.post(f"/api/invitations/{code}/passkey", json=made)
            assert answer.status_code == 200, answer.text
            candidate = answer.json()
            shown = json.loads(self.console("candidates", "--json"))
            assert next(one for one in shown if one["id"] == candidate["id"])["words"] == candidate["words"]["en"]
            typed = self.console("code", candidate["id"]).strip()
            confirmed = client.post(f"/api/candidates/{candidate['id']}/confirmation", json={"code": typed})
            assert confirmed.status_code == 200, confirmed.text
        return officer

    def found(self, threshold: int = 2, *options: str) -> str:
        """`cinnabar console found`, whose first four words are typed back as the person reads them; the digest."""
        process = subprocess.Popen(
            (*CLI, "console", "--home", self.root, "found", "--threshold", str(threshold), *options),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        digest = ""
        for line in process.stdout:
            if line.startswith("Fingerprint "):
                digest = line.split()[1]
                break
        out, error = process.communicate(" ".join(digest_words(digest).split()[:4]) + "\n", timeout=60)
        assert process.returncode == 0, out + error
        return digest

    def law(self) -> Constitution:
        with self.desk() as desk:
            return decode(desk.constitution(), Constitution)

    def submit(self, actions: Sequence[msgspec.Struct], title: str = "A ceremony", requester: str = "ann") -> str:
        with self.desk() as desk:
            text = desk.draft(requester, title, "A test 试", msgspec.json.encode(list(actions)), 24)
            return desk.submit(text)

    def say(self, digest: str, *said: str) -> dict[str, object]:
        """Statements from texts `verb officer`; the summary after the last."""
        shown: dict[str, object] = {}
        with self.desk() as desk:
            for text in said:
                verb, name = text.split()
                shown = desk.state_(encode(self.officers[name].sign(verb, digest)))  # type: ignore[arg-type]
        return shown

    def execute(self, digest: str) -> dict[str, object]:
        with self.desk() as desk:
            return desk.execute(digest, 30.0)

    def decide(
        self, actions: Sequence[msgspec.Struct], *more: str, title: str = "A ceremony", state: str = "executed"
    ) -> str:
        """A whole ceremony: ann requests, bo and cai approve, `more` is said, it is executed. Its digest."""
        digest = self.submit(actions, title)
        shown = self.say(digest, "request ann", "approve bo", "approve cai", *more)
        assert shown["state"] == "approved", shown
        shown = self.execute(digest)
        assert shown["state"] == state, shown
        return digest

    def bundle(self, digest: str) -> bytes:
        with self.desk() as desk:
            return desk.bundle(digest)


def governed(
    root: Path,
    *tenants: str,
    management: str = "off",
    names: Sequence[str] = NAMES,
    prepare: Callable[[RunningBox], None] | None = None,
) -> Governed:
    """A box, provisioned, prepared, started, with the officers enrolled and the constitution founded. The caller stops
    it."""
    box = RunningBox(root, *(tenants or ("demo",)))
    box.provision()
    if prepare is not None:
        prepare(box)
    try:
        box.start(management=management)
        made = Governed(box)
        for name in names:
            made.enrol(name)
        made.found()
    except BaseException:
        if box.running:
            box.stop()
        raise
    return made
