"""B1: a guarantee institution from onboarding to de-registration; every change of what it may do is approved."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, refuses, story, yuan

not_yet(
    "B1", "K15", "de-registration does not revoke the institution's certificates by itself: an officer's ceremony does"
)


def test_b1_from_onboarding_to_deregistration(guarantor: Client, office: Office) -> None:
    institution = {
        "institution": firm("佛山市融资担保有限公司"),
        "category": "guarantor",
        "scope": "小微企业融资担保再担保业务",
        "limit": yuan("200000000.00"),
        "licence": fresh("经营许可证"),
        "contact": "何丽 0757-8331",
    }
    letter = guarantor.begin_letter("institution", institution).happened.letter

    with shows("B1", "K11", "Admission needs the approver and then her superior, in this order; one alone is refused"):
        assert guarantor.draft_event(letter, "admit").policies == ["issue", "senior"]
        with refuses("approval-missing"):
            office.event(guarantor, letter, "admit", by=["li-ming"])
        with refuses("approval-missing"):
            office.event(guarantor, letter, "admit", by=["zhang-wei", "li-ming"])
        assert office.event(guarantor, letter, "admit", by=["li-ming", "zhang-wei"]).state == "admitted"

    with shows("B1", "K8", "A credit code is admitted once: a second application of the same firm is refused"):
        with refuses("taken"):
            guarantor.begin_letter("institution", institution)

    with shows("B1", "K11", "A change of limit is approved; nobody changes it alone"):
        with refuses("approval-missing"):
            guarantor.letter_event(letter, "change", fields={"limit": yuan("500000000.00")})
        office.event(guarantor, letter, "change", by=["wang-fang"], fields={"limit": yuan("300000000.00")})
        assert guarantor.letter(letter).fields["limit"] == yuan("300000000.00")

    with shows("B1", "K15 K11", "Suspension acts at once by one word; resuming and de-registration are approved"):
        guarantor.letter_event(letter, "suspend", data={"reason": "资本金不足，监管约谈"})
        with refuses("approval-missing"):
            guarantor.letter_event(letter, "resume")
        office.event(guarantor, letter, "resume", by=["li-ming"])
        reason = {"reason": "主动退出再担保业务"}
        office.event(guarantor, letter, "deregister", by=["li-ming", "zhang-wei"], data=reason)
        assert guarantor.letter(letter).state == "deregistered"
        with refuses("event-refused", "deregistered"):
            office.event(guarantor, letter, "resume", by=["li-ming"])

    with shows("B1", "K6", "Its whole course stays to be read, and the firm may be admitted anew afterwards"):
        told = ["apply", "admit", "change", "suspend", "resume", "deregister"]
        assert story(guarantor, letter) == told
        assert guarantor.begin_letter("institution", institution).state == "applied"
