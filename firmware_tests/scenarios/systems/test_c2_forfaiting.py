"""C2: a forfaiting asset is listed once over all banks, quoted, matched, assigned without recourse, sold on."""

from __future__ import annotations

from decimal import Decimal

from appliance.client import Client
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.desks import EVERBRIGHT
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    firm,
    fresh,
    happened,
    number,
    refusal,
    refuses,
    story,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import total


def test_c2_listed_quoted_matched_assigned(
    bank: Client, second_bank: Client, office: Office, docks: dict[str, Partner], offline: Offline
) -> None:
    buyers = [EVERBRIGHT, firm("恒丰银行")]
    asset = {
        "reference": number("LC"),
        "accepting_bank": firm("中国农业银行广东省分行"),
        "seller": firm("珠海华润银行"),
        "face": yuan("5600000.00"),
        "due": day(150),
        "documents": fresh("承兑电文与单据"),
    }
    letter = bank.begin_letter("forfaiting-asset", asset).happened.letter

    with shows("C2", "K8", "No asset is listed twice: another bank that offers the same one is refused"):
        with refuses("taken"):
            second_bank.begin_letter("forfaiting-asset", asset)

    with shows(
        "C2",
        "K4",
        "A bank's system quotes by a signed and encrypted message, for itself alone; it cannot match for the seller",
    ):
        everbright = docks["everbright"]
        asset_ = everbright.ask({"call": "letter", "letter": letter})["body"]
        assert asset_["state"] == "listed"
        quote = {"event": "quote", "data": {"funder": buyers[0], "rate": "0.0240"}, "head": asset_["head"]}
        foreign = quote | {"data": {"funder": buyers[1], "rate": "0.0001"}}
        assert refusal(everbright.ask({"call": "event", "letter": letter, "request": foreign})) == "party-missing"
        assert everbright.ask({"call": "event", "letter": letter, "request": quote})["status"] == 200
        match = {"event": "match", "fields": {"buyer": buyers[0]}, "data": {"rate": "0.0240"}}
        assert refusal(everbright.ask({"call": "event", "letter": letter, "request": match})) == "role-missing"

    with shows(
        "C2", "K6", "Funders' quotes stand in order; the match takes one of them and can fail and be made again"
    ):
        for buyer, rate in zip(buyers, ("0.0231", "0.0226"), strict=True):
            bank.letter_event(letter, "quote", data={"funder": buyer, "rate": rate})
        bank.letter_event(letter, "match", fields={"buyer": buyers[0]}, data={"rate": "0.0231"})
        bank.letter_event(letter, "part", data={"reason": "额度不足"})
        bank.letter_event(letter, "match", fields={"buyer": buyers[1]}, data={"rate": "0.0226"})
        quotes = [event.data["rate"] for _, event in happened(bank, letter) if event.event == "quote"]
        assert quotes == ["0.0240", "0.0231", "0.0226"]

    with shows(
        "C2", "K6 K11", "The assignment needs an approver's signature; then it may be sold on, and not withdrawn"
    ):
        assignment = {"assignment": fresh("转让协议")}
        with refuses("approval-missing"):
            bank.letter_event(letter, "assign", data=assignment)
        office.event(bank, letter, "assign", by=["li-ming"], data=assignment)
        with refuses("event-refused", "assigned"):
            bank.letter_event(letter, "withdraw")
        resold = {"event": "resell", "fields": {"buyer": buyers[0]}, "data": {"assignment": fresh("再转让协议")}}
        by_everbright = {"call": "event", "letter": letter, "request": resold}
        assert refusal(everbright.ask(by_everbright)) == "party-missing"  # it is not yet its own
        bank.letter_event(letter, "resell", fields=resold["fields"], data=resold["data"])
        assert story(bank, letter)[-2:] == ["assign", "resell"]

    with shows(
        "C2", "K9", "Its holder sells it on in parts, never more than it holds; each part knows where it comes from"
    ):
        sold = {"assignment": fresh("分拆转让协议")}
        more = [{"amount": yuan("5600000.01"), "buyer": buyers[1]}]
        with refuses("field-refused", "/data/parts"):
            bank.letter_event(letter, "sell-parts", data=sold | {"parts": more})
        two = [
            {"amount": yuan(amount), "buyer": firm(name)}
            for amount, name in (("3000000.00", "浙商银行"), ("600000.00", "渤海银行"))
        ]
        halves = bank.letter_event(letter, "sell-parts", data=sold | {"parts": two}).parts
        assert total(bank, [letter, *halves]) == Decimal("5600000.00")
        assert {bank.letter(one).origin for one in halves} == {letter}
        assert offline.passes(bank.evidence(halves[0]))

    with shows("C2", "K6", "Each is settled at maturity and not before"):
        for one in (letter, *halves):
            with refuses("event-refused", "/fields/due"):
                bank.letter_event(one, "settle")
        assert bank.letter(letter).balance == "2000000.00"
