"""docs/ceremonies.md, followed as three new officers follow it: its commands in a shell, its clicks in browsers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_tests.browsers import OfficerBrowser, browsers
from firmware_tests.governed import Governed
from firmware_tests.running import RunningBox, wait_until

PAGE = Path(__file__).parents[2] / "docs" / "ceremonies.md"
_PIECE = re.compile(r"<!-- follow -->\n```sh\n(?P<sh>.*?)^```$|<!-- officers (?P<deed>[a-z ]+) -->", re.M | re.S)
FORM = {
    "shared.tenant": "demo", "shared.token": "demo", "shared.key": "letters-2027",
    "actions.0.scheme": "ecdsa-p256-sha256", "actions.0.until": "2099-01-01T00:00",
    "actions.1.authority": "seal-ca", "actions.1.common_name": "Demo Bank", "actions.1.organisation": "Demo Bank",
    "actions.1.country": "CN", "actions.1.days": "365", "reason": "The tenant has no seal key of its own making.",
}  # fmt: skip


class Officers:
    """Three people in their browsers, and the one at the console."""

    def __init__(self, directory: Path, makes: object) -> None:
        self.directory = directory
        self.box = RunningBox(directory / "var" / "demo" / "box")
        self.governed = Governed(self.box)
        self.makes = makes
        self.people: dict[str, OfficerBrowser] = {}
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def shell(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", text], cwd=self.directory, env=self.environment,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def invited(self, person: str) -> str:
        said = self.shell(f"cinnabar management invite --home var/demo/box {person} {person.title()}")
        return re.search(r"https://\S+/enrol/\S+", said)[0]  # type: ignore[index]

    # What the page tells people to do

    def enrol(self) -> None:
        for name in ("ann", "bo", "cai"):
            officer = self.people[name] = self.makes.officer(name)  # type: ignore[attr-defined]
            page = officer.page
            page.goto(self.invited(name))
            page.get_by_role("button", name="Make the passkey").click()
            page.wait_for_url("**/me")
            page.get_by_role("button", name="Make a passkey for approvals").click()
            page.wait_for_selector("#make:not([hidden])")
            page.click("#make-button")
            page.wait_for_selector("#compare:not([hidden])")
            shown = page.eval_on_selector_all("#words li span[lang=en]", "all => all.map(one => one.textContent)")
            candidates = json.loads(self.shell("cinnabar console --home var/demo/box candidates --json"))
            (mine,) = [one for one in candidates if one["person"] == name]
            assert shown == mine["words"].split()
            page.fill("#code", self.shell(f"cinnabar console --home var/demo/box code {mine['id']}").strip())
            page.click("#confirm button")
            page.wait_for_selector("#done:not([hidden])")

    def found(self) -> None:
        self.environment["FOUNDING"] = self.governed.found(threshold=2)

    def hold_the_key_ceremony(self) -> None:
        page = self.people["ann"].page
        origin = f"https://localhost:{self.box.address('management').rpartition(':')[2]}"
        page.goto(f"{origin}/ceremonies")
        page.get_by_role("link", name="Write a ceremony").first.click()
        page.get_by_role("link", name="Give a tenant a seal key").first.click()
        for name, value in FORM.items():
            field = page.locator(f"[name='{name}']")
            if field.evaluate("one => one.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        page.get_by_role("button", name="Read it in plain words").click()
        page.get_by_role("button", name="Hand it in").click()
        page.wait_for_url(re.compile(r"/ceremonies/[0-9a-f]{64}$"))
        digest = self.environment["DIGEST"] = page.url.rpartition("/")[2]
        for name, verb in (("ann", "request"), ("bo", "approve"), ("cai", "approve")):
            self.say(name, verb, f"{origin}/ceremonies/{digest}")
        page.goto(f"{origin}/ceremonies/{digest}")
        page.get_by_role("button", name="Execute it now").click()
        page.get_by_text("It is done.").wait_for(timeout=30_000)

    def say(self, name: str, verb: str, address: str) -> None:
        """On the approval pages, after the words have been compared with the console's."""
        page = self.people[name].page
        page.goto(address)
        page.goto(page.locator("a[href*='approve.localhost']").first.get_attribute("href") or "")
        page.wait_for_selector("#proposal:not([hidden])")
        words = page.eval_on_selector_all("#words li span[lang=en]", "all => all.map(one => one.textContent)")
        shown = self.shell('cinnabar console --home var/demo/box show "$DIGEST"')
        assert " ".join(words) in " ".join(shown.split())
        page.click(f"button[data-verb={verb}]")
        page.wait_for_selector("#standing .thanks")


@pytest.fixture
def officers(open_directory: Path, tmp_path: Path) -> Iterator[Officers]:
    root = open_directory / "followed"
    (root / "var" / "demo").mkdir(parents=True)
    box = RunningBox(root / "var" / "demo" / "box")
    box.provision()
    with browsers(box.home.trust / "box-ca.pem", tmp_path) as makes:
        made = Officers(root, makes)
        made.box.start(management="127.0.0.1:0")
        try:
            wait_until(made.box.home.management_socket.exists, 30, "the management service")
            yield made
        finally:
            if made.box.running:
                made.box.stop()


def test_three_new_officers_follow_the_page(officers: Officers) -> None:
    said = ""
    for piece in _PIECE.finditer(PAGE.read_text()):
        if piece["sh"] is not None:
            said = officers.shell(piece["sh"])
        else:
            getattr(officers, piece["deed"].replace(" ", "_"))()
    assert "TOTAL-PASSED" in said
    assert "approved by bo, cai" in said
    assert all(one.complaints == [] for one in officers.people.values())
