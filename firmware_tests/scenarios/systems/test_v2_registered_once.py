"""V2: a receivable is registered in a register that several banks share, looked up, taken off, never pledged twice."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from appliance.client import Client
from firmware_tests.filing.authority import Authority
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    digits,
    firm,
    happened,
    receipt,
    refuses,
    taken_in,
    wait_until,
    written,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import issued


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
    bank: Client, second_bank: Client, supplier: Client, core_firm: Client, funder: Client, tmp_path: Path
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

    header = ("发票代码", "发票号码", "债权人", "债权人编号", "债务人", "债务人编号", "金额", "币种", "登记到期日")
    receipts = ("zhongdeng 编号", "zhongdeng 回执")
    given = [registration(receivable()), registration(claim), registration(receivable() | {"invoice_code": "12345"})]
    places = {"币种": "fields.amount.currency"}

    with shows(
        "V2", "K10", "A file of receivables with their receipts: registered, taken by whomever, or wrong in a column"
    ):
        rows = written(tmp_path / "receivables.csv", (*header, *receipts), given)
        run, told = taken_in(bank, rows, "receivable", mapping=places)
        assert (run.accepted, run.refused) == (1, 2)
        assert [(one.verdict, one.code, one.column) for one in told[1:]] == [
            ("refused", "taken", None),
            ("refused", "field-refused", "发票代码"),
        ]
        sealed = happened(bank, told[0].letter or "")[0][1].receipts[0]
        assert (sealed.registry, sealed.number) == ("zhongdeng", given[0][-2])
        assert sealed.digest == digest(base64.b64decode(given[0][-1]))

    with shows("V2", "K10 K8", "A row without its receipt, or with one that was used, registers nothing"):
        bare, used = registration(receivable()), registration(receivable())
        bare[-2:], used[-2:] = ["", ""], given[0][-2:]
        rows = written(tmp_path / "more.xlsx", (*header, *receipts), [bare, used])
        run, told = taken_in(bank, rows, "receivable", mapping=places)
        assert (run.accepted, run.refused) == (0, 2)
        assert [(one.code, "zhongdeng" in (one.text or "")) for one in told] == [
            ("field-refused", True),
            ("taken", False),
        ]


def test_v2_the_box_registers_with_the_outside_register(
    platform: Client, bank: Client, fund: Authority, offline: Offline
) -> None:
    claim, refused = receivable(), receivable()
    fund.habits[:] = ["busy", "forged"]
    fund.faults[str(refused["invoice_number"])] = [{"line": 1, "message": "发票代码不存在"}]

    with shows("V2", "K10 K8", "Asked for, it is taken at once; the box registers it outside until the receipt comes"):
        letter = platform.begin_letter("receivable", claim, event="request").happened.letter
        with refuses("taken"):
            bank.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")])
        wait_until(lambda: platform.letter(letter).state == "registered")
        entered = happened(platform, letter)[-1][1]
        assert (entered.event, entered.actor.application) == ("enter", "@box")
        assert entered.receipts[0].registry == "zhongdeng"
        assert fund.came(str(claim["invoice_number"])) >= 3
        assert offline.passes(platform.evidence(letter))

    with shows(
        "V2", "K8", "What the register turns down is free for others again, with the register's signed reason kept"
    ):
        other = platform.begin_letter("receivable", refused, event="request").happened.letter
        wait_until(lambda: platform.letter(other).state == "turned-down")
        assert bank.begin_letter("receivable", refused, receipts=[receipt("zhongdeng")]).state == "registered"
        (kept,) = [text for name, text in platform.letter_events(other).events[-1].beside.items() if "receipt" in name]
        assert json.loads(base64.urlsafe_b64decode(kept.split(b".")[1] + b"=="))["status"] == "RETURNED"


def registration(claim: dict[str, Any]) -> list[str]:
    """A row of a file: the receivable, and what the register handed out for it."""
    creditor, debtor, amount = claim["creditor"], claim["debtor"], claim["amount"]
    proof = receipt("zhongdeng")
    return [
        claim["invoice_code"], claim["invoice_number"], creditor["name"], creditor["id"], debtor["name"], debtor["id"],
        amount["amount"], amount["currency"], claim["registered_until"],
        proof.number, base64.b64encode(proof.receipt).decode(),
    ]  # fmt: skip
