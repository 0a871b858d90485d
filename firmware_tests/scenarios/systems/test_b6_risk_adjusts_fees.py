"""B6: a confirmed risk alert, and nothing else, lets the fee rate be adjusted, by two approvals."""

from __future__ import annotations

from appliance.client import Client
from appliance.letters.event import read_event
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, happened, refuses
from firmware_tests.scenarios.systems.reguarantee import terms_in_force

not_yet("B6", "K12", "indicators that the box reckons from its own counts and raises by itself are not in the API yet")


def test_b6_risk_adjusts_the_fee_rate(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)
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
