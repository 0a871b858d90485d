"""Counts for people: whom they are of, what warnings are about, and what was asked of shared registers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from appliance.api.bodies import BodyCipher
from appliance.api.letters.counted import LABEL
from appliance.api.limits.reads import whom_in
from appliance.audit import usage
from appliance.audit.usage import WhomUse, largest_of
from appliance.letter_limits.subjects import tally_of

WHOM = "ab" * 32
SUBJECT = f"bid-bond/bidder/CNY//{WHOM}"


def cipher() -> BodyCipher:
    return BodyCipher("demo", os.urandom(32))


def label(own: BodyCipher) -> bytes:
    return own.close_bytes(LABEL + bytes.fromhex(WHOM), b"A bidder 9144")


def test_letters_that_name_nobody_are_a_line_of_their_own() -> None:
    own = cipher()
    rows = [["", 7, b""], [WHOM, 5, label(own)]]
    assert largest_of(own, rows) == [WhomUse(label="", amount=7), WhomUse(label="A bidder 9144", amount=5)]
    assert largest_of(own, rows[:1]) == []


def test_a_warning_names_whom_it_is_about_and_prints_its_amounts() -> None:
    own = cipher()
    tally = tally_of(SUBJECT)
    assert tally is not None
    assert (tally.counter, tally.currency, tally.window) == ("bid-bond/bidder", "CNY", "")
    assert tally.shown(1_080_000_000) == "108000.00 CNY"
    assert whom_in(own, SUBJECT, label(own)) == "A bidder 9144"
    assert whom_in(own, SUBJECT, b"") == WHOM[:12]
    assert whom_in(own, "bid-bond/claims", b"") == ""
    assert tally_of("bid-bond/claims") is None


TALLIES = {
    "@federation/banks/asked": 4,
    "@federation/banks/refused": 3,
    "@federation/funds/asked": 1,
    "@questions/app/2026-11-22": 5,
    "@veiled/ab": 2,
    "bid-bond/issued/CNY/2026-11/": 9,
}


class Recorder:
    async def query(
        self, name: str, _tenant: str, prefix: str, after: str = "", limit: int = 4_096, *last: bool
    ) -> Any:
        assert name == "tallies"
        found = [[one, amount] for one, amount in sorted(TALLIES.items()) if one.startswith(prefix) and one > after]
        return (found[::-1] if last else found)[:limit]


def test_questions_to_a_register_are_told_apart_from_counters() -> None:
    recorder: Any = Recorder()
    told = asyncio.run(usage._registers(recorder, "demo"))
    assert [(one.federation, one.asked, one.refused) for one in told] == [("banks", 4, 3), ("funds", 1, 0)]
    assert asyncio.run(usage._newest_windows(recorder, "demo")) == {"bid-bond/issued/CNY": "2026-11"}
