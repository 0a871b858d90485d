"""C7: bank and customs verify one shipment's documents together; it is financed once, whichever bank asks."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digits,
    dollars,
    firm,
    fresh,
    number,
    receipt,
    refuses,
    story,
)


def test_c7_verified_jointly_used_once(
    bank: Client, second_bank: Client, branch: Client, office: Office, offline: Offline
) -> None:
    shipment = {
        "bill_of_lading": number("COSU").upper(),
        "declaration": digits(18),
        "invoice": fresh("商业发票"),
        "exporter": firm("汕头玩具实业有限公司"),
        "bank": firm("中国农业银行汕头分行"),
        "value_stated": dollars("128000.00"),
        "other_chain": "蚂蚁链 Trusple 20261122-001",
    }
    letter = bank.begin_letter("trade-documents", shipment).happened.letter

    with shows("C7", "K8", "The shipment stands in the shared register: another bank that is shown it is refused"):
        with refuses("taken"):
            second_bank.begin_letter("trade-documents", shipment)
        with refuses("taken"):
            second_bank.begin_letter("trade-documents", shipment | {"bill_of_lading": number("COSU").upper()})

    with shows("C7", "K11", "The bank's check is signed by its approver; customs adds its own receipt, in this order"):
        with refuses("event-refused", "presented"):
            bank.letter_event(letter, "verify", receipts=[receipt("customs", "放行信息")])
        with refuses("approval-missing"):
            bank.letter_event(letter, "check")
        with refuses("party-missing", "bank"):  # another branch's program: the set was presented to this one
            branch.draft_event(letter, "check")
        office.event(bank, letter, "check", by=["li-ming"])
        assert bank.letter_event(letter, "verify", receipts=[receipt("customs", "放行信息")]).state == "verified"

    with shows("C7", "K8", "It is used for one financing and never again, in any bank"):
        for event, data in (("use", {"financing": number("RZ")}), ("release", {})):
            with refuses("party-missing", "bank"):
                branch.letter_event(letter, event, data=data)
        bank.letter_event(letter, "use", data={"financing": number("RZ")})
        with refuses("event-refused", "used"):
            bank.letter_event(letter, "use", data={"financing": number("RZ")})
        with refuses("taken"):
            second_bank.begin_letter("trade-documents", shipment)

    with shows(
        "C7", "K8", "The claim behind it is registered with Zhongdeng's receipt; the other bank cannot register it"
    ):
        claim = {
            "invoice_code": digits(12),
            "invoice_number": digits(8),
            "creditor": shipment["exporter"],
            "debtor": firm("Hamburg Spielwaren GmbH"),
            "amount": dollars("128000.00"),
            "registered_until": day(120),
        }
        bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")])
        with refuses("taken"):
            second_bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")])

    with shows(
        "C7", "K7", "Whoever is shown the file verifies the joint check offline, with the customs' receipt in it"
    ):
        assert story(bank, letter) == ["present", "check", "verify", "use"]
        assert offline.passes(bank.evidence(letter))
