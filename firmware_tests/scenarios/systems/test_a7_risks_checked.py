"""A7: what a risk officer would stop is stopped by the letter's own rules, before anything is sealed."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, digest, firm, fresh, moment, number, refuses, yuan
from firmware_tests.scenarios.systems.terms import limited

BIDDER = """format = "cinnabar-limits/1"

[[limits]]
counter = "bid-bond/bidder"
currency = "CNY"
tiers = [{ up_to = "2000000" }]
warn_at = ["80"]
"""


def test_a7_risks_are_found_by_themselves(guarantor: Client, office: Office, hall: ManagedBox) -> None:
    bidder = firm("岭南路桥有限公司")
    fields = {
        "tender_code": number("GD"),
        "project": "珠江新城隧道工程",
        "bidder": bidder,
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("800000.00"),
        "opening": moment(86_400),
        "valid_until": day(90),
    }
    guarantor.begin_letter("bid-bond", fields)

    with shows("A7", "K8", "A second guarantee for the same bidder and tender is found and refused"):
        with refuses("taken"):
            guarantor.begin_letter("bid-bond", fields | {"amount": yuan("900000.00")})

    with shows(
        "A7", "K6", "Wrong currencies, amounts, dates and hidden characters are refused, each by its field's name"
    ):
        bad = {
            "amount": {"amount": "800000.00", "currency": "XXX"},
            "valid_until": "2026-02-30",
            "project": "珠江新城\u202e隧道工程",
            "bidder": {"name": bidder["name"]},
        }
        for field, value in bad.items():
            with refuses("field-refused", f"/fields/{field}"):
                guarantor.begin_letter("bid-bond", fields | {"tender_code": number("GD"), field: value})

    with (
        limited(hall, "guarantor", BIDDER),
        shows("A7", "K12", "A bidder's outstanding bonds are warned of near a limit, and refused above it"),
    ):
        more = fields | {"tender_code": number("GD")}
        assert [one.threshold for one in guarantor.begin_letter("bid-bond", more).warnings] == [8_000]
        with refuses("letter-limit-exceeded", "2400000.00 CNY would be above the limit of 2000000.00 CNY"):
            guarantor.begin_letter("bid-bond", fields | {"tender_code": number("GD")})

    with shows("A7", "K12", "What is sealed is counted against the institution's day"):
        before = guarantor.quota().signatures.used
        guarantor.begin_letter("bid-bond", fields | {"tender_code": number("GD")})
        assert guarantor.quota().signatures.used > before

    with shows("A7", "K12 K11", "An alert is confirmed, then disposed of with two signatures in their order, not one"):
        alert = guarantor.begin_letter(
            "risk-alert",
            {
                "subject": bidder,
                "indicator": "单一投标人在保余额占净资产比例",
                "measured": "0.173",
                "limit": "0.15",
                "level": "orange",
                "source": fresh("指标数据"),
            },
        ).happened.letter
        guarantor.letter_event(alert, "confirm")
        measure = {"measure": "暂停新增出函，追加反担保 " + digest("方案")[:8]}
        with refuses("approval-missing"):
            office.event(guarantor, alert, "dispose", by=["sun-li"], data=measure)
        with refuses("approval-missing"):
            office.event(guarantor, alert, "dispose", by=["zhang-wei", "sun-li"], data=measure)
        assert office.event(guarantor, alert, "dispose", by=["sun-li", "zhang-wei"], data=measure).state == "disposed"
