"""B1: a guarantee institution from onboarding to de-registration; every change of what it may do is approved."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from cryptography import x509

from appliance.ceremonies.actions import RevokeCertificate
from appliance.client import Client
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.members import Member
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, happened, refuses, story, wait_until, yuan
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force


def test_b1_from_onboarding_to_deregistration(
    guarantor: Client,
    office: Office,
    hall: ManagedBox,
    join: Callable[..., Member],
    anybody: httpx.Client,
) -> None:
    itself = firm("佛山市融资担保有限公司")
    institution = {
        "institution": itself,
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

    product = terms_in_force(guarantor, office)
    with shows("B1", "K15", "Admitted, its program fetches a certificate of its own by itself, and files with it"):
        member = join("guarantor", "foshan", "institution", itself["id"])
        filed = member.client.begin_letter("guarantee-project", project(product, institution=itself)).happened.letter
        assert happened(guarantor, filed)[0][1].actor.application == "foshan"
        with refuses("party-missing", "institution"):  # for another institution
            member.client.begin_letter("guarantee-project", project(product))

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

    with shows(
        "B1",
        "K15 K11",
        "Two officers approve that its certificate is revoked: refused at once, and anybody reads it in the CRL",
    ):
        gone = RevokeCertificate(tenant="guarantor", certificate=member.digest, reason="cessation-of-operation")
        hall.decide(gone)
        with refuses("unknown-caller"):
            member.client.begin_letter("guarantee-project", project(product, institution=itself))

        def revoked() -> x509.RevokedCertificate | None:
            current = x509.load_der_x509_crl(anybody.get("/crl/box-ca.crl").content)
            return current.get_revoked_certificate_by_serial_number(member.certificate.serial_number)

        wait_until(lambda: revoked() is not None)
        assert guarantor.letter(filed).state == "filed"  # what it filed stays

    with shows("B1", "K6", "Its whole course stays to be read, and the firm may be admitted anew afterwards"):
        told = ["apply", "admit", "change", "suspend", "resume", "deregister"]
        assert story(guarantor, letter) == told
        assert guarantor.begin_letter("institution", institution).state == "applied"
