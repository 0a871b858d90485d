"""B10: limits in tiers: what needs nobody, who signs above it, what falls back; alerts by indicator and industry."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, refuses, story
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force

not_yet(
    "B10",
    "K12",
    "limits on counts, circuit breaker, early warnings and concentration by industry are not in the API yet",
)


def test_b10_tiers_and_alerts(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)

    with shows(
        "B10", "K12 K11", "Up to five million a liability is accepted at once; a cent more waits for an approver"
    ):
        small = guarantor.begin_letter("guarantee-project", project(product, "5000000.00")).happened.letter
        large = guarantor.begin_letter("guarantee-project", project(product, "5000000.01")).happened.letter
        assert guarantor.letter_event(small, "accept").state == "in-force"
        with refuses("approval-missing", "issue"):
            guarantor.letter_event(large, "accept")
        assert office.event(guarantor, large, "accept", by=["li-ming"]).state == "in-force"

    with shows("B10", "K12", "An alert on an industry goes from yellow to red, and is disposed of at two levels"):
        alert = guarantor.begin_letter(
            "risk-alert",
            {
                "subject": firm("行业：C35 专用设备制造业"),
                "indicator": "单一行业在保集中度",
                "measured": "0.22",
                "limit": "0.20",
                "level": "yellow",
                "source": fresh("在保统计"),
            },
        ).happened.letter
        guarantor.letter_event(alert, "escalate", fields={"level": "red"})
        guarantor.letter_event(alert, "confirm")
        office.event(guarantor, alert, "dispose", by=["sun-li", "zhang-wei"], data={"measure": "暂停该行业新增备案"})
        assert story(guarantor, alert) == ["raise", "escalate", "confirm", "dispose"]
