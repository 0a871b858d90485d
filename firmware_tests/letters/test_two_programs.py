"""Programs of two institutions, each a process with its own certificate and connection, race for the same things."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from firmware_tests.letters.conftest import client_of
from firmware_tests.running import RunningBox

RACES = 40
Racer = subprocess.Popen[str]


@pytest.fixture
def racers(letter_box: RunningBox) -> Iterator[list[Racer]]:
    with ExitStack() as stack:
        started = []
        for tenant in letter_box.tenants:
            certificate, key = letter_box.credentials(tenant)
            files = [str(one) for one in (certificate, key, letter_box.home.trust / "box-ca.pem")]
            process = subprocess.Popen(
                [sys.executable, "-m", "firmware_tests.letters.racer", letter_box.url, *files],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
            started.append(stack.enter_context(process))
            stack.callback(process.kill)
        assert [said(one) for one in started] == ["ready", "ready"]
        yield started


def said(racer: Racer) -> str:
    assert racer.stdout is not None
    return racer.stdout.readline().strip()


def tell(racer: Racer, line: str) -> None:
    assert racer.stdin is not None
    racer.stdin.write(f"{line}\n")
    racer.stdin.flush()


def signatures(box: RunningBox) -> list[int]:
    """How many each worker has made."""
    counted = []
    for number in range(2):
        told = httpx.get(f"http://{box.address('metrics')}/workers/{number}/metrics").text
        found = re.search(r"^cinnabar_signatures_total\{[^}]*\} (\d+)", told, re.MULTILINE)
        assert found is not None, told
        counted.append(int(found[1]))
    return counted


def test_of_two_institutions_programs_one_has_it_and_the_other_is_told_taken(
    letter_box: RunningBox, racers: list[Racer]
) -> None:
    before = signatures(letter_box)
    won: dict[str, list[str]] = {tenant: [] for tenant in letter_box.tenants}
    for race in range(RACES):
        asset = f"ZYW-{uuid.uuid4().hex[:12]}"
        for racer in racers if race % 2 else reversed(racers):
            tell(racer, asset)
        answers = dict(zip(letter_box.tenants, map(said, racers), strict=True))
        assert sorted(answer.partition(" ")[0] for answer in answers.values()) == ["taken", "won"], answers
        for tenant, answer in answers.items():
            word, _, rest = answer.partition(" ")
            if word == "won":
                won[tenant].append(rest)
            else:
                assert not set(letter_box.tenants) & set(re.findall(r"\w+", rest)), "nothing of who has it (CHANNEL)"
    assert all(now > then for now, then in zip(signatures(letter_box), before, strict=True)), "both workers took part"
    for tenant, letters in won.items():
        with client_of(letter_box, tenant) as client:
            assert {client.letter(letter).state for letter in letters} <= {"watched"}
    assert sum(map(len, won.values())) == RACES
