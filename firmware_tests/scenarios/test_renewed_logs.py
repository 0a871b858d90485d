"""A real box whose logs go on under another hash: what was made before is served and verified on, and what comes."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import TrustBundle, read_bundle
from appliance.log import LogReader, log_directory
from appliance.log.eras import SUCCESSOR_FILE
from appliance.log.keys import read_log_keys
from appliance.tree_hash import hash_of
from firmware_tests.others.golang import Go
from firmware_tests.running import CLI, RunningBox, cinnabar, wait_until


class Office:
    """A box that is renewed, and a stamped letter from before."""

    def __init__(self, box: RunningBox, place: Path) -> None:
        self.box = box
        self.place = place
        self.old = {log.tenant: log.origin for log in read_settings(box.home.settings).logs}

    def stamp(self, name: str) -> Path:
        path = self.place / f"{name}.txt"
        path.write_text(f"Dear {name}")
        stamped = cinnabar("stamp", "--home", str(self.box.home.root), "--as", "demo-app", str(path))
        assert stamped.returncode == 0, stamped.stderr
        return path

    def record(self, letter: Path, *, box_proof: bool = True) -> dict[str, Any]:
        """The record of a letter's stamp, with its proofs, written beside it."""
        file = Path(f"{letter}.tst.record.json")
        identifier = json.loads(file.read_text())["record"]
        with self.box.http() as http:

            def proved() -> bool:
                answer = http.get(f"/v1/records/{identifier}").json()
                return bool(answer["proof"]) and (bool(answer["box_proof"]) or not box_proof)

            wait_until(proved, what="the record's proofs")
            content = http.get(f"/v1/records/{identifier}").content
        file.write_bytes(content)
        answer: dict[str, Any] = json.loads(content)
        return answer

    def verified(self, letter: Path, *more: Path) -> tuple[int, dict[str, Any]]:
        trust = ("--trust", str(self.box.home.trust), "--state", str(self.place / "verifier"))
        files = (letter, Path(f"{letter}.tst"), *(more or (Path(f"{letter}.tst.record.json"),)))
        result = cinnabar("verify", "--json", *trust, *map(str, files))
        return result.returncode, json.loads(result.stdout)

    def renew(self, name: str = "sha512", *options: str) -> subprocess.CompletedProcess[str]:
        return cinnabar("log", "renew", "--home", str(self.box.home.root), "--hash", name, *options)

    def trust(self) -> TrustBundle:
        return read_bundle(read_directory(self.box.home.trust), None)

    def check(self) -> dict[str, Any]:
        result = cinnabar("log", "check", "--home", str(self.box.home.root), "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    def trusts_the_new_logs(self) -> bool:
        return bool(self.trust().succeeds)


@pytest.fixture(scope="module")
def office(open_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    box = RunningBox(open_directory / "renewed", "demo", "other")
    box.provision()
    settings = read_settings(box.home.settings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, box_leaf_interval_s=1))
    box.start()
    yield Office(box, tmp_path_factory.mktemp("renewed-letters"))
    if box.running:
        assert box.stop() == 0, box.said()


def test_a_running_box_is_not_renewed(office: Office) -> None:
    refused = office.renew()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "runs" in refused.stderr


def test_a_box_goes_on_under_another_hash(office: Office) -> None:
    box = office.box
    before = office.stamp("before")
    office.record(before)
    assert box.stop() == 0, box.said()
    # Killed at any moment the command leaves one state or the other, and can be given again.
    for delay in sorted(random.Random(5).uniform(0.0, 1.2) for _ in range(6)):
        process = subprocess.Popen(
            (*CLI, "log", "renew", "--home", str(box.home.root), "--hash", "sha512"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        origins = {log.tenant: log.origin for log in read_settings(box.home.settings).logs}
        assert origins in (office.old, {tenant: f"{one}/sha512" for tenant, one in office.old.items()})
    renewed = office.renew()
    assert renewed.returncode == 0, renewed.stderr
    again = office.renew()
    assert (again.returncode, again.stdout) == (0, "Every log of the box is under sha512.\n")
    settings = read_settings(box.home.settings)
    assert {log.origin for log in settings.logs} == {f"{one}/sha512" for one in office.old.values()}
    box.start()
    after = office.stamp("after")
    wait_until(office.trusts_the_new_logs, 30, "the trust bundle to name the new logs")
    answer = office.record(after)
    origin = f"{office.old['demo']}/sha512"
    assert (answer["proof"]["origin"], len(answer["commitment"]), answer["continuation"]) == (origin, 128, None)
    status, report = office.verified(after)
    assert status == 0, report
    # What was made before is served with the same proof as before, and with the way on.
    kept = office.record(before)
    assert kept["proof"]["origin"] == office.old["demo"]
    status, report = office.verified(before)
    assert status == 0, report
    continuation = office.place / "before.continuation.json"
    continuation.write_text(kept["continuation"])
    bare = office.place / "before.bare.json"
    bare.write_text(json.dumps({**kept, "proof": None, "box_proof": None, "continuation": None}))
    status, report = office.verified(before, bare, continuation)
    assert status == 0, report
    assert [file["kind"] for file in report["files"]][-1] == "log continuation"
    trust = office.trust()
    assert trust.succeeds == {f"{one}/sha512": one for one in office.old.values()}
    sound = office.check()
    assert len(sound["logs"]) == 6
    assert all(one["sound"] for one in sound["logs"])


def test_the_old_log_is_served_and_ends(office: Office) -> None:
    box = office.box
    settings = next(log for log in read_settings(box.home.settings).logs if log.tenant == "demo")
    with box.http() as http:
        for origin in (settings.origin, settings.ended[0].origin):
            note = http.get(f"/log/{origin}/checkpoint")
            assert note.status_code == 200, note.text
            assert note.text.splitlines()[0] == origin
            tile = http.get(f"/log/{origin}/tile/entries/000.p/1")
            assert tile.status_code == 200
            assert len(tile.content) == 2 + hash_of(origin).size
    ended = LogReader.of(box.home.logs, settings.ended[0].origin)
    assert f"\n{settings.ended[0].size}\n" in ended.checkpoint().decode()


def test_go_verifies_both_logs_and_the_way_between(office: Office, tmp_path: Path) -> None:
    box = office.box
    go = Go(tmp_path)
    log = next(log for log in read_settings(box.home.settings).logs if log.tenant == "demo")
    old, new = (log_directory(box.home.logs, origin) for origin in (log.ended[0].origin, log.origin))
    keys = [str(read_log_keys(directory)[0].verifier) for directory in (new, old)]
    assert (box.home.trust / "demo-log.vkey").read_text() == f"{keys[0]}\n"
    found = go.run("renewedlog", new, keys[0], old, keys[1])
    assert found.returncode == 0, found.stdout
    assert found.stdout.startswith(f"log {log.origin} ")
    assert found.stdout.endswith(f" goes on from {log.ended[0].origin} {log.ended[0].size}\n")
    kept, made = office.record(office.place / "before.txt"), office.record(office.place / "after.txt")
    proof, continuation = tmp_path / "after.tlog-proof", tmp_path / "continuation.json"
    proof.write_text(made["proof"]["tlog_proof"])
    found = go.run("renewedlog", "proof", proof, made["commitment"], keys[0])
    assert found.stdout.startswith(f"proof {log.origin} {made['index']} "), found.stdout
    continuation.write_text(kept["continuation"])
    found = go.run("renewedlog", "continuation", continuation, kept["commitment"], keys[1], keys[0])
    assert found.stdout.startswith(f"continuation {log.ended[0].origin} {kept['index']} to {log.origin} "), found.stdout
    assert go.run("renewedlog", "continuation", continuation, "00" * 32, keys[1], keys[0]).returncode == 1
    assert go.run("renewedlog", "proof", proof, "00" * 64, keys[0]).returncode == 1


def test_whoever_watches_the_old_log_is_told_where_it_goes_on(office: Office, tmp_path: Path) -> None:
    box = office.box
    log = next(log for log in read_settings(box.home.settings).logs if log.tenant == "demo")
    key = str(read_log_keys(log_directory(box.home.logs, log.ended[0].origin))[0].verifier)
    certificate, secret = box.credentials("demo")
    told = []
    for _ in range(2):
        watched = cinnabar(
            "log", "watch", f"{box.url}/log/{log.ended[0].origin}", "--state", str(tmp_path / "state"), "--key", key,
            "--ca", str(box.home.trust / "box-ca.pem"), "--cert", str(certificate), "--cert-key", str(secret),
            "--once", "--idle-after", "0.001",
        )  # fmt: skip
        assert watched.returncode == 0, watched.stdout + watched.stderr
        told += [json.loads(line) for line in watched.stdout.splitlines()]
    ended = [line for line in told if line["event"] == "ended"]
    assert [(line["size"], line["goes_on"]) for line in ended] == [(log.ended[0].size, log.origin)]


def test_an_opening_is_refreshed_with_the_way_on(office: Office) -> None:
    box = office.box
    file = office.place / "before.txt.tst.record.json"
    whole = json.loads(file.read_bytes())
    file.write_text(json.dumps({**whole, "continuation": None}))
    for said in ("continuation added", "nothing new"):
        refreshed = cinnabar("evidence", "refresh", "--home", str(box.home.root), "--as", "demo-app", str(file))
        assert refreshed.returncode == 0, refreshed.stderr
        assert said in refreshed.stdout
    assert office.verified(office.place / "before.txt")[0] == 0


def test_a_renewed_box_starts_again_and_again(office: Office) -> None:
    box = office.box
    box.kill()
    box.start()
    letter = office.stamp("again")
    office.record(letter)
    assert office.verified(letter)[0] == 0
    assert all(one["sound"] for one in office.check()["logs"])


def test_a_changed_successor_is_found(office: Office) -> None:
    box = office.box
    origin = f"{office.old['demo']}/sha512"
    file = log_directory(box.home.logs, origin) / SUCCESSOR_FILE
    right = file.read_bytes()
    try:
        tree = json.loads(right)["tree"]
        file.write_bytes(right.replace(tree.encode(), (tree[:-1] + ("0" if tree[-1] != "0" else "1")).encode()))
        result = cinnabar("log", "check", "--home", str(box.home.root), "--tenant", "demo", "--json")
        assert result.returncode == 1
        found = [finding["file"] for one in json.loads(result.stdout)["logs"] for finding in one["findings"]]
        assert str(file) in found
    finally:
        file.write_bytes(right)


def test_a_second_renewal(office: Office) -> None:
    """Under SM3: a record of the first log goes on through two."""
    box = office.box
    before = office.place / "before.txt"
    assert box.stop() == 0, box.said()
    assert office.renew("sm3").returncode == 0
    refused = office.renew("sha512")
    assert refused.returncode == 1
    assert "Nothing was changed" in refused.stderr
    box.start()
    letter = office.stamp("third")
    wait_until(lambda: len(office.trust().succeeds) == 6, 30, "the trust bundle to name the newest logs")
    assert office.record(letter)["proof"]["origin"].endswith("/sm3")
    assert office.verified(letter)[0] == 0
    kept = office.record(before)
    assert len(json.loads(kept["continuation"])["steps"]) == 2
    status, report = office.verified(before)
    assert status == 0, report
    assert len(office.check()["logs"]) == 9


def test_an_export_over_renewals_is_refused_with_what_to_ask_for_apart(office: Office, tmp_path: Path) -> None:
    box = office.box

    def export(number: int, *times: str) -> subprocess.CompletedProcess[str]:
        out = ("--out", str(tmp_path / f"{number}.asice"), "--format", "asice")
        return cinnabar("audit", "export", "--home", str(box.home.root), "--log", "demo", *times, *out)

    over_all = export(0)
    assert over_all.returncode == 2
    ranges = re.findall(r"(?:from (\S+) )?(?:until (\S+) )?\((\S+/demo\S*)\)", over_all.stderr)
    assert [origin for *_, origin in ranges] == [office.old["demo"] + end for end in ("", "/sha512", "/sm3")]
    trust = ("--trust", str(box.home.trust), "--state", str(office.place / "verifier"))
    letters = [office.place / f"{name}.txt.tst.record.json" for name in ("before", "after", "third")]
    records = [json.loads(letter.read_bytes())["record"] for letter in letters]
    for number, (since, until, origin) in enumerate(ranges, 1):
        times = (*(("--from", since) if since else ()), *(("--to", until) if until else ()))
        made = export(number, *times)
        assert made.returncode == 0, made.stderr
        verified = cinnabar("verify", "--json", *trust, str(tmp_path / f"{number}.asice"))
        assert verified.returncode == 0, verified.stdout
        with zipfile.ZipFile(tmp_path / f"{number}.asice") as container:
            shown = container.read("entries.jsonl").decode()
        assert json.loads(shown.partition("\n")[0])["origin"] == origin
        assert [record in shown for record in records] == [at == number - 1 for at in range(3)]
