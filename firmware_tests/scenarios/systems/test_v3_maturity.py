"""V3: on the due date, not before, each last holder's payment is released and the voucher redeemed by itself."""

from __future__ import annotations

from typing import Any

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import day, firm, happened, number, refuses, wait_until, yuan
from firmware_tests.scenarios.systems.vouchers import CORE_FIRM, SUPPLIER, issued, parts

not_yet(
    "V3", "K20", "the payment itself, and the note of it on the voucher, are the bank's and the platform's to bring"
)


def test_v3_clearing_at_maturity(platform: Client, supplier: Client, second_tier: Client, core_firm: Client) -> None:
    with shows("V3", "K9", "A voucher's term is at most a year after it was drafted, by the calendar"):
        with refuses("field-refused", "/fields/due: it is at most P1Y after begun"):
            issued(supplier, core_firm, due=day(367))
        assert platform.letter(issued(supplier, core_firm, due=day(365))).state == "held"

    later = issued(supplier, core_firm, due=day(1))
    with shows("V3", "K9", "The day before it is due nothing is redeemed, whoever asks"):
        with refuses("event-refused", "/fields/due"):
            core_firm.letter_event(later, "redeem", data={"payment": number("LSH")})

    due = issued(supplier, core_firm, "600000.00", due=day())
    holders = [firm("徐州铸件有限公司"), firm("无锡轴承有限公司")]
    shares = parts(("250000.00", holders[0]), ("150000.00", holders[1]))
    letters = [due, *supplier.letter_event(due, "transfer", data=shares).parts]

    def instruction(letter: str, pay_on: str, **changed: Any) -> str:
        standing = platform.letter(letter)
        fields = {
            "number": number("FK"),
            "payer": CORE_FIRM,
            "payee": standing.fields["holder"],
            "account": "32050158000011",
            "amount": yuan(str(standing.balance)),
            "pay_on": pay_on,
            "basis": letter,
            "purpose": "到期兑付",
        }
        return platform.begin_letter("payment-instruction", fields | changed).happened.letter

    with shows("V3", "K20", "A payment is not released before its day, nor twice for one voucher and holder"):
        early = instruction(later, day(1))
        with refuses("event-refused", "/fields/pay_on"):
            platform.letter_event(early, "release")
        with refuses("taken"):
            instruction(later, day(1))

    with shows("V3", "K20", "A payment of more than the voucher, or to another than its holder, is never released"):
        for changed in ({"amount": yuan("200000.01")}, {"payee": firm("冒名公司")}):
            wrong = instruction(due, day(), **changed)
            with refuses("condition-not-met"):
                platform.letter_event(wrong, "release")
            platform.letter_event(wrong, "cancel", data={"reason": "与凭证不符"})

    with shows(
        "V3", "K9 K20", "On the due date every last holder is paid its part, up to the tier's amount without a hand"
    ):
        small = issued(supplier, core_firm, "9000.00", due=day())
        payment = instruction(small, day())
        platform.letter_event(payment, "release")
        platform.letter_event(payment, "execute", data={"reference": number("LSH")})
        with refuses("party-missing", "party-ID with the id of debtor"):  # nobody says that another firm has paid
            second_tier.letter_event(small, "redeem", data={"payment": number("LSH")})
        redeemed = platform.letter_event(small, "redeem", data={"payment": number("LSH")})
        assert redeemed.state == "redeemed"

    with shows("V3", "K20 K9", "On the due date, not before, the box itself releases the payment to whoever holds it"):

        def clearing(letter: str, pay_on: str) -> str:
            standing = platform.letter(letter)
            fields = {
                "number": number("QF"),
                "payer": CORE_FIRM,
                "payee": standing.fields["holder"],
                "amount": yuan(str(standing.balance)),
                "pay_on": pay_on,
                "voucher": letter,
            }
            return platform.begin_letter("maturity-clearing", fields).happened.letter

        with refuses("condition-not-met", "/fields/pay_on: it is not at least due"):
            clearing(later, day())
        waits = clearing(later, day(1))
        ripe = [clearing(letter, day()) for letter in letters]
        for one in ripe:
            wait_until(lambda one=one: platform.letter(one).state == "released")
            release = happened(platform, one)[-1][1]
            assert (release.event, release.actor.application) == ("release", "@box")
            platform.letter_event(one, "execute", data={"reference": number("LSH")})
        assert platform.letter(waits).state == "prepared"
        assert waits in {one.letter for one in platform.letters(due_before=f"{day(1)}T00:00:00+08:00").letters}

    with shows(
        "V3", "K9", "All parts of a voucher are redeemed; together they are worth what was issued, then nothing"
    ):
        paid = {platform.letter(letter).fields["holder"]["name"]: platform.letter(letter).balance for letter in letters}
        assert paid == {SUPPLIER["name"]: "200000.00", holders[0]["name"]: "250000.00", holders[1]["name"]: "150000.00"}
        for letter in letters:
            platform.letter_event(letter, "redeem", data={"payment": number("LSH")})
        assert {platform.letter(letter).balance for letter in letters} == {"0.00"}
