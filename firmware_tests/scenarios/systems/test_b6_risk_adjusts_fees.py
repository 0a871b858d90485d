"""B6: a confirmed risk alert, and nothing else, lets the fee rate be adjusted, by two approvals."""

from __future__ import annotations

from appliance.client import Client
from appliance.letters.event import read_event
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, happened, refuses, yuan
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force
from firmware_tests.scenarios.systems.terms import let_go_on, limited

CLAIMS = """format = "cinnabar-limits/1"

[[breakers]]
name = "claims"
stops = ["fund-allocation"]
indicator = "ratio"
of = "guarantee-project/claimed"
over = "guarantee-project/accepted"
currency = "CNY"
above = "3"
floor = "1000000"
"""


def test_b6_risk_adjusts_the_fee_rate(guarantor: Client, office: Office, hall: ManagedBox) -> None:
    product = terms_in_force(guarantor, office)

    with limited(hall, "guarantor", CLAIMS):
        with shows("B6", "K12", "The box reckons claims over what was accepted from its own counts, and tells"):
            letter = guarantor.begin_letter("guarantee-project", project(product)).happened.letter
            guarantor.letter_event(letter, "accept")
            asked = {"overdue": yuan("90000000000.00"), "documents": fresh("代偿资料")}
            (told,) = guarantor.letter_event(letter, "claim", data=asked).warnings
            assert (told.what, told.subject, told.threshold) == ("issuing-stopped", "fund-allocation/claims", 300)
            assert told.used * 10_000 > told.threshold * told.most
            assert guarantor.warnings().warnings[0].subject == told.subject
        let_go_on(hall, "guarantor", "fund-allocation")

    alert = guarantor.begin_letter(
        "risk-alert",
        {
            "subject": firm("佛山市融资担保有限公司"),
            "indicator": "累计代偿率",
            "measured": "0.041",
            "limit": "0.03",
            "level": "yellow",
            "source": fresh("代偿统计"),
        },
    ).happened.letter
    adjust = {"fields": {"fee_rate": "0.0105"}, "data": {"alert": alert}}

    with shows("B6", "K20", "An alert that nobody confirmed adjusts nothing"):
        with refuses("condition-not-met", "raised"):
            office.event(guarantor, product, "adjust", by=["sun-li", "zhang-wei"], **adjust)

    with shows("B6", "K12 K11", "Once it is confirmed, risk and management sign in turn and the rate follows the risk"):
        guarantor.letter_event(alert, "confirm")
        with refuses("approval-missing"):
            office.event(guarantor, product, "adjust", by=["sun-li"], **adjust)
        adjusted = office.event(guarantor, product, "adjust", by=["sun-li", "zhang-wei"], **adjust)
        assert guarantor.letter(product).fields["fee_rate"] == "0.0105"
        assert read_event(adjusted.happened.event).references[0].letter == alert

    with shows("B6", "K6", "The old rate stays to be read beside the alert that ended it"):
        rates = [event.fields["fee_rate"] for _, event in happened(guarantor, product) if "fee_rate" in event.fields]
        assert rates == ["0.008", "0.0105"]

    with shows("B6", "K11", "The disposal of the alert needs both levels too"):
        measure = {"measure": "暂停新增业务，按月报送在保明细"}
        with refuses("approval-missing"):
            office.event(guarantor, alert, "dispose", by=["zhang-wei"], data=measure)
        assert office.event(guarantor, alert, "dispose", by=["sun-li", "zhang-wei"], data=measure).state == "disposed"
