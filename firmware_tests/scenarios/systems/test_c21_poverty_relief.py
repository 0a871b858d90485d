"""C21: the administration's approval and the bank's payment are two letters, and the second stands on the first."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, happened, number, refuses, story, yuan
from firmware_tests.scenarios.systems.public_funds import LEVELS, allocation, contract, instruction


def test_c21_approval_joined_to_payment(platform: Client, office: Office) -> None:
    village = firm("贵州省台江县红阳村合作社")
    agreed = contract(platform, village)
    funds = platform.begin_letter(
        "fund-allocation", allocation(village, agreed, "10000.00", fund="中央财政衔接推进乡村振兴补助资金")
    ).happened.letter
    payment = instruction(platform, funds, village, "10000.00", "食用菌大棚补助")

    with shows("C21", "K20", "Before the administration has approved, the payment does not leave, whoever asks"):
        with refuses("condition-not-met", "applied"):
            platform.letter_event(payment, "release")

    with shows(
        "C21", "K11", "Three levels sign in turn; a level that is missing, or a stranger's signature, does not count"
    ):
        with refuses("approval-missing"):
            office.event(platform, funds, "approve", by=["zhou-qiang", "zheng-kai"])
        with refuses("approval-missing"):
            office.event(platform, funds, "approve", by=["zhou-qiang", "wu-min", "li-ming"])
        office.event(platform, funds, "approve", by=LEVELS)

    with shows(
        "C21", "K20 K6", "Then it leaves on the very approval that the box saw, and the allocation is paid out to zero"
    ):
        platform.letter_event(payment, "release")
        reference = happened(platform, payment)[-1][1].references[0]
        assert (reference.letter, reference.state) == (funds, "approved")
        assert reference.head == platform.letter(funds).head
        platform.letter_event(payment, "execute", data={"reference": number("LSH")})
        platform.letter_event(funds, "pay-out", data={"paid": yuan("10000.00"), "payment": payment})
        assert story(platform, funds) == ["apply", "approve", "pay-out"]
        assert (platform.letter(funds).state, platform.letter(funds).balance) == ("paid", "0.00")
