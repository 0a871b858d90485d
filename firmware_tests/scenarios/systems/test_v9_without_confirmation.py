"""V9: no core firm confirms: the supplier's data licence and an approver stand in its place; paid in digital yuan."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    day,
    digest,
    firm,
    happened,
    moment,
    number,
    receipt,
    refuses,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import CORE_FIRM, SUPPLIER, voucher

not_yet(
    "V9",
    "K20",
    "the payment's own rail (e-CNY) is the bank's; the box releases the instruction and keeps the reference",
)


def test_v9_issued_on_consented_data(platform: Client, supplier: Client, funder: Client, office: Office) -> None:
    licence = {
        "number": number("SQ"),
        "subject": SUPPLIER,
        "recipient": firm("昆仑银行"),
        "scope": [{"item": "采购订单"}, {"item": "结算记录"}],
        "purpose": "订单融资",
        "valid_until": moment(86_400),
        "text_shown": digest("数据授权许可"),
    }
    device = {"device": "供应商门户 10.2.8.19"}
    fields = voucher("200000.00")
    letter = supplier.begin_letter("credit-voucher", fields).happened.letter

    with shows("V9", "K13", "Without a data licence, or with one that was revoked, no voucher is issued"):
        with refuses("condition-not-met"):
            office.event(platform, letter, "issue-unconfirmed", by=["li-ming"], fields={"consent": "00" * 16})
        revoked = supplier.begin_letter("consent", licence, data=device).happened.letter
        supplier.letter_event(revoked, "revoke")
        with refuses("condition-not-met", "revoked"):
            office.event(platform, letter, "issue-unconfirmed", by=["li-ming"], fields={"consent": revoked})

    with shows("V9", "K9 K13", "With the licence and an approver it is issued; the core firm was never asked"):
        granted = supplier.begin_letter("consent", licence | {"number": number("SQ")}, data=device).happened.letter
        office.event(platform, letter, "issue-unconfirmed", by=["li-ming"], fields={"consent": granted})
        assert platform.letter(letter).state == "held"
        assert "core-desk" not in {event.actor.application for _, event in happened(platform, letter)}

    with shows("V9", "K13", "Each use of the data leaves a receipt: who asked what, and what came back, by digest"):
        use = {"question": digest("结算记录 2026-10"), "answer": digest("37 笔")}
        platform.letter_event(granted, "use", data=use)
        assert happened(platform, granted)[-1][1].data == use

    with shows(
        "V9", "K9 K20", "It is financed, and the payment is released while the voucher stands and not before its day"
    ):
        bank = firm("昆仑银行")
        funder.letter_event(
            letter, "finance", fields={"funder": bank}, data={"rate": "0.038"}, receipts=[receipt("zhongdeng")]
        )
        payment = platform.begin_letter(
            "payment-instruction",
            {
                "number": number("FK"),
                "payer": bank,
                "payee": SUPPLIER,
                "account": "0071 2200 数币钱包",
                "amount": yuan("9800.00"),
                "pay_on": day(),
                "basis": letter,
                "purpose": f"融资放款 {CORE_FIRM['name'][:4]}",
            },
        ).happened.letter
        platform.letter_event(payment, "release")
        assert platform.letter_event(payment, "execute", data={"reference": number("ECNY")}).state == "executed"
