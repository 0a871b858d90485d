"""V7: the holder of a ticket chooses its bank: pledge, release, another bank, financing."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import firm, receipt, refuses, story
from firmware_tests.scenarios.systems.vouchers import issued


def test_v7_a_holder_chooses_its_bank(platform: Client, supplier: Client, core_firm: Client, funder: Client) -> None:
    first, second = firm("北京银行"), firm("华夏银行")
    letter = issued(supplier, core_firm, "500000.00")
    done = {"fields": {"funder": second}, "data": {"rate": "0.0375"}}

    with shows("V7", "K9", "The ticket has its face; it is pledged whole to the bank that the holder names"):
        supplier.letter_event(letter, "pledge", fields={"funder": first}, receipts=[receipt("zhongdeng")])
        standing = platform.letter(letter)
        assert (standing.state, standing.balance, standing.fields["funder"]) == ("pledged", "500000.00", first)

    with shows("V7", "K9", "While it is pledged the holder cannot pledge it elsewhere; only the bank releases it"):
        with refuses("event-refused", "pledged"):
            supplier.letter_event(letter, "pledge", fields={"funder": second}, receipts=[receipt("zhongdeng")])
        with refuses("role-missing", "funder"):
            supplier.letter_event(letter, "release-pledge", receipts=[receipt("zhongdeng", "注销证明")])
        funder.letter_event(letter, "release-pledge", receipts=[receipt("zhongdeng", "注销证明")])

    with shows("V7", "K9", "What is pledged to one bank is financed by no other: neither anew, nor on the pledge"):
        pledged = issued(supplier, core_firm, "200000.00")
        supplier.letter_event(pledged, "pledge", fields={"funder": first}, receipts=[receipt("zhongdeng")])
        with refuses("event-refused", "pledged"):
            funder.letter_event(pledged, "finance", **done, receipts=[receipt("zhongdeng")])
        with refuses("field-refused", "funder"):
            funder.letter_event(pledged, "finance-pledged", **done, receipts=[receipt("zhongdeng")])
        rate = {"rate": "0.0375"}
        funder.letter_event(pledged, "finance-pledged", data=rate, receipts=[receipt("zhongdeng")])
        assert platform.letter(pledged).fields["funder"] == first

    with shows(
        "V7", "K9", "Then another bank finances it directly, without recourse to paper, and is the one on record"
    ):
        funder.letter_event(letter, "finance", **done, receipts=[receipt("zhongdeng")])
        assert platform.letter(letter).fields["funder"] == second
        assert story(platform, letter) == ["draft", "confirm", "pledge", "release-pledge", "finance"]
