"""C10: a project's money is looked through to the wages: approved, instructed, paid, each on the one before."""

from __future__ import annotations

from collections.abc import Callable

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import digest, firm, fresh, happened, number, refuses, yuan
from firmware_tests.scenarios.systems.public_funds import LEVELS, allocation, contract, paid


def test_c10_from_project_funds_to_wages(
    platform: Client, guarantor: Client, office: Office, overseers: Callable[..., Overseer]
) -> None:
    builder, worker = firm("中建八局雄安项目部"), {"name": "木工班组 赵铁柱", "id": "130632199001011234"}
    agreed = contract(platform, builder)
    funds = platform.begin_letter("fund-allocation", allocation(builder, agreed)).happened.letter

    with shows("C10", "K11", "Funds move only after all levels have signed in their order"):
        with refuses("approval-missing"):
            office.event(platform, funds, "approve", by=LEVELS[:2])
        assert office.event(platform, funds, "approve", by=LEVELS).state == "approved"

    with shows(
        "C10", "K20", "Wages are paid out of the allocation on a payment that the bank has executed, never beyond it"
    ):
        wages = paid(platform, funds, worker, "8600.00", "2026年11月工资")
        out = {"paid": yuan("8600.00"), "payment": wages}
        platform.letter_event(funds, "pay-out", data=out)
        assert platform.letter(funds).balance == "11400.00"

    with shows("C10", "K20 K8", "One executed payment backs one pay-out, of its own amount, of its own allocation"):
        with refuses("taken"):
            platform.letter_event(funds, "pay-out", data=out)
        next_wages = paid(platform, funds, worker, "5000.00", "2026年12月工资")
        with refuses("condition-not-met", "/data/paid: it is not the same as amount"):
            platform.letter_event(funds, "pay-out", data={"paid": yuan("5000.01"), "payment": next_wages})
        others = platform.begin_letter("fund-allocation", allocation(builder, agreed)).happened.letter
        office.event(platform, others, "approve", by=LEVELS)
        elsewhere = paid(platform, others, worker, "5000.00", "别的项目")
        with refuses("condition-not-met", "/letter: it is not the same as basis"):
            platform.letter_event(funds, "pay-out", data={"paid": yuan("5000.00"), "payment": elsewhere})

    with shows(
        "C10", "K18", "From the wage back to the contract: each event names the letter, and the head, it stood on"
    ):
        payout = next(event for _, event in happened(platform, funds) if event.event == "pay-out")
        assert payout.references[0].letter == wages
        release = next(event for _, event in happened(platform, wages) if event.event == "release")
        assert release.references[0].letter == funds
        approve = next(event for _, event in happened(platform, funds) if event.event == "approve")
        assert approve.references[0].letter == agreed

    with shows("C10", "K6", "Should wages fail all the same, the wage bond pays the workers on the authority's list"):
        bond = guarantor.begin_letter(
            "wage-bond",
            {
                "number": number("GZ"),
                "project": number("XM"),
                "builder": builder,
                "authority": firm("雄安新区公共服务局"),
                "amount": yuan("300000.00"),
                "valid_until": "2099-12-31",
            },
        ).happened.letter
        workers = [{"entry": digest(f"{worker['name']}{worker['id']}"), "wages": yuan("8600.00")}]
        guarantor.letter_event(bond, "claim", data={"notice": fresh("支付通知书"), "workers": workers})
        guarantor.letter_event(bond, "pay", data={"paid": yuan("8600.00")})
        assert guarantor.letter(bond).state == "short"

    with shows("C10", "K18", "The labour authority looks through by itself: from the wage paid to funds and contract"):
        authority = overseers("renshe", "platform", "guarantor")
        wage = authority.letter("platform", wages)
        assert wage["row"]["state"] == "executed"
        assert funds in {one["letter"] for one in wage["links"]}
        fund = authority.letter("platform", funds)
        assert {agreed, wages} <= {one["letter"] for one in fund["links"]}
        (approve,) = [one for one in fund["events"] if one["event"] == "approve"]
        assert [one["person"] for one in approve["approvals"]] == list(LEVELS)
        assert fund["row"]["balance"] == "11,400.00 CNY"

    with shows("C10", "K18", "The wage bond behind it stands at another institution, and she reads it there"):
        assert authority.letter("guarantor", bond)["row"]["state"] == "short"
        assert authority.status("letters/bank") == 404
        assert authority.sees_nothing_else("guarantor")
