"""C16: one bank's attestation of a firm is reused by another: consent, single facts, time, an end."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.desks import BEIJING_BANK
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    firm,
    fresh,
    happened,
    moment,
    number,
    refusal,
    refuses,
)

not_yet("C16", "K14", "proofs about a fact without showing it come with the privacy proofs")


def test_c16_attested_once_reused(
    platform: Client, supplier: Client, office: Office, offline: Offline, docks: dict[str, Partner]
) -> None:
    subject, other = firm("北京云计算技术有限公司"), BEIJING_BANK
    facts = {
        "subject": subject,
        "attestor": firm("中关村银行"),
        "valid_until": day(180),
        "legal_person": "韩雪梅",
        "address": "北京市海淀区知春路",
        "owners": [{"name": "韩雪梅", "share": "0.6"}, {"name": "云帆基金", "share": "0.4"}],
        "material": fresh("开户材料"),
    }

    with shows("C16", "K15 K11", "A firm's identity is attested once by a bank, under an approver's signature"):
        with refuses("approval-missing"):
            platform.begin_letter("attestation", facts)
        letter = office.begin(platform, "attestation", facts, by=["li-ming"]).happened.letter
        with refuses("taken"):
            office.begin(platform, "attestation", facts, by=["li-ming"])

    consent = supplier.begin_letter(
        "consent",
        {
            "number": number("SQ"),
            "subject": subject,
            "recipient": other,
            "scope": [{"item": "法定代表人"}],
            "purpose": "开户",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书"),
        },
        data={"device": "企业 App"},
    ).happened.letter

    with shows("C16", "K13", "The second bank reuses it with the firm's consent while it stands, and has a receipt"):
        for _ in range(2):
            platform.letter_event(letter, "reuse", data={"consent": consent, "user": other})
        ask = {
            "asker": other,
            "source": facts["attestor"],
            "consent": consent,
            "items": [{"item": "法定代表人"}],
            "purpose": "开户",
            "question": digest("法定代表人"),
            "subject": subject,
        }
        asked = platform.begin_letter("query-receipt", ask).happened.letter
        assert platform.letter_event(asked, "answer", data={"answer": digest("韩雪梅")}).state == "answered"

    with shows("C16", "K15 K13", "Its own system reuses it too, by a message of its own key, while the consent stands"):
        theirs, use = docks["second-ekyc"], {"consent": consent, "user": other}
        asked_by = {"call": "event", "letter": letter, "request": {"event": "reuse", "data": use}}
        foreign = {"event": "reuse", "data": use | {"user": firm("别家银行")}}
        assert refusal(theirs.ask(asked_by | {"request": foreign})) == "party-missing"
        assert theirs.ask(asked_by)["body"]["state"] == "attested"
        assert happened(platform, letter)[-1][1].actor.application == "second-ekyc"
        assert refusal(theirs.ask(asked_by | {"request": {"event": "renew"}})) == "role-missing"
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            platform.letter_event(letter, "reuse", data=use)
        assert refusal(theirs.ask(asked_by)) == "condition-not-met"

    with shows(
        "C16", "K14", "It fills in its form from single facts, each proved by the sealed event, and sees no other"
    ):
        file = platform.evidence(letter, disclose=["legal_person"])
        assert offline.passes(file)
        assert "云帆基金".encode() not in file

    with shows(
        "C16", "K2", "Each use has its own time-stamp; a renewed fact takes the place of the old one from then on"
    ):
        office.event(platform, letter, "renew", by=["wang-fang"], fields={"legal_person": "丁海"})
        assert platform.letter(letter).hidden["legal_person"] == "丁海"
        assert [event.event for _, event in happened(platform, letter)] == [
            "attest",
            "reuse",
            "reuse",
            "reuse",
            "renew",
        ]
