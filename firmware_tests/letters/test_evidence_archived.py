"""Evidence of letters whose records have left the database for the archive: the same file, or a plain word why not."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.api.letters import assembling
from appliance.api.letters.assembling import EvidenceTooLarge, LetterSource, read_chain
from appliance.box.settings import RecordSettings, read_settings, write_settings
from appliance.client import Client
from appliance.client.errors import Refused
from appliance.store import schema
from appliance.store.records import segments
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.running import RunningBox


@pytest.fixture(scope="module")
def pruning(open_directory: Path) -> Iterator[RunningBox]:
    box = RunningBox(open_directory / "pruning", "demo", "other")
    box.provision()
    settings = read_settings(box.home.settings)
    records = RecordSettings(segment_bytes=20_000, keep_days=0)
    write_settings(box.home.settings, msgspec.structs.replace(settings, records=records))
    for tenant in box.tenants:
        install(box.home, tenant)
    box.start()
    yield box
    assert box.stop() == 0, box.said()


def in_archive(client: Client, letter: str) -> bool:
    try:
        client.letter_events(letter)
    except Refused as refused:
        return refused.code == "archived"
    return False


def archived(box: RunningBox, client: Client, letter: str) -> None:
    """Let other records push the letter's first ones into the archive."""
    reader = schema.open_reader(box.home.records)
    deadline = time.monotonic() + 40
    while True:
        for _ in range(10):
            client.stamp(digest=os.urandom(32))
        states = [one.state for one in segments(reader)]
        if in_archive(client, letter):
            break
        assert time.monotonic() < deadline, states
        time.sleep(0.2)
    reader.close()


def test_evidence_is_the_same_file_from_the_archive_or_says_what_is_missing(pruning: RunningBox) -> None:
    with client_of(pruning) as client, client_of(pruning, "other") as other:
        letter = client.begin_letter("bid-bond", FIELDS).happened.letter
        client.letter_event(letter, "claim", data={"claimed": FIELDS["amount"], "reason": "拒签中标合同"})
        before = taken(client, letter)
        archived(pruning, client, letter)
        assert client.evidence(letter) == before
        with pytest.raises(Refused) as foreign:
            other.evidence(letter)
        with pytest.raises(Refused) as nobodys:
            other.evidence("ab" * 16)
        assert foreign.value.code == nobodys.value.code == "not-found"
        archive = pruning.home.root / "records" / "archive"
        away = archive.with_name("away")
        archive.rename(away)
        with pytest.raises(Refused) as refused:
            client.evidence(letter)
        assert refused.value.code == "segment-not-mounted"
        archive.mkdir(exist_ok=True)  # newer segments may have come there meanwhile
        for path in away.iterdir():
            path.rename(archive / path.name)
        assert client.evidence(letter) == before
        latest = client.letter_event(letter, "pay", data={"paid": {"amount": "1.50", "currency": "CNY"}})
        assert latest.happened.number == 3
        assert len(taken(client, letter)) > len(before), "one part from the archive and one from the database"


def test_more_than_fits_into_one_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        async def query(self, name: str, _tenant: str, _letter: bytes, after: int) -> list[object]:
            assert name == "letter_records"
            return [(after + n, [0, b"", "", "letter", "seal", 0, b"", bytes(1000)]) for n in range(1, 101)]

    read: list[object] = []

    async def event(_source: object, row: object) -> object:
        read.append(row)
        return type("Files", (), {"artifact": type("Artifact", (), {"event": b""})})

    monkeypatch.setattr(assembling, "_event", event)
    source = LetterSource("demo", Endless(), None, "", None, (), None)  # type: ignore[arg-type]
    with pytest.raises(EvidenceTooLarge, match="more than 4096 events"):
        asyncio.run(read_chain(source, "ab" * 16))
    assert len(read) == assembling.MOST_EVENTS
    monkeypatch.setattr(assembling, "MOST_BYTES", 50_000)
    read.clear()
    with pytest.raises(EvidenceTooLarge):
        asyncio.run(read_chain(source, "ab" * 16))
    assert len(read) == 50
