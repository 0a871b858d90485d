"""What stands on a letter's page and on a court package's: days and times on the clocks of the kind's zone."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from appliance.instants import local_time
from appliance.letters.court import Happened, certificate_page
from appliance.letters.event import Actor, Event, KindReference
from appliance.letters.kind import LoadedKind
from appliance.letters.page import letter_page
from appliance.letters.state import follow
from appliance.pdf import LetterPage
from appliance.record import Record
from firmware_tests.letters.kinds import BID_BOND, FIELDS

EVENING = "2026-11-22T20:30:05.123456Z"
"""It is the next day in Guangzhou."""
EVENT = Event(
    actor=Actor(application="desk", box="0b" * 16, tenant="bank"), at=EVENING, event="issue", fields=FIELDS,
    kind=KindReference(digest=BID_BOND.digest, id=BID_BOND.kind.id, version=BID_BOND.kind.version), letter="1a" * 16,
    number=1, previous=None, state="issued",
)  # fmt: skip


def in_zone(zone: str) -> LoadedKind:
    return msgspec.structs.replace(BID_BOND, kind=msgspec.structs.replace(BID_BOND.kind, zone=zone))


def page(zone: str) -> LetterPage:
    state = follow(None, EVENT)
    return letter_page(in_zone(zone), state, "issue", EVENT.digest(), "银行", verify="", rehearsal=True)


@pytest.mark.parametrize(
    ("zone", "day"), [("+08:00", "2026-11-23"), ("+00:00", "2026-11-22"), ("-11:00", "2026-11-22")]
)
def test_a_letters_day_is_that_of_its_kinds_zone(zone: str, day: str) -> None:
    assert page(zone).date == day


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2099-11-30T09:30:00+08:00", "2099-11-29 14:30:00 -11:00"),
        ("2099-11-30T01:30:00.250000Z", "2099-11-29 14:30:00.250000 -11:00"),
    ],
)
def test_a_time_in_a_field_is_told_in_the_kinds_zone_to_all_its_digits(given: str, shown: str) -> None:
    event = msgspec.structs.replace(EVENT, fields=FIELDS | {"opening": given})
    made = letter_page(
        in_zone("-11:00"), follow(None, event), "issue", event.digest(), "银行", verify="", rehearsal=True
    )
    assert shown in [row.value for section in made.sections for row in section.rows]


def test_times_of_a_court_package_are_told_to_the_second_with_the_zone() -> None:
    record = Record(
        application="desk", content_digest="", content_hash="sha256", key="seal", kind="letter", signature_digest="",
        signed_digest="", tenant="bank", time=0,
    )  # fmt: skip
    made = certificate_page(
        [Happened(EVENT, record)], in_zone("+08:00").kind, {"steps.json": b"{}"}, organisation="银行",
        made="2026-11-30T23:59:59.999999Z", box="0b" * 16, rehearsal=True,
    )  # fmt: skip
    assert made.date == "2026-12-01"
    assert "2026-12-01 07:59:59 +08:00" in [row.value for row in made.sections[0].rows]
    assert [row[2] for row in made.tables[0].rows] == ["2026-11-23 04:30:05 +08:00"]
    assert made.tables[1].rows == [["steps.json", hashlib.sha256(b"{}").hexdigest()]]


def test_an_offset_of_half_an_hour_is_told() -> None:
    assert local_time(EVENING, "-03:30") == "2026-11-22 17:00:05 -03:30"
