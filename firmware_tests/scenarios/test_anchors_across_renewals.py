"""A real box whose logs are renewed while letters live: what ledgers hold of each letter, before and after."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.asic import read_container
from appliance.box.ledgers import Rfc3161Authority
from appliance.box.settings import read_settings, write_settings
from appliance.client import Client
from appliance.evidence.browser import rules
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from firmware_tests.anchorer.authority import OPENSSL_POLICY, OutsideAuthority
from firmware_tests.anchorer.outside import add_ledger, stamp_profile
from firmware_tests.evidence.browser.engine import judged_by_page
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.running import RunningBox, cinnabar, wait_until

EARLY, LATE = "early", "late"
"""The ledger that was there from the start, and the one that came after the first renewal."""


class Office:
    """The box, its ledgers' authorities and its letters."""

    def __init__(self, box: RunningBox, authorities: dict[str, OutsideAuthority], place: Path) -> None:
        self.box = box
        self.authorities = authorities
        self.place = place
        self.letters: dict[str, str] = {}
        self.script = place / "rules.js"
        self.script.write_text(rules())

    def connect(self, name: str) -> None:
        authority = self.authorities[name]
        profile = stamp_profile(name, [authority.ca.der], [OPENSSL_POLICY], tolerance_s=1)
        asked = Rfc3161Authority(url=authority.url)
        lists = (authority.list_url,)
        add_ledger(self.box, profile, asked, name=name, revocation_lists=lists, interval_s=5)

    def begin(self, client: Client, name: str) -> None:
        fields = FIELDS | {"tender_code": uuid.uuid4().hex[:12]}
        self.letters[name] = client.begin_letter("bid-bond", fields).happened.letter

    def evidence(self, name: str, *ledgers: str) -> bytes:
        """Once these ledgers hold it."""
        with client_of(self.box) as client:
            wait_until(lambda: set(anchors_in(taken(client, self.letters[name]))) >= set(ledgers), 60, "its anchors")
            content = taken(client, self.letters[name])
            assert content == taken(client, self.letters[name])
        return content

    def verified(self, content: bytes) -> dict[str, Any]:
        """The report on a file that holds; nothing but the trust directory is asked."""
        file = self.place / "letter.asice"
        file.write_bytes(content)
        state = self.place / "verifier"
        result = cinnabar("verify", "--json", "--trust", str(self.box.home.trust), "--state", str(state), str(file))
        assert result.returncode == 0, result.stdout
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    def proven(self, content: bytes) -> list[str]:
        """By the program; and by the page, which is given the same trust directory."""
        ledgers = self.verified(content)["files"][0]["letter"]["ledgers"]
        said = judged_by_page(self.script, read_directory(self.box.home.trust), content)
        assert said["indication"] == "TOTAL-PASSED", said["told"]
        found = [
            sorted(one["ledger"] for one in each if one["strength"] == "proven")
            for each in (ledgers, said["facts"]["ledgers"])
        ]
        assert found[0] == found[1]
        return found[0]

    def renew(self, name: str, *, ledger: str | None = None) -> None:
        """Renew the logs, and connect another ledger before the box starts again."""
        assert self.box.stop() == 0, self.box.said()
        renewed = cinnabar("log", "renew", "--home", str(self.box.home.root), "--hash", name)
        assert renewed.returncode == 0, renewed.stderr
        if ledger is not None:
            self.connect(ledger)
        self.box.start()
        logs = len(read_settings(self.box.home.settings).logs)
        ended = len(read_settings(self.box.home.settings).logs[0].ended)
        wait_until(
            lambda: len(read_bundle(read_directory(self.box.home.trust), None).succeeds) == logs * ended,
            30, "the trust bundle to name the new logs",
        )  # fmt: skip


def anchors_in(content: bytes) -> dict[str, dict[str, Any]]:
    """By their ledgers."""
    return {
        name.removeprefix("META-INF/anchor-").rpartition("-")[0]: json.loads(entry)
        for name, entry in read_container(content).items()
        if name.startswith("META-INF/anchor-")
    }


def steps_of(anchor: dict[str, Any]) -> list[int]:
    """How many renewals each event's record goes through, the oldest event first."""
    return [len(one.get("continued", [])) for _, one in sorted(anchor["records"].items())]


