"""A3: small letters go out by themselves, at once; larger ones wait for exactly the people whom their amount wants."""

from __future__ import annotations

import time

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, firm, moment, number, refuses, yuan

not_yet("A3", "K19", "a second box that takes over within the three minutes comes with the fleet")


def bid(amount: str) -> dict[str, object]:
    return {
        "tender_code": number("GD"),
        "project": "南沙港区道路工程",
        "bidder": firm("岭南路桥有限公司"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan(amount),
        "opening": moment(86_400),
        "valid_until": day(90),
    }


def test_a3_a_letter_leaves_within_three_minutes(guarantor: Client, office: Office) -> None:
    with shows("A3", "K11", "Up to a million yuan a letter needs nobody: asked, sealed and on record in seconds"):
        began = time.monotonic()
        issued = guarantor.begin_letter("bid-bond", bid("1000000.00"))
        assert issued.state == "issued"
        assert time.monotonic() - began < 30

    with shows(
        "A3", "K11", "A cent more needs an approver, and the draft says of which policy; without her it is refused"
    ):
        larger = bid("1000000.01")
        assert guarantor.draft_letter("bid-bond", larger).policies == ["issue"]
        with refuses("approval-missing", "issue"):
            guarantor.begin_letter("bid-bond", larger)

    with shows("A3", "K11", "She signs the draft with her own card, and the letter leaves with her signature in it"):
        approved = office.begin(guarantor, "bid-bond", larger, by=["li-ming"])
        assert approved.state == "issued"
        assert b'"approver":"li-ming"' in approved.happened.event

    with shows(
        "A3", "K11", "A performance bond of sixty million wants two people, one after the other, and says so at once"
    ):
        bond = {
            "number": number("LY"),
            "contract_number": number("HT"),
            "contractor": firm("岭南路桥有限公司"),
            "beneficiary": {"name": "广州南沙开发建设集团"},
            "industry": "道路工程",
            "amount": yuan("60000000.00"),
            "documents": "违约声明正本一份",
            "valid_until": day(365),
        }
        letter = guarantor.begin_letter("performance-bond", bond).happened.letter
        assert guarantor.draft_event(letter, "issue").policies == ["issue", "senior"]
        assert office.event(guarantor, letter, "issue", by=["wang-fang", "zhang-wei"]).state == "issued"

    with shows("A3", "K11", "Somebody else's signature, or hers over another draft, does not count"):
        with refuses("approval-missing"):
            office.begin(guarantor, "bid-bond", bid("2000000.00"), by=["zhao-lei"])
        draft = guarantor.draft_letter("bid-bond", bid("2000000.00"))
        another = guarantor.draft_letter("bid-bond", bid("9000000.00"))
        with refuses("approval-missing"):
            guarantor.begin_letter(
                "bid-bond",
                bid("9000000.00"),
                letter=another.letter,
                ids_tag=another.ids_tag,
                approvals=office.approve(draft, ["li-ming"]),
            )
