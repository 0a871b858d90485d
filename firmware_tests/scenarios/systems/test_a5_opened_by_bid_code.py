"""A5: before the opening nobody reads who bids; after it, code, time and a supervisor together recover the letter."""

from __future__ import annotations

from pathlib import Path

import rfc8785

from appliance.client import Client
from appliance.letters.bid_code import new_code
from appliance.letters.event import read_event
from appliance.letters.veil import check_opening, read_envelope
from firmware_tests.letters.kinds import catalogue
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    moment,
    number,
    refuses,
    story,
    veiled,
    wait_for,
    yuan,
)

not_yet(
    "A5", "K5", "ciphertext and plaintext letter are one evidence file; the ciphertext is not printed in the sealed PDF"
)

BIDDER = {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"}
PROJECT = "广州市第三污水处理厂扩建工程"


def test_a5_the_letter_is_recovered_by_its_bid_code(
    guarantor: Client, office: Office, offline: Offline, tmp_path: Path
) -> None:
    order, code, opening = number("DD"), new_code(), moment(2.4)
    fields = {
        "order_number": order,
        "tender_code": number("GD"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("500000.00"),
        "opening": opening,
        "valid_until": day(90),
    }
    kind = catalogue("bid-bond-veiled").digest
    envelopes = {
        "bidder": veiled(guarantor, "guarantor", kind, "bidder", order, code, BIDDER),
        "project": veiled(guarantor, "guarantor", kind, "project", order, code, PROJECT),
    }
    letter = guarantor.begin_letter("bid-bond-veiled", fields, envelopes=envelopes).happened.letter
    guarantor.letter_event(letter, "issue")
    codes = {"bidder": code, "project": code}

    with shows("A5", "K5", "Before the opening time even the right code opens nothing"):
        with refuses("event-refused", "not before"):
            guarantor.letter_event(letter, "open", codes=codes)
        assert guarantor.letter(letter).state == "issued"

    wait_for(opening)
    with shows("A5", "K5 K11", "After it the code alone is not enough: the opening's supervisor must sign as well"):
        with refuses("approval-missing"):
            guarantor.letter_event(letter, "open", codes=codes)
    with shows("A5", "K5", "With the supervisor but a wrong code, or none, the letter stays shut"):
        with refuses("wrong-code"):
            office.event(guarantor, letter, "open", by=["liu-yang"], codes=dict.fromkeys(codes, new_code()))
        with refuses("field-refused", "/codes/bidder"):
            office.event(guarantor, letter, "open", by=["liu-yang"])

    with shows(
        "A5", "K5", "Time, code and supervisor together recover it, with proof that it is what was committed to"
    ):
        opened = office.event(guarantor, letter, "open", by=["liu-yang"], codes=codes, document=True)
        event = read_event(opened.happened.event)
        assert event.fields == {"bidder": BIDDER, "project": PROJECT}
        committed = read_envelope(envelopes["bidder"]).header.commitment
        assert check_opening(committed, bytes.fromhex(event.opened["bidder"]), rfc8785.dumps(BIDDER))

    with shows(
        "A5", "K5 K7", "One file holds the ciphertext letter and the plaintext letter, linked, and verifies offline"
    ):
        assert story(guarantor, letter) == ["apply", "issue", "open"]
        assert offline.passes(guarantor.evidence(letter))

    with shows(
        "A5", "K6", "After the opening the beneficiary claims with name, credit code, amount, reason, attachments"
    ):
        claim = {
            "claimant": {"name": "广州市公共资源交易中心", "id": "12440100MB2C00000A"},
            "claimed": yuan("500000.00"),
            "reason": "中标人未按期签订合同",
            "attachments": [{"name": "中标通知书.pdf", "digest": digest("中标通知书")}],
        }
        with refuses("field-refused", "/data/claimant"):
            without_code = {"claimant": {"name": "广州市公共资源交易中心"}}
            guarantor.letter_event(letter, "claim", data=claim | without_code)
        assert guarantor.letter_event(letter, "claim", data=claim).state == "claimed"
