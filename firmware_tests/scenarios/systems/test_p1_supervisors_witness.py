"""P1: supervision centres and mediators witness the platform's box, each with a witness of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.settings import read_settings
from appliance.client import Client
from appliance.log import Checkpoint, LogKey, LogReader, open_checkpoint, parse_note, verified_by
from appliance.log.keys import read_log_keys
from appliance.log.reader import log_directory
from appliance.log.tree import verify_consistency
from firmware_tests.running import RunningBox, wait_until
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import fresh
from firmware_tests.witness.running import RunningWitness

CENTRES = {
    "renhang.example/w": "人民银行监管中心",
    "jinrong.example/w": "地方金融监管局",
    "tiaojie.example/w": "调解中心",
}


class BoxLog:
    """What a centre is given about the box's own log by hand: its origin and keys, and where it is published."""

    def __init__(self, town: RunningBox) -> None:
        settings = read_settings(town.home.settings)
        self.origin = next(log.origin for log in settings.logs if log.tenant is None)
        self.keys: list[LogKey] = read_log_keys(log_directory(town.home.logs, self.origin))
        self.url = f"https://{town.address('public')}/log/{self.origin}"
        self.ca = town.home.trust / "box-ca.pem"

    def table(self) -> str:
        keys = ", ".join(f'{{ key = "{key.verifier}" }}' for key in self.keys)
        return (
            f'[[logs]]\norigin = "{self.origin}"\ntitle = "征信链"\nkeys = [{keys}]\n'
            f'url = "{self.url}"\nca = "{self.ca}"\n'
        )


@pytest.fixture
def box_log(town: RunningBox) -> BoxLog:
    return BoxLog(town)


@pytest.fixture
def centres(tmp_path: Path, box_log: BoxLog) -> Iterator[list[RunningWitness]]:
    made = []
    for number, (name, title) in enumerate(CENTRES.items()):
        centre = RunningWitness(tmp_path / f"centre-{number}", name)
        centre.configure([box_log.table()], "")
        centre.settings.write_text(f'title = "{title}"\n' + centre.settings.read_text())
        centre.start()
        text = centre.settings.read_text()
        centre.settings.write_text(f'{text}\n[follow]\nwitness = "{centre.url()}"\n')
        made.append(centre)
    yield made
    for centre in made:
        centre.close()


def follow(centre: RunningWitness) -> int:
    """A round; the size of the head that the centre has cosigned then."""
    ran = centre.command("follow", "--once")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (seen,) = json.loads(centre.command("show", "--json").stdout)["logs"]
    assert seen["published"]["found"] == "cosigned"
    return int(seen["size"])


def head_of(centre: RunningWitness) -> bytes:
    (seen,) = centre.look("/logs.json").json()["logs"]
    return centre.look(f"/log/{seen['id']}/checkpoint").content


def test_p1_supervision_centres_witness_the_platform(
    platform: Client, box_log: BoxLog, centres: list[RunningWitness], town: RunningBox
) -> None:
    with shows(
        "P1",
        "K18",
        "Supervision centres and mediators rack witnesses of their own; each cosigns the log while it grows",
    ):
        first = [follow(centre) for centre in centres]
        before = Checkpoint.parse(parse_note(head_of(centres[2])).text)
        record = platform.seal(fresh("行政处罚记录").encode()).record
        covered = wait_for_box_proof(platform, record)
        sizes = [follow(centre) for centre in centres[:2]]
        assert all(size > covered >= 0 and size >= earlier for size, earlier in zip(sizes, first[:2], strict=True))

    with shows("P1", "K18", "A centre that was away meanwhile catches up by a proof; nothing is taken on trust"):
        assert follow(centres[2]) > max(before.size, covered)
        now = Checkpoint.parse(parse_note(head_of(centres[2])).text)
        proof = LogReader(log_directory(town.home.logs, box_log.origin)).consistency_proof(before.size, now.size)
        verify_consistency(before.size, before.root, now.size, now.root, proof)

    with shows("P1", "K18 K7", "Each head bears the log's signature and the centre's own, with the time it was seen"):
        for centre in centres:
            head = head_of(centre)
            assert open_checkpoint(head, box_log.origin, box_log.keys).size > covered
            assert verified_by(parse_note(head), [centre.verifier]) == [centre.verifier]

    with shows("P1", "K18", "Each centre's page shows what it saw, in Chinese and English, and changes nothing"):
        for centre, title in zip(centres, CENTRES.values(), strict=True):
            page = centre.look("/", **{"accept-language": "zh-CN"}).text
            assert title in page
            assert "征信链" in page
            assert "没有日志分叉" in page
            assert "No log has forked" in centre.look("/?language=en").text


def wait_for_box_proof(platform: Client, record: str) -> int:
    """Index, in the box's log, of the leaf that covers the record."""
    found: list[int] = []

    def covered() -> bool:
        proof = platform.record(record).box_proof
        if proof is None:
            return False
        found.append(proof.leaf.index)
        return True

    wait_until(covered, 90, "a box leaf over the record")
    return found[0]
