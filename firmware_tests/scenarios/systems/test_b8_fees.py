"""B8: fees are billed from what was metered, special ones are approved, invoices are reviewed, accounts come out."""

from __future__ import annotations

from appliance.client import Client
from appliance.client.fee_check import check_month
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, digits, firm, number, receipt, refuses, yuan
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force
from firmware_tests.scenarios.systems.terms import kinds_at_hand, put_in_force

TARIFF = """format = "cinnabar-tariff/1"
title = "再担保费"
currency = "CNY"
rounding = "half-up"

[[fees]]
title = "再担保费"
kind = "guarantee-project"
event = "accept"
rates = [{ up_to = "2000000", per_mille = "2" }, { per_mille = "1.5" }]
least = "100"
most = "20000"
"""


def test_b8_bills_payments_and_invoices(guarantor: Client, office: Office, hall: ManagedBox) -> None:
    product = terms_in_force(guarantor, office)
    institution, reguarantor = firm("江门市融资担保有限公司"), firm("广东省融资再担保有限公司")
    put_in_force(hall, "guarantor", TARIFF)

    def accepted(liability: str) -> None:
        filed = guarantor.begin_letter("guarantee-project", project(product, liability, institution=institution))
        guarantor.letter_event(filed.happened.letter, "accept")

    with shows("B8", "K12", "What is accepted is metered for the institution, with its fee by the tariff's rates"):
        for liability in ("1234567.89", "3000000.00", "1.00"):
            accepted(liability)
        usage = guarantor.usage()
        (line,) = [one for one in usage.lines if institution["id"] in one.whom and one.event == "accept"]
        assert (line.count, line.amount, line.fee, line.billed) == (3, "4234568.89", "7069.14", 0)

    with shows(
        "B8",
        "K12",
        "The month's bill is closed as a sealed letter, each line once; what comes later is another line",
    ):
        closed = guarantor.close_bill(usage.month, number("ZD"), institution, payee=reguarantor, party=line.party)
        made = guarantor.letter(closed.happened.letter).fields
        assert (made["amount"]["amount"], made["metered"], made["lines"][0]["units"]) == ("7069.14", 3, 3)
        assert (made["payer"], made["payee"]) == (institution, reguarantor)
        with refuses("event-refused", "nothing of"):
            guarantor.close_bill(usage.month, number("ZD"), institution, payee=reguarantor, party=line.party)
        accepted("500000.00")
        second = guarantor.close_bill(usage.month, number("ZD"), institution, payee=reguarantor, party=line.party)
        later = guarantor.letter(second.happened.letter).fields
        assert (later["amount"]["amount"], later["metered"]) == ("1000.00", 1)
        assert guarantor.letter(closed.happened.letter).fields == made

    with shows("B8", "K12", "Anybody with the records reckons the bills again from the sealed events, and they agree"):
        found = check_month(guarantor, usage.month, kinds_at_hand())
        assert (found.wrong, found.lines >= 1, found.events >= 4) == ([], True, True)
        others = {digest: kind for digest, kind in kinds_at_hand().items() if kind.id != "guarantee-project"}
        apart = check_month(guarantor, usage.month, others)
        assert apart.wrong == [], "a bill of a kind that is not at hand is not wrong: nobody has looked"
        kept = [(key.kind, sums.events) for key, sums in apart.not_checked if institution["id"] in key.party]
        assert kept == [("guarantee-project", 4)]

    payer = firm("佛山市融资担保有限公司")
    bill = {
        "number": number("ZD"),
        "payer": payer,
        "payee": reguarantor,
        "period": f"{day()[:7]} 再担保费",
        "metered": 128,
        "amount": yuan("86400.00"),
        "special": False,
    }
    letter = guarantor.begin_letter("fee-bill", bill).happened.letter

    with shows("B8", "K12", "A period is billed once to a payer, from the units that were metered"):
        with refuses("taken"):
            guarantor.begin_letter("fee-bill", bill | {"number": number("ZD")})
        assert guarantor.letter(letter).fields["metered"] == 128

    with shows("B8", "K11", "A large special fee leaves only with an approval, a waiver only with two"):
        special = bill | {"number": number("ZD"), "amount": yuan("180000.00"), "special": True}
        extra = guarantor.begin_letter("fee-bill", special).happened.letter
        with refuses("approval-missing"):
            guarantor.letter_event(extra, "send")
        office.event(guarantor, extra, "send", by=["li-ming"])
        with refuses("approval-missing"):
            office.event(guarantor, extra, "waive", by=["li-ming"])
        assert office.event(guarantor, extra, "waive", by=["li-ming", "zhang-wei"]).state == "waived"

    with shows("B8", "K8", "What is paid is counted off, and more than is due is refused"):
        guarantor.letter_event(letter, "send")
        guarantor.letter_event(letter, "pay", data={"paid": yuan("80000.00"), "reference": number("LSH")})
        with refuses("field-refused", "only 6400.00 CNY is left"):
            guarantor.letter_event(letter, "pay", data={"paid": yuan("6400.01"), "reference": number("LSH")})

    with shows(
        "B8",
        "K20",
        "A payment of the bill is released only while the bill is due, to its payee alone, once for its purpose; "
        "the account ends at zero",
    ):
        instruction = {
            "number": number("FK"),
            "payer": payer,
            "payee": reguarantor,
            "account": "44050158000012",
            "amount": yuan("6400.00"),
            "pay_on": day(),
            "basis": letter,
            "purpose": "再担保费尾款",
        }

        def prepared(**other: object) -> str:
            fields = instruction | {"number": number("FK")} | other
            return guarantor.begin_letter("payment-instruction", fields).happened.letter

        unsent = guarantor.begin_letter(
            "fee-bill", bill | {"number": number("ZD"), "period": "补充账单"}
        ).happened.letter
        early = prepared(basis=unsent)
        with refuses("condition-not-met", "raised"):
            guarantor.letter_event(early, "release")
        astray = prepared(payee=firm("广州某咨询有限公司"))
        with refuses("condition-not-met", "/fields/payee/id"):
            guarantor.letter_event(astray, "release")
        payment, late = prepared(), prepared(purpose="重复付款")
        with refuses("taken"):
            guarantor.begin_letter("payment-instruction", instruction | {"number": number("FK")})
        guarantor.letter_event(payment, "release")
        guarantor.letter_event(payment, "execute", data={"reference": number("LSH")})
        guarantor.letter_event(letter, "pay", data={"paid": yuan("6400.00"), "reference": number("LSH")})
        assert (guarantor.letter(letter).state, guarantor.letter(letter).balance) == ("settled", "0.00")
        with refuses("condition-not-met", "settled"):
            guarantor.letter_event(late, "release")

    with shows(
        "B8",
        "K11 K8",
        "An invoice is registered with a receipt of the tax office attached, once, and reviewed at two levels",
    ):
        invoice = {
            "invoice_code": digits(12),
            "invoice_number": digits(8),
            "seller": reguarantor,
            "buyer": payer,
            "amount": yuan("86400.00"),
            "issued_on": day(),
        }
        with refuses("field-refused", "tax-office"):
            guarantor.begin_letter("invoice", invoice)
        registered = guarantor.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])
        with refuses("taken"):
            guarantor.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])
        with refuses("approval-missing"):
            office.event(guarantor, registered.happened.letter, "review", by=["li-ming"])
        reviewed = office.event(guarantor, registered.happened.letter, "review", by=["li-ming", "zhang-wei"])
        assert reviewed.state == "reviewed"
