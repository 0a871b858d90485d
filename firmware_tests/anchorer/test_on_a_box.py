"""A whole box whose heads another box stamps: the outside authority is one of ours, reached over its listener."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.anchorer.client import AnchorerClient
from appliance.anchorer.desk_client import DeskClient
from appliance.anchorer.views import AnchorView
from appliance.anchors import commitment_of, judge, read_profile, read_receipt
from appliance.asic import read_container
from appliance.audit.client import AuditClient
from appliance.box.ledgers import Rfc3161Authority
from appliance.box.settings import read_settings, write_settings
from appliance.evidence import read_bundle
from appliance.evidence.directory import read_directory
from firmware_tests.anchorer.outside import add_ledger, der_of, once_anchored, stamp_profile
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.log.test_ledger_desk import LEDGER
from firmware_tests.running import RunningBox, cinnabar, wait_until
from provisioning.rehearsal_tenants import UNITS

POLICIES = list(UNITS[0].policies)


@dataclass
class Pair:
    box: RunningBox
    outside: RunningBox
    profile: Path

    def anchors(self) -> list[AnchorView]:
        with AnchorerClient(self.box.home.anchorer_socket) as client:
            return client.anchors("outside")

    def receipt(self, number: int) -> bytes:
        with AnchorerClient(self.box.home.anchorer_socket) as client:
            return client.receipt("outside", number)

    def now(self) -> None:
        with AnchorerClient(self.box.home.anchorer_socket) as client:
            client.now("outside")

    def final(self) -> list[AnchorView]:
        return [one for one in self.anchors() if one.state == "final"]


@pytest.fixture(scope="module")
def pair(open_directory: Path) -> Iterator[Pair]:
    outside = RunningBox(open_directory / "outside", "notary")
    outside.provision()
    outside.start("--tsa", "127.0.0.1:0", "--revocation", "127.0.0.1:0")
    box = RunningBox(open_directory / "anchored", "demo")
    box.provision("--account=chain-account")
    install(box.home, "demo")
    profile = stamp_profile("outside", [der_of(outside.home.trust / "tsa-ca.pem")], POLICIES, tolerance_s=1)
    unit = next(one.name for one in read_settings(outside.home.settings).units if one.public)
    authority = Rfc3161Authority(url=f"http://{outside.address('tsa')}/tsa/{unit}")
    lists = (f"http://{outside.address('revocation')}/crl/tsa-ca.crl",)
    place = add_ledger(box, profile, authority, revocation_lists=lists, interval_s=3_600)
    settings = read_settings(box.home.settings)
    chain = msgspec.structs.replace(LEDGER, profile="ledgers/nowhere.json")  # it cannot be begun, and stops no other
    ledgers = [*settings.ledgers, chain, msgspec.structs.replace(chain, name="chain-2")]  # with the same account
    write_settings(box.home.settings, msgspec.structs.replace(settings, box_leaf_interval_s=1, ledgers=ledgers))
    once_anchored(box, "former")
    box.start("--metrics", "127.0.0.1:0")
    yield Pair(box, outside, place)
    for one in (box, outside):
        if one.running:
            assert one.stop() == 0, one.said()


def test_the_first_head_is_final_by_itself_and_its_receipt_holds_offline(pair: Pair) -> None:
    wait_until(lambda: pair.box.home.anchorer_socket.exists() and bool(pair.final()), 30, "a final anchor")
    anchor = pair.final()[-1]
    assert [step.state for step in anchor.steps][-2:] == ["submitted", "final"]
    receipt = read_receipt(pair.receipt(anchor.number))
    profile = read_profile(pair.profile.read_bytes())
    found = judge(receipt, commitment_of(receipt.checkpoint.encode()), profile, now_us=anchor.since_us)
    assert found.strength == "proven"
    assert anchor.commitment == commitment_of(receipt.checkpoint.encode()).hex()


def test_an_anchor_on_request_and_the_anchorer_killed_in_between(pair: Pair) -> None:
    before = pair.anchors()[0]
    with pair.box.http() as client:
        assert client.post("/v1/stamps", json={"digest": "cd" * 32}).status_code == 200
    wait_until(lambda: _asked(pair) > before.number, 30, "an anchor on request")
    dead = pair.box.processes()["anchorer"]
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: pair.box.processes().get("anchorer") not in (None, dead), 30, "another anchorer")
    wait_until(lambda: _newest(pair) == "final", 40, "the newest anchor final")
    states = {one.state for one in pair.anchors()}
    assert states <= {"final", "superseded"}


def _asked(pair: Pair) -> int:
    pair.now()
    return pair.anchors()[0].number


def _newest(pair: Pair) -> str:
    try:
        return pair.anchors()[0].state
    except Exception:  # noqa: BLE001 - it is being started
        return ""


def test_a_ledger_that_cannot_be_begun_is_told_and_its_account_is_in_the_token(pair: Pair) -> None:
    with AnchorerClient(pair.box.home.anchorer_socket) as client:
        troubles = {one.name: one.trouble for one in client.ledgers()}
    assert troubles["chain"].endswith("nowhere.json: No such file or directory")
    shown = cinnabar("anchor", "list", "--home", str(pair.box.home.root))
    assert f"chain (bitcoin): 0 open; {troubles['chain']}: mend it and start the box anew" in shown.stdout
    key = asyncio.run(DeskClient(pair.box.home.ledger_desk_socket).account("chain"))
    assert len(key) == 33
    with pair.box.http() as client:
        assert client.post("/v1/stamps", json={"digest": "aa" * 32}).status_code == 200, "no key is unexplained"


def test_open_anchors_of_a_ledger_that_was_removed_are_listed_with_their_state(pair: Pair) -> None:
    home = ("--home", str(pair.box.home.root))
    shown = cinnabar("anchor", "list", *home).stdout
    told = "former: not in box.json any more; 1 open, which nobody works on\n  former 1: due since 2023-11-14T22:13:20"
    assert told in shown
    assert cinnabar("anchor", "list", "--ledger", "former", *home).stdout.startswith("former 1: due since")
    assert "due" in cinnabar("anchor", "show", "former", "1", *home).stdout
    assert cinnabar("anchor", "now", "former", *home).returncode == 1
    with pair.box.http() as client:
        ledgers = {one["name"]: one for one in client.get("/v1/anchors").json()["ledgers"]}
    assert [ledgers[name]["configured"] for name in ("outside", "chain", "chain-2", "former")] == [True] * 3 + [False]
    former = ledgers["former"]
    assert (former["type"], former["answers"], former["newest"]["state"]) == ("", False, "due")
    metrics = httpx.get(f"http://{pair.box.address('metrics')}/metrics").text
    assert 'cinnabar_ledger_open_anchors{ledger="outside"' in metrics
    assert "former" not in metrics, "what nobody works on alarms nobody"


def test_with_no_ledger_left_anchors_of_before_are_still_listed(open_directory: Path) -> None:
    box = RunningBox(open_directory / "unanchored", "demo")
    box.provision()
    once_anchored(box, "former")
    home = ("--home", str(box.home.root))
    box.start("--metrics", "127.0.0.1:0")
    try:
        wait_until(box.home.anchorer_socket.exists, 30, "the anchorer")
        shown = cinnabar("anchor", "list", *home)
        told = "former: not in box.json any more; 1 open, which nobody works on\n  former 1: due since"
        assert shown.stdout.startswith(told)
        refused = cinnabar("anchor", "now", "former", *home).stderr
        assert "there is no ledger 'former'; box.json lists none" in refused
        with box.http() as client:
            (ledger,) = client.get("/v1/anchors").json()["ledgers"]
            assert (ledger["name"], ledger["configured"], ledger["newest"]["state"]) == ("former", False, "due")
            assert client.get("/v1/anchors/former/1").json()["size"] == 7
            assert client.get("/v1/anchors/former/1/receipt").status_code == 404
        assert "cinnabar_anchorer_answers 1" not in httpx.get(f"http://{box.address('metrics')}/metrics").text
    finally:
        assert box.stop() == 0, box.said()


def test_the_trust_bundle_names_the_ledger_and_a_hung_authority_stops_nothing(pair: Pair) -> None:
    wait_until(lambda: "outside" in read_bundle(read_directory(pair.box.home.trust), None).ledgers, 30, "the bundle")
    os.kill(pair.outside.supervisor, 0)
    fronts = [pid for name, pid in pair.outside.processes().items() if name.endswith("front")]
    for pid in fronts:
        os.kill(pid, signal.SIGSTOP)
    try:
        pair.now()
        with pair.box.http() as client:
            for _ in range(20):
                assert client.post("/v1/stamps", json={"digest": "ef" * 32}).status_code == 200
    finally:
        for pid in fronts:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: _newest(pair) == "final", 60, "the newest anchor final")


def test_the_command_shows_anchors_and_checks_a_receipt(pair: Pair, tmp_path: Path) -> None:
    home = ("--home", str(pair.box.home.root))
    shown = cinnabar("anchor", "list", *home)
    assert shown.returncode == 0, shown.stderr
    assert "outside" in shown.stdout
    assert "final" in shown.stdout
    number = str(pair.final()[0].number)
    told = cinnabar("anchor", "show", "outside", number, *home)
    assert "submitted" in told.stdout
    assert cinnabar("anchor", "now", "outside", *home).returncode == 0
    receipt = tmp_path / "receipt.json"
    assert cinnabar("anchor", "export", "outside", number, str(receipt), *home).returncode == 0
    verified = cinnabar("anchor", "verify", str(receipt), "--ledger", str(pair.profile))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "proven" in verified.stdout
    damaged = receipt.read_bytes().replace(b'"token":"M', b'"token":"N')
    receipt.write_bytes(damaged)
    refused = cinnabar("anchor", "verify", str(receipt), "--ledger", str(pair.profile))
    assert refused.returncode == 1
    assert "malformed" in refused.stdout + refused.stderr
    absent = cinnabar("anchor", "verify", str(tmp_path / "absent"), "--ledger", str(pair.profile))
    assert absent.returncode == 64, "2 says that a receipt is attested, and 1 that it is refused"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("list --ledger nowhere", "there is no ledger 'nowhere'; box.json lists outside, chain"),
        ("show nowhere 1", "there is no ledger 'nowhere'; box.json lists outside, chain"),
        ("show outside 999", "outside has no anchor 999"),
        ("now nowhere", "there is no ledger 'nowhere'; box.json lists outside, chain"),
        ("now chain", "chain is not worked on: "),
        ("export nowhere 1 file", "there is no ledger 'nowhere'; box.json lists outside, chain"),
        ("export outside 999 file", "outside has no receipt of an anchor 999"),
        ("account nowhere", "there is no ledger “nowhere”; box.json lists outside, chain"),
        ("account outside", "outside needs no account"),
        ("request nowhere --name x", "no ledger 'nowhere' has an account"),
        ("request outside --name x", "no ledger 'outside' has an account"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(pair: Pair, words: str, told: str) -> None:
    refused = cinnabar("anchor", *words.split(), "--home", str(pair.box.home.root))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: ")
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1, refused.stderr


@pytest.mark.parametrize("words", ["list", "show outside 1", "now outside", "export outside 1 file", "account outside"])
def test_a_home_without_a_box_is_told(tmp_path: Path, words: str) -> None:
    refused = cinnabar("anchor", *words.split(), "--home", str(tmp_path))
    assert refused.returncode == 1
    assert "box.json" in refused.stderr
    assert refused.stderr.count("\n") == 1, refused.stderr


def test_a_second_anchorer_for_the_same_home_does_not_begin(pair: Pair) -> None:
    running = pair.box.processes()["anchorer"]
    command = (sys.executable, "-m", "appliance.anchorer", "--home", str(pair.box.home.root))
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert second.returncode != 0
    assert "another process anchors" in second.stderr
    assert pair.box.processes()["anchorer"] == running
    assert pair.anchors()


def _status(pair: Pair) -> int:
    with pair.box.http() as client:
        return client.get("/v1/anchors").status_code


def test_a_stopped_anchorer_delays_no_evidence_and_no_stamp(pair: Pair) -> None:
    with client_of(pair.box) as client:
        letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": uuid.uuid4().hex[:12]}).happened.letter
        taken(client, letter)  # once its record is under a head
        stopped = pair.box.processes()["anchorer"]
        os.kill(stopped, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with ThreadPoolExecutor(12) as threads, pair.box.http() as http:
                files = [threads.submit(taken, client, letter) for _ in range(12)]
                asked = [threads.submit(http.get, "/v1/anchors") for _ in range(12)]
                assert http.post("/v1/stamps", json={"digest": "0f" * 32}).status_code == 200
                assert {one.result().status_code for one in asked} == {503}
                assert all(one.result() for one in files)
            waited = time.monotonic() - started
        finally:
            os.kill(stopped, signal.SIGCONT)
    # Each would have waited five seconds for itself, six at a time.
    assert waited < 15, waited
    for _ in range(4 * 12):  # every worker has found out that it answers again
        wait_until(lambda: _status(pair) == 200, 30, "the anchorer's answers")


def test_a_letter_is_verified_offline_by_the_ledger_with_every_box_stopped(pair: Pair, tmp_path: Path) -> None:
    with client_of(pair.box) as client:
        letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": uuid.uuid4().hex[:12]}).happened.letter
        older = taken(client, letter)
        wait_until(lambda: _anchors_in(taken(client, letter), pair), 60, "the letter's anchor")
        content = taken(client, letter)
        assert content == taken(client, letter)
        with AuditClient(pair.box.home.audit_socket) as audit:
            assert audit.letter_evidence("demo", letter) == content
    trust = tmp_path / "trust"
    wait_until(lambda: "outside" in read_bundle(read_directory(pair.box.home.trust), None).ledgers, 30, "the bundle")
    shutil.copytree(pair.box.home.trust, trust)
    file = tmp_path / "letter.asice"
    file.write_bytes(older)
    for said in ("added", "nothing new"):
        refreshed = cinnabar("evidence", "refresh", str(file), "--home", str(pair.box.home.root))
        assert refreshed.returncode == 0, refreshed.stderr
        if not _anchors_of(older):  # else it was final before the first file was taken
            assert said in refreshed.stdout
    made, before = read_container(file.read_bytes()), read_container(older)
    assert {name: made[name] for name in before} == before, "what stood there is as it was"
    assert _anchors_of(file.read_bytes()) == _anchors_of(content)
    assert pair.outside.stop() == 0
    assert pair.box.stop() == 0
    told = cinnabar("verify", str(file), "--trust", str(trust), "--state", str(tmp_path / "state"), "--json")
    report = json.loads(told.stdout)
    assert report["indication"] == "TOTAL-PASSED", told.stdout
    shown = report["files"][0]
    (ledger,) = shown["letter"]["ledgers"]
    assert (ledger["ledger"], ledger["strength"], ledger["by"]) == ("outside", "proven", "time_stamp")
    assert "outside" in shown["existed_no_later_than"]["by"]
    chinese = cinnabar(
        "verify", str(file), "--trust", str(trust), "--state", str(tmp_path / "state"), "--language", "zh-Hans"
    )
    assert "账本" in chinese.stdout


def _anchors_in(content: bytes, pair: Pair) -> list[str]:
    pair.now()
    return _anchors_of(content)


def _anchors_of(content: bytes) -> list[str]:
    return [name for name in read_container(content) if name.startswith("META-INF/anchor-outside-")]
