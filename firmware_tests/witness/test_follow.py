"""A supervisor's witness follows logs that do not come by themselves, and shows what it saw."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.log import LogKey
from appliance.log.forks import ForkEvidence, verify_fork
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.published import PublishingServer, publish
from firmware_tests.witness.running import RunningWitness, log_table, python_with


class Followed:
    """A log that is published, and a witness that follows it."""

    def __init__(self, place: Path, witness: RunningWitness) -> None:
        self.log = TestLog("log.example/rehearsal/followed").grow(700)
        self.directory = place / "published"
        publish(self.log, self.directory)
        self.server = PublishingServer(self.directory)
        self.witness = witness
        witness.configure([log_table(self.log, url=self.server.url)])
        witness.start()
        text = witness.settings.read_text()
        witness.settings.write_text(f'{text}\n[follow]\nwitness = "{witness.url()}"\n')

    def follow(self) -> tuple[int, dict[str, object]]:
        """Exit status of a round, and what it found."""
        ran = self.witness.command("follow", "--once")
        report = json.loads((self.witness.home / "follow.json").read_bytes())
        return ran.returncode, report[self.log.origin]

    def republish(self, log: TestLog) -> None:
        shutil.rmtree(self.directory)
        publish(log, self.directory)

    def shown(self) -> dict[str, object]:
        view = json.loads(self.witness.command("show", "--json").stdout)
        return view["logs"][0]  # type: ignore[no-any-return]


@pytest.fixture
def followed(tmp_path: Path, witness: RunningWitness) -> Iterator[Followed]:
    made = Followed(tmp_path, witness)
    yield made
    made.server.close()


def test_it_is_fetched_proved_and_cosigned(followed: Followed) -> None:
    status, found = followed.follow()
    assert (status, found["found"], found["size"]) == (0, "cosigned", 700)
    assert followed.shown()["size"] == 700
    publish(followed.log.grow(400), followed.directory)
    followed.server.asked.clear()
    assert followed.follow()[0] == 0
    assert followed.shown()["size"] == 1100
    assert followed.shown()["published"]["found"] == "cosigned"  # type: ignore[index]
    # Nothing is fetched that no proof needs.
    assert len(followed.server.asked) < 8
    # A log that also comes by itself is no trouble.
    assert followed.witness.add(followed.log.grow(1).request(1100)).status_code == 200
    publish(followed.log, followed.directory)
    assert followed.follow()[0] == 0


@pytest.mark.parametrize("known", [512, 700])
def test_a_published_fork_is_found_with_evidence(followed: Followed, known: int) -> None:
    """Also where a proof alone would not show it, the old tree being complete."""
    log = followed.log
    assert followed.witness.add(log.request(0, known)).status_code == 200
    followed.republish(log.fork(100, 900))
    status, found = followed.follow()
    assert (status, found["found"]) == (1, "forked")
    evidence = ForkEvidence.parse(str(found["evidence"]).encode())
    first, second = verify_fork(evidence, [LogKey(log.verifier)])
    assert (first.size, second.size) == (known, 1000)
    assert followed.shown()["published"]["found"] == "forked"  # type: ignore[index]
    assert "forked" in followed.witness.look("/").text


def test_a_rewound_log_is_told(followed: Followed) -> None:
    assert followed.follow()[0] == 0
    # An older head is published, with the tiles of the larger one or without.
    (followed.directory / "checkpoint").write_bytes(followed.log.note(600))
    assert followed.follow()[1]["found"] == "behind"
    followed.republish(TestLog(followed.log.origin, followed.log.entries[:600], followed.log.key))
    status, found = followed.follow()
    assert (status, found["found"], found["size"]) == (1, "behind", 600)
    # A smaller head of another past, while the tiles tell: a fork.
    followed.republish(followed.log)
    (followed.directory / "checkpoint").write_bytes(followed.log.fork(5, 595).note())
    assert followed.follow()[1]["found"] == "forked"
    assert followed.shown()["state"] == "current"  # what was cosigned stands


def test_what_a_server_may_do_to_it(followed: Followed) -> None:
    assert followed.follow()[0] == 0
    publish(followed.log.grow(300), followed.directory)
    lies = {
        "unreachable": lambda path, content: None if path.startswith("/tile") else content,
        "tiles-wrong": lambda path, content: bytes(8192) if path.startswith("/tile/0") else content,
        "malformed": lambda path, content: b"nonsense" if path == "/checkpoint" else content,
    }
    for found, lie in lies.items():
        followed.server.lie = lie
        status, seen = followed.follow()
        assert (status, seen["found"]) == (1, found)
    stranger = TestLog(followed.log.origin, followed.log.entries)
    followed.server.lie = lambda path, content: stranger.note() if path == "/checkpoint" else content
    assert followed.follow()[1]["found"] == "malformed"
    followed.server.lie = lambda path, content: bytes(2_000_000) if path == "/checkpoint" else content
    assert followed.follow()[1]["found"] == "unreachable"
    followed.server.lie = lambda _, content: content
    assert followed.follow()[0] == 0
    followed.witness.stop()
    assert followed.follow()[1]["found"] == "refused"


HURRIED = """
from appliance.monitor import published
published.FETCH_SECONDS = 1.0
"""


def test_a_supervisor_follows_many_boxes_and_one_that_hangs_delays_none(
    witness: RunningWitness, tmp_path: Path
) -> None:
    """Control FORK: a box that hangs, or sends a byte at a time, keeps nobody from seeing what the others show."""
    logs = [TestLog(f"log.example/rehearsal/box-{number}").grow(100 + number) for number in range(6)]
    servers = []
    for number, log in enumerate(logs):
        publish(log, tmp_path / str(number))
        servers.append(PublishingServer(tmp_path / str(number)))

    def hang(_: str, true: bytes | None) -> bytes | None:
        time.sleep(3)
        return true

    try:
        servers[2].lie = servers[4].lie = hang
        witness.configure([log_table(log, url=server.url) for log, server in zip(logs, servers, strict=True)])
        witness.start()
        text = witness.settings.read_text()
        witness.settings.write_text(f'{text}\n[follow]\nwitness = "{witness.url()}"\n')
        ran = subprocess.run(
            [*python_with(HURRIED), "witness", "follow", "--home", str(witness.home), "--once"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 1, ran.stderr
        report = json.loads((witness.home / "follow.json").read_bytes())
        found = [report[log.origin]["found"] for log in logs]
        assert found == ["cosigned", "cosigned", "unreachable", "cosigned", "unreachable", "cosigned"]
        page = witness.look("/?language=zh-Hans").text
        assert page.count("无法访问") == 2
    finally:
        for server in servers:
            server.close()
