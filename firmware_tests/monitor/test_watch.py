"""`cinnabar log watch` before logs that grow, fork, are rewound, fall silent or unwitnessed, and servers that lie."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import LogKey, VerifierKey, parse_note
from appliance.log.forks import ForkEvidence, verify_fork
from appliance.log.note import COSIGNATURE_V1, Note, NoteSignature, cosigned_message
from firmware_tests.running import CLI, wait_until
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.published import PublishingServer, publish


class WitnessOfTests:
    """A key that cosigns whatever it is given."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw(), COSIGNATURE_V1)

    def cosign(self, note: bytes) -> bytes:
        parsed, now = parse_note(note), int(time.time())
        signature = now.to_bytes(8, "big") + self._key.sign(cosigned_message(now, parsed.text))
        line = NoteSignature(self.verifier.name, self.verifier.key_id, signature)
        return Note(parsed.text, (*parsed.signatures, line)).encode()


class Watching:
    """A published log, and somebody who watches it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.log = TestLog("log.example/rehearsal/watched").grow(600)
        self.directory = place / "published"
        self.state = place / "state"
        publish(self.log, self.directory)
        self.server = PublishingServer(self.directory)
        self.options: list[str] = []

    def command(self, *options: str) -> list[str]:
        return [
            *CLI, "log", "watch", self.server.url, "--state", str(self.state), "--key", str(self.log.verifier),
            *self.options, *options,
        ]  # fmt: skip

    def look(self, *options: str) -> tuple[int, list[dict[str, object]]]:
        """One look: exit status, and the lines."""
        ran = subprocess.run(self.command("--once", *options), capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]

    def alarms(self, *options: str) -> list[object]:
        """The alarms of one look, which must have some; what was told before is open still."""
        status, lines = self.look(*options)
        assert status == 1
        return [line["alarm"] for line in lines if line["event"] == "alarm"]

    def republish(self, log: TestLog) -> None:
        shutil.rmtree(self.directory)
        publish(log, self.directory)

    def remembered(self) -> dict[str, object]:
        (file,) = [path for path in self.state.glob("*.json") if not path.name.startswith("evidence")]
        return json.loads(file.read_bytes())  # type: ignore[no-any-return]


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    made = Watching(tmp_path)
    yield made
    made.server.close()


def test_a_log_that_only_grows_is_sound(watching: Watching) -> None:
    status, (line,) = watching.look()
    assert (status, line["event"], line["size"]) == (0, "head", 600)
    assert watching.look() == (0, [])
    for more in (1, 423, 3000):
        publish(watching.log.grow(more), watching.directory)
        status, (line,) = watching.look()
        assert (status, line["size"], line["root"]) == (0, watching.log.size, watching.log.root().hex())


@pytest.mark.parametrize("forked", [512, 600, 1000])
def test_a_fork_is_an_alarm_with_evidence_that_stays(watching: Watching, forked: int) -> None:
    assert watching.look()[0] == 0
    if forked == 512:  # a complete tree shows in no proof; the tiles tell
        watching.state = watching.place / "other state"
        (watching.directory / "checkpoint").write_bytes(watching.log.note(512))
        assert watching.look()[0] == 0
    watching.republish(watching.log.fork(300, 300 if forked == 600 else 700))
    out = watching.place / "told"
    script = f"{sys.executable} -c \"import sys; open('{out}', 'ab').write(sys.stdin.buffer.read())\""
    assert watching.alarms("--run", script) == ["history-forked"]
    assert json.loads(out.read_bytes())["alarm"] == "history-forked"
    evidence = next(watching.state.glob("evidence-history-forked-*.json")).read_bytes()
    first, second = verify_fork(ForkEvidence.parse(evidence), [LogKey(watching.log.verifier)])
    assert first.root == watching.log.root(first.size)
    assert second.root != watching.log.root(600) or second.size != 600
    # It is told once, and stays open when the log goes on as if nothing had been.
    assert watching.alarms("--run", script) == []
    watching.republish(watching.log.grow(10))
    assert watching.alarms() == []
    assert watching.remembered()["head"] == watching.log.note().decode()


def test_a_rewind_is_an_alarm_until_it_is_undone(watching: Watching) -> None:
    assert watching.look()[0] == 0
    (watching.directory / "checkpoint").write_bytes(watching.log.note(599))
    assert watching.alarms() == ["log-rewound"]
    assert watching.alarms() == []
    publish(watching.log.grow(1), watching.directory)
    status, lines = watching.look()
    assert status == 0
    assert {"recovered", "head"} == {line["event"] for line in lines}
    # Rewound to another past is a fork.
    (watching.directory / "checkpoint").write_bytes(watching.log.fork(10, 500).note())
    assert watching.alarms() == ["history-forked"]
    # Without the tiles of the larger head nobody can tell.
    watching.state = watching.place / "other state"
    watching.republish(watching.log)
    assert watching.look()[0] == 0
    watching.republish(TestLog(watching.log.origin, watching.log.entries[:300], watching.log.key))
    assert watching.alarms() == ["log-rewound"]


def test_servers_that_lie_and_what_they_are_told_as(watching: Watching) -> None:
    assert watching.look()[0] == 0
    publish(watching.log.grow(500), watching.directory)
    stranger = TestLog(watching.log.origin, watching.log.entries)
    other = TestLog("log.example/other").grow(3)
    for lie, alarm in (
        (lambda path, true: stranger.note() if path == "/checkpoint" else true, "head-not-signed"),
        (lambda path, true: other.note() if path == "/checkpoint" else true, "head-not-signed"),
        (lambda path, true: b"\xff\x00" if path == "/checkpoint" else true, "head-not-signed"),
        (lambda path, true: true and bytes(len(true)) if path.startswith("/tile/0/") else true, "tiles-wrong"),
        (lambda path, true: true and true[:-32] + bytes(32) if path.startswith("/tile/1/") else true, "tiles-wrong"),
    ):
        watching.server.lie = lie
        told = watching.alarms()
        assert told in ([alarm], []), told
        assert alarm in watching.remembered()["alarms"]  # type: ignore[operator]
    # Nothing of it is believed, nor does any of it stay once the server is honest again.
    watching.server.lie = lambda _, true: true
    status, lines = watching.look()
    assert status == 0
    assert [line["alarm"] for line in lines if line["event"] == "recovered"] == ["tiles-wrong"]
    assert watching.remembered()["alarms"] == {}


def test_what_cannot_be_read_is_no_alarm_before_its_time(watching: Watching) -> None:
    assert watching.look()[0] == 0
    watching.server.lie = lambda *_: None
    status, (line,) = watching.look()
    assert (status, line["event"]) == (2, "unreachable")
    assert line["problem"] == "checkpoint: status 404, the log is not published there to whoever asks so"
    time.sleep(0.6)
    assert watching.alarms("--silent-after", "0.5") == ["log-silent"]
    watching.server.lie = lambda path, true: bytes(3_000_000) if path == "/checkpoint" else true
    assert watching.look()[0] in (1, 2)
    watching.server.lie = lambda _, true: true
    assert watching.look()[0] == 0
    # And what shows nothing new.
    assert watching.alarms("--idle-after", "0.01") == ["log-silent"]
    publish(watching.log.grow(1), watching.directory)
    assert watching.look("--idle-after", "60")[0] == 0


def test_witnesses_under_a_policy(watching: Watching) -> None:
    witnesses = [WitnessOfTests(f"witness.example/w{number}") for number in range(3)]
    stranger = WitnessOfTests("witness.example/w0")
    watching.options = [part for one in witnesses for part in ("--witness", str(one.verifier))] + ["--quorum", "2"]

    def cosigned(size: int, *by: WitnessOfTests) -> None:
        note = watching.log.note(size)
        for one in by:
            note = one.cosign(note)
        (watching.directory / "cosigned-checkpoint").write_bytes(note)

    assert watching.alarms() == ["head-not-cosigned"]
    cosigned(600, witnesses[0], witnesses[2])
    status, lines = watching.look()
    assert (status, [line["event"] for line in lines]) == (0, ["recovered"])
    # One of them twice, or a foreign key in a witness's name, is not two.
    for by in ((witnesses[0], witnesses[0]), (witnesses[0], stranger)):
        cosigned(600, *by)
        assert watching.alarms() == ["head-not-cosigned"]
        cosigned(600, *witnesses)
        assert watching.look()[0] == 0
    # A newer head may wait for its witnesses, but not for ever.
    publish(watching.log.grow(5), watching.directory)
    assert watching.look()[0] == 0
    publish(watching.log.grow(5), watching.directory)
    assert watching.alarms() == ["head-not-cosigned"]
    cosigned(610, *witnesses)
    assert watching.look()[0] == 0
    # The cosigned head of another history is a fork.
    watching.log, true = watching.log.fork(200, 410), watching.log
    cosigned(605, *witnesses)
    watching.log = true
    assert "history-forked" in watching.alarms()


def test_it_watches_until_it_is_told_to_stop(watching: Watching) -> None:
    output = watching.place / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(watching.command("--every", "0.1"), stdout=file)
    try:
        wait_until(lambda: b'"size":600' in output.read_bytes(), 20, "the first head")
        second = subprocess.run(watching.command("--once"), capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == 2
        assert "another process" in second.stderr
        publish(watching.log.grow(30), watching.directory)
        wait_until(lambda: b'"size":630' in output.read_bytes(), 20, "the next head")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        # Killed at any moment, it goes on from what it saw.
        with output.open("wb") as file:
            process = subprocess.Popen(watching.command("--every", "0.1"), stdout=file)
        publish(watching.log.grow(30), watching.directory)
        wait_until(lambda: b'"size":660' in output.read_bytes(), 20, "the next head")
        process.kill()
        process.wait(20)
    finally:
        process.kill()
        process.wait(20)
    watching.republish(watching.log.fork(50, 700))
    assert watching.alarms() == ["history-forked"]


def test_a_state_that_cannot_be_read_is_not_begun_anew(watching: Watching) -> None:
    assert watching.look()[0] == 0
    (file,) = watching.state.glob("*.json")
    file.write_bytes(file.read_bytes()[:-5])
    assert watching.look() == (2, [])


def test_a_command_that_fails_is_told(watching: Watching) -> None:
    assert watching.look()[0] == 0
    (watching.directory / "checkpoint").write_bytes(watching.log.note(5))
    status, lines = watching.look("--run", "false")
    assert status == 1
    assert [line["event"] for line in lines] == ["alarm", "command-failed"]


@pytest.mark.parametrize(
    "options",
    [["--quorum", "1"], ["--witness", "{log}"], ["--key", "x"], ["--trust", "/nowhere"], ["--ca", "/nowhere"]],
)
def test_what_cannot_be_expected_is_refused(watching: Watching, options: list[str]) -> None:
    watching.options = [part.replace("{log}", str(watching.log.verifier)) for part in options]
    assert watching.look()[0] == 2
