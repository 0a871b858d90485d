"""A box and three witnesses as institutions rack them, each a process of its own: all the way, and after a restore."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.client import Client, Credentials
from appliance.log import Checkpoint, VerifierKey, parse_note
from appliance.log.witnesses import WitnessPolicy
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.relay import Relay
from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.test_witnessed_box import cosigned_evidence, origin_of, verified
from firmware_tests.witness.running import RunningWitness

STAMP = {"digest": "ab" * 32}


class Racked(RunningWitness):
    """A witness at an address that stays: it listens at another port each time that it is started."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__(home, name)
        self.relay = Relay()

    def start(self, *arguments: Any, **options: Any) -> None:
        super().start(*arguments, **options)
        self.relay.target = self.addresses["submission"]

    def close(self) -> None:
        super().close()
        self.relay.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Racked]]:
    place = tmp_path_factory.mktemp("witnesses")
    made = [Racked(place / f"w{number}", f"witness-{number}.example") for number in range(3)]
    yield made
    for witness in made:
        witness.close()


def configure(witness: RunningWitness, box: RunningBox) -> None:
    keys = [path.read_text().strip() for path in sorted(box.home.trust.glob("*.vkey"))]
    tables = [f'[[logs]]\norigin = "{VerifierKey.parse(key).name}"\nkeys = [{{ key = "{key}" }}]\n' for key in keys]
    witness.configure(tables)


@pytest.fixture(scope="module")
def box(open_directory: Path, three: list[Racked]) -> Iterator[RunningBox]:
    made = RunningBox(open_directory / "with-real-witnesses", "demo")
    made.provision(*(f"--witness={one.verifier}={one.relay.url}" for one in three))
    for witness in three:
        configure(witness, made)
        witness.start()
    settings = read_settings(made.home.settings)
    assert [log.witness_quorum for log in settings.logs] == [2, 2], "more than half, if nothing else is said"
    changed = msgspec.structs.replace(settings, box_leaf_interval_s=1, cosign_interval_ms=100)
    write_settings(made.home.settings, changed)
    made.start("--metrics", "127.0.0.1:0")
    yield made
    if made.running:
        assert made.stop() == 0, made.said()


def cosigned(box: RunningBox, tenant: str | None) -> bytes:
    with box.http() as http:
        answer = http.get(f"/log/{origin_of(box, tenant)}/cosigned-checkpoint")
        return answer.content if answer.status_code == 200 else b""


def size_at(witness: RunningWitness, origin: str) -> int:
    note = witness.look(f"/log/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
    return Checkpoint.parse(parse_note(note.content).text).size if note.status_code == 200 else 0


def test_a_letter_is_witnessed_and_its_evidence_verified_with_all_of_them_stopped(
    box: RunningBox, three: list[Racked], tmp_path: Path
) -> None:
    certificate, key = box.credentials("demo")
    with Client(box.url, credentials=Credentials(certificate, key, box.home.trust / "box-ca.pem")) as client:
        letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "E-THREE"}).happened.letter
        content = cosigned_evidence(client, letter, box)
    policy = WitnessPolicy(tuple(one.verifier for one in three), 2)
    wait_until(lambda: len(policy.cosigners(cosigned(box, "demo"))) >= 2, 20, "the quorum under the head")
    wait_until(lambda: len(policy.cosigners(cosigned(box, None))) >= 2, 20, "the quorum under the box's")
    for witness in three:
        wait_until(lambda witness=witness: size_at(witness, origin_of(box, "demo")) >= 1, 20, "each shows what it saw")
    file = tmp_path / "letter.asice"
    file.write_bytes(content)
    report = verified(box, file, tmp_path)
    assert report["indication"] == "TOTAL-PASSED"
    assert report["files"][0]["existed_no_later_than"]["by"].startswith("2 witness(es) of the log: ")


def test_one_may_stop_and_comes_back_with_its_memory(box: RunningBox, three: list[Racked]) -> None:
    origin = origin_of(box, "demo")
    three[1].kill()
    before = cosigned(box, "demo")
    with box.http() as http:
        assert http.post("/v1/stamps", json=STAMP).status_code == 200
    wait_until(lambda: cosigned(box, "demo") != before, 30, "a head without it")
    reached = Checkpoint.parse(parse_note(cosigned(box, "demo")).text).size
    three[1].start()
    wait_until(lambda: size_at(three[1], origin) >= reached, 90, "it has caught up")


