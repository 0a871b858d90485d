"""B8: fees are billed from what was metered, special ones are approved, invoices are reviewed, accounts come out."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, digits, firm, number, receipt, refuses, yuan

not_yet(
    "B8", "K12", "bills that the box makes from its own metering are not in the API yet; a billing program raises them"
)


def test_b8_bills_payments_and_invoices(guarantor: Client, office: Office) -> None:
    payer, reguarantor = firm("佛山市融资担保有限公司"), firm("广东省融资再担保有限公司")
    bill = {
        "number": number("ZD"),
        "payer": payer,
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

    with shows("B8", "K8", "What is paid is counted off; more than is due is refused; the account ends at zero"):
        guarantor.letter_event(letter, "send")
        guarantor.letter_event(letter, "pay", data={"paid": yuan("80000.00"), "reference": number("LSH")})
        with refuses("field-refused", "only 6400.00 CNY is left"):
            guarantor.letter_event(letter, "pay", data={"paid": yuan("6400.01"), "reference": number("LSH")})

    with shows("B8", "K20", "A payment of the bill is released only while the bill is due, and once for its purpose"):
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
        payment = guarantor.begin_letter("payment-instruction", instruction).happened.letter
        with refuses("taken"):
            guarantor.begin_letter("payment-instruction", instruction | {"number": number("FK")})
        guarantor.letter_event(payment, "release")
        guarantor.letter_event(payment, "execute", data={"reference": number("LSH")})
        guarantor.letter_event(letter, "pay", data={"paid": yuan("6400.00"), "reference": number("LSH")})
        assert (guarantor.letter(letter).state, guarantor.letter(letter).balance) == ("settled", "0.00")

    with shows(
        "B8", "K11 K8", "An invoice is registered with the tax office's answer, once, and reviewed at two levels"
    ):
        invoice = {
            "invoice_code": digits(12),
            "invoice_number": digits(8),
            "seller": reguarantor,
            "buyer": payer,
            "amount": yuan("86400.00"),
            "issued_on": day(),
        }
        registered = guarantor.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])
        with refuses("taken"):
            guarantor.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])
        with refuses("approval-missing"):
            office.event(guarantor, registered.happened.letter, "review", by=["li-ming"])
        reviewed = office.event(guarantor, registered.happened.letter, "review", by=["li-ming", "zhang-wei"])
        assert reviewed.state == "reviewed"
