"""B4: what was collected once about an institution is reused by other systems, with its consent; it is there once."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.client import Client
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.desks import REGUARANTOR
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    again,
    day,
    digest,
    firm,
    fresh,
    moment,
    number,
    refusal,
    refuses,
)

not_yet("B4", "K4", "partners fetch what was collected by messages of their own; the box sends them none unasked")


def test_b4_collected_once_used_by_many(
    guarantor: Client, office: Office, offline: Offline, docks: dict[str, Partner]
) -> None:
    institution, reguarantor = firm("佛山市融资担保有限公司"), REGUARANTOR
    facts = {
        "subject": institution,
        "attestor": reguarantor,
        "valid_until": day(365),
        "legal_person": "何丽",
        "address": "佛山市禅城区季华五路",
        "owners": [{"name": "佛山市国资委", "share": "0.8"}, {"name": "何丽", "share": "0.2"}],
        "material": fresh("营业执照等材料"),
    }
    attested = office.begin(guarantor, "attestation", facts, by=["li-ming"]).happened.letter

    with shows("B4", "K8", "An institution stands in the register once: collecting it again is refused"):
        with refuses("taken"):
            office.begin(guarantor, "attestation", facts, by=["li-ming"])
        entry = {"institution": institution, "category": "guarantor", "scope": "再担保", "licence": fresh("证照")}
        guarantor.begin_letter("institution", entry)
        with refuses("taken"):
            guarantor.begin_letter("institution", entry)

    with shows("B4", "K13", "Another system reuses it only while the institution's own consent stands"):
        consent = guarantor.begin_letter(
            "consent",
            {
                "number": number("SQ"),
                "subject": institution,
                "recipient": reguarantor,
                "scope": [{"item": "工商登记"}, {"item": "股权结构"}],
                "purpose": "再担保业务准入",
                "valid_until": moment(86_400),
                "text_shown": digest("授权书文本"),
            },
            data={"device": "经办人 App 5.2"},
        ).happened.letter
        use = {"consent": consent, "user": reguarantor}
        guarantor.letter_event(attested, "reuse", data=use)
        guarantor.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            guarantor.letter_event(attested, "reuse", data=use)

    with shows(
        "B4", "K14", "A system gets the one fact that concerns it: the others stay hidden in the same sealed file"
    ):
        file = guarantor.evidence(attested, disclose=["legal_person"])
        assert offline.passes(file)
        assert "禅城区".encode() not in file

    with shows(
        "B4", "K4", "A partner's system fetches it in a message that its own key alone opens, within its profile"
    ):
        reguarantors = docks["reguarantor"]
        message = reguarantors.write({"call": "letter", "letter": attested})
        answer = reguarantors.post(message).content
        stranger = dataclasses.replace(reguarantors, party=docks["single-window"].party)
        with pytest.raises(AssertionError, match="oaep decoding error"):
            stranger.read(answer)
        assert reguarantors.read(answer)["body"]["state"] == guarantor.letter(attested).state
        assert refusal(reguarantors.ask({"call": "letter", "letter": consent})) == "not-found"

    with shows("B4", "K4", "A system that sends the same twice after a broken connection is answered as before"):
        key = again()
        first = guarantor.letter_event(attested, "revoke", data={"reason": "法定代表人变更"}, idempotency_key=key)
        second = guarantor.letter_event(attested, "revoke", data={"reason": "法定代表人变更"}, idempotency_key=key)
        assert second == first
