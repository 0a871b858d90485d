"""C12: a merchant deposits data the operator cannot read, under its group's name, and discloses it by consent."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.recipients import decrypt, encrypt
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import (
    Offline,
    certified,
    digest,
    firm,
    moment,
    number,
    refuses,
)

not_yet("C12", "K14", "ring signatures (anonymous, yet provably of the group) come with the privacy proofs")


def test_c12_a_deposit_nobody_else_reads(platform: Client, supplier: Client, offline: Offline) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    bank = certified("浙江稠州商业银行", key)
    content = '{"订单":"YW-88213","金额":"USD 12,400.00","买家":"Lagos"}'
    merchant, reader = firm("义乌饰品商行"), firm("连连银通")
    fields = {
        "reference": number("CZ"),
        "group": "义乌跨境商户",
        "content_digest": digest(content),
        "depositor": merchant,
    }
    letter = platform.begin_letter(
        "sealed-deposit", fields, envelopes={"content": encrypt(content.encode(), [bank])}
    ).happened.letter

    with shows("C12", "K5", "The content is encrypted to the bank before it arrives: nothing the box keeps tells it"):
        kept = platform.letter_events(letter).events[0]
        assert content.encode() not in b"".join([kept.event, kept.manifest, *kept.beside.values()])
        assert decrypt(kept.beside["content.envelope"], bank, key).decode() == content
        assert platform.letter(letter).encrypted == ["content"]

    with shows("C12", "K14", "Who deposited stands as a salted hash: the file shows the group, and not the merchant"):
        file = platform.evidence(letter)
        assert offline.passes(file)
        assert merchant["name"].encode() not in file
        assert "义乌跨境商户".encode() in kept.event

    with shows("C12", "K13", "It is disclosed only while the merchant's consent stands"):
        consent = supplier.begin_letter(
            "consent",
            {
                "number": number("SQ"),
                "subject": merchant,
                "recipient": reader,
                "scope": [{"item": "订单明细"}],
                "purpose": "跨境收款核验",
                "valid_until": moment(86_400),
                "text_shown": digest("授权书"),
            },
            data={"device": "商户后台"},
        ).happened.letter
        with refuses("condition-not-met", "recipient"):
            platform.letter_event(letter, "disclose", data={"consent": consent, "reader": firm("别家机构")})
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            platform.letter_event(letter, "disclose", data={"consent": consent, "reader": reader})
        assert platform.letter(letter).state == "deposited"