@pytest.fixture(scope="module")
def office(open_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    place = tmp_path_factory.mktemp("anchors-across-renewals")
    authorities = {}
    for name in (EARLY, LATE):
        (place / name).mkdir()
        authorities[name] = OutsideAuthority(place / name, name.title())
    box = RunningBox(open_directory / "renewed-and-anchored", "demo")
    box.provision()
    install(box.home, "demo")
    settings = read_settings(box.home.settings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, box_leaf_interval_s=1))
    made = Office(box, authorities, place)
    made.connect(EARLY)
    box.start()
    yield made
    if box.running:
        assert box.stop() == 0, box.said()
    for one in authorities.values():
        one.close()


@pytest.fixture(scope="module")
def before(office: Office) -> bytes:
    """A letter's evidence, anchored, from before the logs were renewed. Then they are."""
    with client_of(office.box) as client:
        office.begin(client, "old")
        office.begin(client, "living")
    content = office.evidence("old", EARLY)
    assert office.proven(content) == [EARLY]
    office.authorities[EARLY].habit = "status 500"  # what happens now is not anchored before the logs end
    with client_of(office.box) as client:
        office.begin(client, "last")
        taken(client, office.letters["last"])
    office.renew("sha512", ledger=LATE)
    office.authorities[EARLY].habit = ""
    return content


def test_a_letter_from_before_keeps_its_anchor_and_gains_those_of_later_ledgers(office: Office, before: bytes) -> None:
    content = office.evidence("old", EARLY, LATE)
    anchors, kept = anchors_in(content), anchors_in(before)
    assert anchors[EARLY] == kept[EARLY]
    assert (steps_of(anchors[EARLY]), steps_of(anchors[LATE])) == ([0], [1])
    assert office.proven(content) == [EARLY, LATE]
    assert office.proven(before) == [EARLY]


def test_a_file_from_before_is_refreshed_with_the_later_ledger(office: Office, before: bytes) -> None:
    file = office.place / "refreshed.asice"
    file.write_bytes(before)
    office.evidence("old", EARLY, LATE)
    command = ("evidence", "refresh", "--home", str(office.box.home.root), "--as", "demo-app", str(file))
    refreshed = cinnabar(*command)
    assert refreshed.returncode == 0, refreshed.stderr
    content = file.read_bytes()
    assert {name: one for name, one in read_container(content).items() if name in read_container(before)} == (
        read_container(before)
    )
    assert office.proven(content) == [EARLY, LATE]


def test_a_letter_that_no_ledger_held_when_its_log_ended(office: Office, before: bytes) -> None:
    assert before
    content = office.evidence("last", EARLY, LATE)
    assert steps_of(anchors_in(content)[LATE]) == [1]
    assert office.proven(content) == [EARLY, LATE]


def test_a_letter_that_lives_on_stands_in_both_logs_and_under_one_anchor(office: Office, before: bytes) -> None:
    assert before
    with client_of(office.box) as client:
        client.letter_event(office.letters["living"], "postpone", fields={"opening": "2099-06-02T09:30:00+08:00"})
    content = office.evidence("living", EARLY, LATE)
    assert {name: steps_of(one) for name, one in anchors_in(content).items()} == {EARLY: [1, 0], LATE: [1, 0]}
    assert office.proven(content) == [EARLY, LATE]
    events = office.verified(content)["files"][0]["letter"]["events"]
    assert [one["log"].rpartition("/")[2] == "sha512" for one in events] == [False, True]
    assert all("ledger" in one["said_by"] for one in events)


def test_a_second_renewal_is_gone_through_as_well(office: Office, before: bytes) -> None:
    assert before
    older = office.evidence("living", EARLY, LATE)
    office.renew("sm3")
    assert office.proven(older) == [EARLY, LATE]
    with client_of(office.box) as client:
        client.letter_event(office.letters["living"], "postpone", fields={"opening": "2099-06-03T09:30:00+08:00"})
    content = office.evidence("living", EARLY, LATE)
    assert {name: steps_of(one) for name, one in anchors_in(content).items()} == {EARLY: [2, 1, 0], LATE: [2, 1, 0]}
    assert office.proven(content) == [EARLY, LATE]
    for name in ("old", "last"):
        assert office.proven(office.evidence(name, EARLY, LATE)) == [EARLY, LATE]
