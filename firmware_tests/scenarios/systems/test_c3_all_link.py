"""C3: a voucher over many tiers; at maturity the voucher itself is the ground on which the payment leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.desks import SECOND_TIER
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    firm,
    number,
    receipt,
    refuses,
    sealed_refusal,
    taken_in,
    written,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import CORE_FIRM, issued, parts, total, voucher

not_yet("C3", "K19", "a second box that takes over, and its latency budget, come with the fleet")


def test_c3_many_tiers_to_payment(
    platform: Client, supplier: Client, second_tier: Client, core_firm: Client, offline: Offline, tmp_path: Path
) -> None:
    letter = issued(supplier, core_firm, "100000.00", due=day())
    chain = [letter]

    with shows("C3", "K9", "Six tiers: each passes part of what it has to the next, and nothing is lost on the way"):
        for tier in range(2, 8):
            taker = SECOND_TIER if tier == 2 else firm(f"第{tier}级供应商")
            holder = second_tier if tier == 3 else supplier
            share = parts((f"{10_000 * (9 - tier)}.00", taker))
            chain += holder.letter_event(chain[-1], "transfer", data=share).parts
        assert str(total(platform, chain)) == "100000.00"
        assert platform.letter(chain[-1]).balance == "20000.00"

    with shows("C3", "K9 K15", "A supplier's own program passes on what that supplier holds, and no other firm's part"):
        pledge: dict[str, Any] = {"fields": {"funder": firm("某银行")}, "receipts": [receipt("zhongdeng")]}
        for other in (chain[0], chain[2]):
            with refuses("party-missing", "party-ID with the id of holder"):
                second_tier.letter_event(other, "transfer", data=parts(("1.00", SECOND_TIER)))
            with refuses("party-missing"):
                second_tier.letter_event(other, "pledge", **pledge)
        with refuses("party-missing", "with the id of debtor or holder"):  # nor asks for one in another's name
            second_tier.begin_letter("credit-voucher", voucher())
        drafted = second_tier.begin_letter("credit-voucher", voucher(holder=SECOND_TIER)).happened.letter
        others = supplier.begin_letter("credit-voucher", voucher()).happened.letter
        with refuses("party-missing"):
            second_tier.letter_event(others, "cancel")
        assert second_tier.letter_event(drafted, "cancel").state == "cancelled"

    def instruct(letter: str, amount: str, payee: dict[str, str]) -> str:
        fields = {
            "number": number("FK"),
            "payer": CORE_FIRM,
            "payee": payee,
            "account": "11014500009000",
            "amount": yuan(amount),
            "pay_on": day(),
            "basis": letter,
            "purpose": "福金到期兑付",
        }
        return platform.begin_letter("payment-instruction", fields).happened.letter

    with shows("C3", "K20", "A payment to another than the voucher's holder, or above what it is worth, never leaves"):
        standing = platform.letter(chain[2])
        for payee, amount, said in (
            (firm("冒名公司"), "10000.00", "/fields/payee/id"),
            (standing.fields["holder"], "10000.01", "/fields/amount"),
        ):
            wrong = instruct(chain[2], amount, payee)
            with refuses("condition-not-met", said) as told:
                platform.letter_event(wrong, "release")
            assert sealed_refusal(platform, offline, told).letter == wrong
            platform.letter_event(wrong, "cancel", data={"reason": "收款人或金额有误"})

    with shows(
        "C3", "K9 K20", "At maturity the voucher is the payment's ground: the instruction leaves, and it is redeemed"
    ):
        last = chain[3]
        payment = instruct(last, "10000.00", platform.letter(last).fields["holder"])
        assert platform.letter(last).balance == "10000.00"
        platform.letter_event(payment, "release")
        platform.letter_event(payment, "execute", data={"reference": number("LSH")})
        platform.letter_event(last, "redeem", data={"payment": number("LSH")})
        with refuses("event-refused", "redeemed"):
            platform.letter_event(last, "redeem", data={"payment": number("LSH")})

    with shows(
        "C3", "K1 K10", "Vouchers are confirmed in a batch: one file, a verdict for each, and each sealed by itself"
    ):
        drafted = [supplier.begin_letter("credit-voucher", voucher("1000.00")).happened.letter for _ in range(10)]
        file = written(tmp_path / "confirmed.csv", ["letter"], [[one] for one in [*drafted, last]])
        run, told = taken_in(core_firm, file, "credit-voucher", event="confirm")
        assert (run.accepted, run.refused) == (10, 1)
        assert [(one.letter, one.verdict) for one in told[:-1]] == [(one, "accepted") for one in drafted]
        assert {platform.letter(one).state for one in drafted} == {"held"}
        assert len({platform.letter_events(one).events[-1].seal for one in drafted}) == 10

    with shows("C3", "K16", "The part at the fourth tier verifies offline with all the transfers that led to it"):
        assert offline.passes(platform.evidence(last))
