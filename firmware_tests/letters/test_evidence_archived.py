"""Evidence of letters whose records have left the database for the archive: the same file, or a plain word why not."""

from __future__ import annotations

import asyncio
import json
import os
import re
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
from appliance.letters.bid_code import new_code
from appliance.letters.event import read_event
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.letters.test_veiled_letters import PRICE, fields, veiled
from firmware_tests.running import RunningBox, wait_until

FUND = Path(__file__).parents[1] / "filing" / "fund.toml"


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


def in_archive(client: Client, record: str) -> bool:
    try:
        client.record(record)
    except Refused as refused:
        return refused.code == "archived"
    return False


def archived(client: Client, record: str) -> None:
    """Let other records push this one into the archive."""
    for _ in range(30):
        client.stamp(digest=os.urandom(32))
    wait_until(lambda: in_archive(client, record), 60, "the record is in the archive alone")


def moved(files: Path, to: Path) -> None:
    """Take the archive's files elsewhere, or bring them back."""
    to.mkdir(exist_ok=True)
    for path in files.iterdir():
        path.rename(to / path.name)


def test_evidence_is_the_same_file_from_the_archive_or_says_what_is_missing(pruning: RunningBox) -> None:
    with client_of(pruning) as client, client_of(pruning, "other") as other:
        issued = client.begin_letter("bid-bond", FIELDS).happened
        letter = issued.letter
        client.letter_event(letter, "claim", data={"claimed": FIELDS["amount"], "reason": "拒签中标合同"})
        before, told = taken(client, letter), client.letter_events(letter)
        archived(client, issued.record)
        assert client.evidence(letter) == before
        assert client.letter_events(letter) == told
        assert [one.number for one in client.letter_events(letter, after=1).events] == [2]
        with pytest.raises(Refused) as foreign:
            other.evidence(letter)
        with pytest.raises(Refused) as nobodys:
            other.evidence("ab" * 16)
        assert foreign.value.code == nobodys.value.code == "not-found"
        archive = pruning.home.root / "records" / "archive"
        away = archive.with_name("away")
        moved(archive, away)
        with pytest.raises(Refused) as refused:
            client.evidence(letter)
        assert refused.value.code == "segment-not-mounted"
        moved(away, archive)
        assert client.evidence(letter) == before
        latest = client.letter_event(letter, "pay", data={"paid": {"amount": "1.50", "currency": "CNY"}})
        assert latest.happened.number == 3
        assert len(taken(client, letter)) > len(before), "one part from the archive and one from the database"


def test_a_veiled_letter_is_opened_out_of_the_archive(pruning: RunningBox) -> None:
    with client_of(pruning) as client:
        code, asked = new_code(), fields(2.0)
        envelopes = {"price": veiled(client, asked["tender_code"], code)}
        submitted = client.begin_letter("sealed-bid", asked, envelopes=envelopes).happened
        archived(client, submitted.record)
        time.sleep(2.0)
        opened = client.letter_event(submitted.letter, "open", codes={"price": code})
        assert read_event(opened.happened.event).fields == {"price": PRICE}


def test_a_filing_whose_events_are_in_the_archive_hides_no_other(pruning: RunningBox) -> None:
    directory = pruning.home.adapters / "demo" / "fund"
    directory.mkdir(parents=True)
    text = FUND.read_text().replace('"outbound-filing"', '"bid-bond"').replace('"submitted"', '"surrendered"')
    (directory / "1.toml").write_text(re.sub(r"(?m)^when = .*\n", "", text))
    with client_of(pruning) as client, pruning.http("demo") as http:
        old = client.begin_letter("bid-bond", FIELDS | {"tender_code": "filed-1"}).happened
        archived(client, old.record)
        new = client.begin_letter("bid-bond", FIELDS | {"tender_code": "filed-2"}).happened

        def told() -> list[tuple[str, str]]:
            lines = http.get("/v1/filings").text.splitlines()
            rows = {one["letter"]: (one["event"], one["unread"]) for one in map(json.loads, lines)}
            return [rows[old.letter], rows[new.letter]]

        assert told() == [("", "archived"), ("issue", "")]


def test_more_than_fits_into_one_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        async def query(self, name: str, _tenant: str, _letter: bytes, after: int, _at_once: int) -> list[object]:
            assert name == "letter_records"
            return [(after + n, [0, b"", "", "letter", "seal", 0, b"", bytes(1000)]) for n in range(1, 101)]

    read: list[object] = []

    async def event(_source: object, row: object) -> object:
        read.append(row)
        return type("Files", (), {"artifact": type("Artifact", (), {"event": b""})})

    monkeypatch.setattr(assembling, "_event", event)
    source = LetterSource("demo", Endless(), None, None, False, (), None, True)  # type: ignore[arg-type]
    with pytest.raises(EvidenceTooLarge, match="more than 4096 events"):
        asyncio.run(read_chain(source, "ab" * 16))
    assert len(read) == assembling.MOST_EVENTS
    monkeypatch.setattr(assembling, "MOST_BYTES", 50_000)
    read.clear()
    with pytest.raises(EvidenceTooLarge):
        asyncio.run(read_chain(source, "ab" * 16))
    assert len(read) == 50
