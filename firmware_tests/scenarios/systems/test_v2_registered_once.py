"""V2: a receivable is registered in a register that several banks share, looked up, taken off, never pledged twice."""

from __future__ import annotations

from typing import Any

from appliance.client import Client
from appliance.client.errors import Refused
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import day, digits, firm, happened, receipt, refuses, yuan
from firmware_tests.scenarios.systems.vouchers import issued

not_yet(
    "V2",
    "K10",
    "a receivable begins with the register's receipt, which is handed in; adapters file letters that stand already",
)


def receivable() -> dict[str, Any]:
    return {
        "invoice_code": digits(12),
        "invoice_number": digits(8),
        "creditor": firm("中铁物贸供应商有限公司"),
        "debtor": firm("中铁一局集团有限公司"),
        "amount": yuan("1280000.00"),
        "registered_until": day(180),
    }


def test_v2_no_receivable_is_pledged_twice(
    bank: Client, second_bank: Client, supplier: Client, core_firm: Client, funder: Client
) -> None:
    claim = receivable()

    with shows("V2", "K8", "Registering needs the outside register's receipt, which is sealed with the event"):
        with refuses("field-refused", "zhongdeng"):
            bank.begin_letter("receivable", claim)
        letter = bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")]).happened.letter
        assert happened(bank, letter)[0][1].receipts[0].registry == "zhongdeng"

    with shows(
        "V2", "K8", "Another bank's registration is refused at once; it learns that it is taken and nothing else"
    ):
        with refuses("taken") as told:
            second_bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")])
        with refuses("not-found"):
            second_bank.letter(letter)
        assert claim["invoice_number"] not in told.detail

    with shows("V2", "K8", "It is looked up in real time, with what is hidden for its own institution alone"):
        standing = bank.letter(letter)
        assert (standing.state, standing.hidden["amount"]) == ("registered", yuan("1280000.00"))
        assert b"1280000" not in bank.letter_events(letter).events[0].event

    with shows("V2", "K8", "Cancelled with the register's second receipt, it is free for the other bank"):
        bank.letter_event(letter, "remove", receipts=[receipt("zhongdeng", "注销证明")])
        other = second_bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")])
        assert other.state == "registered"

    with shows(
        "V2", "K8 K9", "A voucher is financed and repaid with the register's receipts; both travel in its events"
    ):
        voucher = issued(supplier, core_firm)
        financed = {"fields": {"funder": firm("中国建设银行")}, "data": {"rate": "0.04"}}
        funder.letter_event(voucher, "finance", **financed, receipts=[receipt("zhongdeng")])
        with refuses("field-refused", "zhongdeng"):
            funder.letter_event(voucher, "repay")
        funder.letter_event(voucher, "repay", receipts=[receipt("zhongdeng", "注销证明")])
        kept = [event.receipts[0].registry for _, event in happened(funder, voucher) if event.receipts]
        assert kept == ["zhongdeng", "zhongdeng"]

    with shows(
        "V2", "K10", "A batch of rows gets a verdict each: registered, taken by whomever, or wrong in a named field"
    ):
        rows = [receivable(), claim, receivable() | {"invoice_code": "12345"}]
        verdicts = []
        for row in rows:
            try:
                verdicts.append(bank.begin_letter("receivable", row, receipts=[receipt("zhongdeng")]).state)
            except Refused as error:
                verdicts.append(error.code)
        assert verdicts == ["registered", "taken", "field-refused"]
