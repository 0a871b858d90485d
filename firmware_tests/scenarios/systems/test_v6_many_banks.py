"""V6: many banks on one platform: parts go to several funders, and across banks nothing is financed twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from appliance.client import Client
from appliance.client.errors import Refused
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import day, digits, firm, receipt, refuses, yuan
from firmware_tests.scenarios.systems.vouchers import SUPPLIER, issued, parts, total

not_yet("V6", "K8", "a register of banks on several boxes comes with the fleet: a register is one box's")

BANKS = [firm(name) for name in ("中国建设银行", "招商银行", "浦发银行")]


def test_v6_several_funders(
    platform: Client,
    supplier: Client,
    second_tier: Client,
    core_firm: Client,
    funder: Client,
    bank: Client,
    second_bank: Client,
) -> None:
    letter = issued(supplier, core_firm, "900000.00")

    with shows("V6", "K9", "A voucher in three parts is financed by three banks, each part by one, at its own rate"):
        shares = parts(*(("300000.00", SUPPLIER) for _ in BANKS))
        moved = supplier.letter_event(letter, "transfer", data=shares).parts
        for part, one, rate in zip(moved, BANKS, ("0.041", "0.039", "0.043"), strict=True):
            terms = {"fields": {"funder": one}, "data": {"rate": rate}}
            with refuses("party-missing", "funder"):  # each bank in its own name
                second_tier.letter_event(part, "finance", **terms, receipts=[receipt("zhongdeng")])
            funder.letter_event(part, "finance", **terms, receipts=[receipt("zhongdeng")])
        assert [platform.letter(part).fields["funder"] for part in moved] == BANKS
        assert str(total(platform, moved)) == "900000.00"
        assert platform.letter(letter).state == "passed-on"

    with shows("V6", "K9", "A financed part can neither be passed on nor financed by another bank until it is repaid"):
        with refuses("event-refused", "financed"):
            supplier.letter_event(moved[0], "transfer", data=parts(("1.00", SUPPLIER)))
        with refuses("event-refused", "financed"):
            funder.letter_event(
                moved[0], "finance", fields={"funder": BANKS[1]}, data={"rate": "0.03"}, receipts=[receipt("zhongdeng")]
            )
        with refuses("party-missing", "party-ID with the id of funder"):  # by its own bank, and no other funder
            second_tier.letter_event(moved[0], "repay", receipts=[receipt("zhongdeng", "注销证明")])
        funder.letter_event(moved[0], "repay", receipts=[receipt("zhongdeng", "注销证明")])
        assert platform.letter(moved[0]).state == "held"

    with shows(
        "V6", "K8", "Two banks of one box race for a receivable in their shared register: exactly one of them gets it"
    ):
        claim = {
            "invoice_code": digits(12),
            "invoice_number": digits(8),
            "creditor": SUPPLIER,
            "debtor": firm("中交第二航务工程局有限公司"),
            "amount": yuan("640000.00"),
            "registered_until": day(90),
        }

        def register(who: Client) -> str:
            try:
                return who.begin_letter("receivable", claim, receipts=[receipt("zhongdeng")]).state
            except Refused as error:
                return error.code

        with ThreadPoolExecutor(6) as pool:
            verdicts = sorted(pool.map(register, [bank, second_bank] * 3))
        assert verdicts == ["registered"] + ["taken"] * 5