def test_a_tenant_watches_under_the_policy_of_the_trust_bundle(
    box: RunningBox, three: list[Racked], tmp_path: Path
) -> None:
    """From outside, with the tenant's certificate: growth, the quorum, and the box's commitments."""
    own, of_box = origin_of(box, "demo"), origin_of(box, None)
    certificate, key = box.credentials("demo")

    def look() -> tuple[int, set[str]]:
        """Exit status of a look, and the alarms that are open after it."""
        ran = cinnabar(
            "log", "watch", f"{box.url}/log/{own}", "--state", str(tmp_path), "--once", "--origin", own,
            "--trust", str(box.home.trust), "--openings", box.url, "--box-origin", of_box,
            "--cert", str(certificate), "--cert-key", str(key), "--ca", str(box.home.trust / "box-ca.pem"),
        )  # fmt: skip
        states = [json.loads(file.read_bytes()) for file in tmp_path.glob("*.json")]
        return ran.returncode, {alarm for state in states for alarm in state.get("alarms", {})}

    def stamp() -> None:
        with box.http() as http:
            assert http.post("/v1/stamps", json=STAMP).status_code == 200

    wait_until(lambda: look() == (0, set()), 60, "a sound log")
    three[0].kill()
    stamp()
    wait_until(lambda: look() == (0, set()), 60, "one of three may stop")
    three[1].kill()
    stamp()
    wait_until(lambda: look() == (1, {"head-not-cosigned"}), 60, "the quorum is missed")
    three[0].start()
    three[1].start()
    wait_until(lambda: look() == (0, set()), 120, "it is there again")


def test_a_restored_box_is_opened_by_what_they_say(box: RunningBox, three: list[Racked], tmp_path: Path) -> None:
    """An older copy of the box stays locked, whatever checkpoint it is shown; the true one is opened."""
    home, passphrase = tmp_path / "restored", tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    secret = ("--passphrase-file", str(passphrase))
    # Before the backup: the box's log goes on, and a checkpoint that the copy lacks is refused for that.
    old = {path.name: path.read_bytes() for path in (box.home.exports / "checkpoints").iterdir()}
    saved = cinnabar("backup", "--home", str(box.home.root), "--to", str(tmp_path / "box.backup"), *secret)
    assert saved.returncode == 0, saved.stderr
    with box.http() as http:
        record = http.post("/v1/stamps", json=STAMP).json()["record"]
        wait_until(lambda: http.get(f"/v1/records/{record}").json()["proof"], 20, "the next head")
    for tenant in ("demo", None):
        origin = origin_of(box, tenant)
        known = Checkpoint.parse(parse_note(old[f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"]).text)
        for witness in three:
            wait_until(lambda w=witness, o=origin, k=known: size_at(w, o) > k.size, 30, "they have seen more")
    assert box.stop() == 0, box.said()
    restored = cinnabar("restore", "--from", str(tmp_path / "box.backup"), "--home", str(home), *secret)
    assert restored.returncode == 0, restored.stderr
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    given = [option for name in old for option in ("--checkpoint", str(tmp_path / name))]
    refused = cinnabar("log", "resume", "--home", str(home), *given)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "history was lost, or an older checkpoint was given" in refused.stderr
    # The box as it is, locked by hand: its newest checkpoints, and witnesses that say so.
    box.home.history_lock.write_text("a person wants to know\n")
    newest = [option for path in (box.home.exports / "checkpoints").iterdir() for option in ("--checkpoint", str(path))]
    opened = cinnabar("log", "resume", "--home", str(box.home.root), *newest)
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert opened.stdout.count("has seen no larger head of") == 6
    box.start("--metrics", "127.0.0.1:0")
    with box.http() as http:
        assert http.post("/v1/stamps", json=STAMP).status_code == 200
        assert json.loads(http.get("/health").content)["state"] in {"operational", "degraded"}
