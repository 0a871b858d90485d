"""C6: a freight invoice is checked with the tax office, reviewed, used for one payment, and never again."""

from __future__ import annotations

import base64

from appliance.client import Client
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    day,
    digits,
    dollars,
    firm,
    number,
    receipt,
    refusal,
    refuses,
    story,
)


def test_c6_an_invoice_is_used_once(
    platform: Client,
    supplier: Client,
    second_tier: Client,
    other_bank: Client,
    funder: Client,
    office: Office,
    docks: dict[str, Partner],
) -> None:
    carrier, shipper = firm("中远海运集运代理"), firm("厦门外贸进出口有限公司")
    paying = {"taken_by": firm("交通银行厦门分行")}
    invoice = {
        "invoice_code": digits(12),
        "invoice_number": digits(8),
        "seller": carrier,
        "buyer": shipper,
        "amount": dollars("8600.00"),
        "issued_on": day(),
    }

    with shows("C6", "K8", "It is registered online with a receipt of the tax office attached, not without, and once"):
        with refuses("field-refused", "tax-office"):
            supplier.begin_letter("invoice", invoice)
        checked = [receipt("tax-office", "查验结果")]
        letter = supplier.begin_letter("invoice", invoice, receipts=checked).happened.letter
        with refuses("taken"):
            funder.begin_letter("invoice", invoice, receipts=checked)
        with refuses("party-missing", "buyer"):  # a firm's own program applies for what that firm has to pay
            second_tier.begin_letter(
                "invoice", invoice | {"invoice_number": digits(8)}, receipts=[receipt("tax-office")]
            )

    with shows(
        "C6", "K4", "The single window registers invoices by signed messages; one that stands is refused there too"
    ):
        window = docks["single-window"]
        answer = {"registry": "tax-office", "number": number("CY"), "receipt": base64.b64encode(b"checked").decode()}
        asked = {"kind": "invoice", "fields": invoice, "receipts": [answer]}
        assert refusal(window.ask({"call": "begin", "request": asked})) == "taken"
        more = asked | {"fields": invoice | {"invoice_number": digits(8)}}
        pushed = window.ask({"call": "begin", "request": more})
        assert platform.letter(pushed["body"]["happened"]["letter"]).kind == "invoice"

    payment = {
        "number": number("FK"),
        "payer": shipper,
        "payee": carrier,
        "account": "FTN 3100 6600 1188",
        "amount": dollars("8600.00"),
        "pay_on": day(),
        "basis": letter,
        "purpose": "国际海运费",
    }
    with shows(
        "C6",
        "K20 K11",
        "The payment leaves only on an invoice that was reviewed twice over and taken for it, by the bank that pays",
    ):
        instruction = platform.begin_letter("payment-instruction", payment).happened.letter
        with refuses("condition-not-met", "registered"):
            office.event(platform, instruction, "release", by=["zhao-lei"])
        office.event(funder, letter, "review", by=["li-ming", "zhang-wei"])
        with refuses("party-missing", "taken_by"):
            other_bank.letter_event(letter, "take", fields=paying, data={"purpose": "海运费购付汇"})
        funder.letter_event(letter, "take", fields=paying, data={"purpose": "海运费购付汇"})
        office.event(platform, instruction, "release", by=["zhao-lei"])

    with shows(
        "C6",
        "K20 K8",
        "Paid, the invoice is used for ever: no second payment, no financing, and no window takes it anew",
    ):
        platform.letter_event(instruction, "execute", data={"reference": number("LSH")})
        for event, data in (("give-back", {"reason": "未付"}), ("use", {"reference": number("LSH")})):
            with refuses("party-missing", "taken_by"):
                other_bank.letter_event(letter, event, data=data)
        funder.letter_event(letter, "use", data={"reference": number("LSH")})
        with refuses("event-refused", "used"):
            funder.letter_event(letter, "take", fields=paying, data={"purpose": "融资"})
        with refuses("taken"):
            platform.begin_letter("payment-instruction", payment | {"number": number("FK")})
        assert refusal(window.ask({"call": "begin", "request": asked})) == "taken"
        assert story(platform, letter) == ["register", "review", "take", "use"]
