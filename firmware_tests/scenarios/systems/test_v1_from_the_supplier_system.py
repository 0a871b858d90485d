"""V1: out of the supplier system: an order is confirmed, a voucher issued, passed on, financed."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import (
    again,
    day,
    firm,
    happened,
    number,
    receipt,
    refusal,
    refuses,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import CORE_FIRM, SUPPLIER, parts, voucher


def test_v1_issued_circulated_financed(
    platform: Client, supplier: Client, core_firm: Client, funder: Client, guarantor: Client
) -> None:
    order = supplier.begin_letter(
        "purchase-order",
        {
            "number": number("DD"),
            "buyer": CORE_FIRM,
            "supplier": SUPPLIER,
            "amount": yuan("900000.00"),
            "pay_by": day(180),
            "items": [{"item": "液压支架", "quantity": "30", "price": yuan("30000.00")}],
        },
    ).happened.letter

    with shows(
        "V1",
        "K15",
        "Each party's program has its own certificate and role: a supplier cannot confirm for the core firm",
    ):
        with refuses("role-missing", "core-firm"):
            supplier.letter_event(order, "confirm")
        assert core_firm.letter_event(order, "confirm").state == "confirmed"

    fields = voucher(trade=happened(platform, order)[-1][1].digest())
    with shows(
        "V1", "K9", "A voucher is drafted on the order and issued by the core firm; the same trade gives no second one"
    ):
        letter = supplier.begin_letter("credit-voucher", fields).happened.letter
        with refuses("role-missing", "debtor"):
            supplier.letter_event(letter, "confirm")
        core_firm.letter_event(letter, "confirm")
        with refuses("taken"):
            supplier.begin_letter("credit-voucher", fields | {"number": number("PZ")})

    steel, paint = firm("马鞍山钢材贸易有限公司"), firm("常州涂料有限公司")
    with shows(
        "V1", "K9", "It circulates: parts go to the next tier, more than there is cannot, the sum stays the same"
    ):
        with refuses("field-refused", "only 900000.00 CNY is left"):
            supplier.letter_event(letter, "transfer", data=parts(("900000.01", steel)))
        moved = supplier.letter_event(letter, "transfer", data=parts(("500000.00", steel), ("100000.00", paint)))
        assert platform.letter(letter).balance == "300000.00"
        assert [platform.letter(part).fields["holder"] for part in moved.parts] == [steel, paint]

    bank = {"name": "中信银行南京分行", "id": "91320000MA1BANKXX"}
    with shows(
        "V1", "K9", "A part is financed by a bank with the outside register's receipt; a second financing is refused"
    ):
        done = {"fields": {"funder": bank}, "data": {"rate": "0.042"}}
        with refuses("field-refused", "zhongdeng"):
            funder.letter_event(moved.parts[0], "finance", **done)
        funder.letter_event(moved.parts[0], "finance", **done, receipts=[receipt("zhongdeng")])
        with refuses("event-refused", "financed"):
            funder.letter_event(moved.parts[0], "finance", **done, receipts=[receipt("zhongdeng")])

    with shows(
        "V1", "K4", "A request that the supplier system sends again is answered again; other institutions see nothing"
    ):
        key = again()
        first = supplier.begin_letter("credit-voucher", voucher(), idempotency_key=key)
        with refuses("idempotency-conflict"):
            supplier.begin_letter("credit-voucher", voucher(), idempotency_key=key)
        with refuses("not-found"):
            guarantor.letter(first.happened.letter)


def test_v1_the_supplier_system_pushes_orders(platform: Client, core_firm: Client, docks: dict[str, Partner]) -> None:
    srm = docks["srm"]
    order = {
        "number": number("DD"),
        "buyer": CORE_FIRM,
        "supplier": SUPPLIER,
        "amount": yuan("120000.00"),
        "pay_by": day(180),
        "items": [{"item": "液压支架", "quantity": "4", "price": yuan("30000.00")}],
    }
    with shows("V1", "K4", "The supplier system pushes its orders as signed and encrypted messages, each once"):
        message = srm.write({"call": "begin", "request": {"kind": "purchase-order", "fields": order}})
        answer = srm.post(message).content
        letter = srm.read(answer)["body"]["happened"]["letter"]
        assert srm.post(message).content == answer
        assert platform.letter(letter).number == 1

    with shows("V1", "K4", "Its messages do what its role may: it cannot confirm for the core firm"):
        confirm = {"call": "event", "letter": letter, "request": {"event": "confirm"}}
        assert refusal(srm.ask(confirm)) == "role-missing"
        core_firm.letter_event(letter, "confirm")
        assert srm.ask({"call": "letter", "letter": letter})["body"]["state"] == "confirmed"
