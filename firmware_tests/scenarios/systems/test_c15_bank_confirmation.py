"""C15: a bank confirmation in five steps: asked, authorised, accepted, replied to the auditor alone, received."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.recipients import decrypt, encrypt
from firmware_tests.gateway.docking import Partner
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.desks import XIAMEN_BANK
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    certified,
    day,
    digest,
    firm,
    fresh,
    moment,
    number,
    refusal,
    refuses,
    story,
)

not_yet(
    "C15",
    "K4",
    "the bank's own system docks by messages; that letters move between several boxes by themselves is not there",
)
not_yet("C15", "K19", "re-synchronisation of a node that was away comes with the fleet")


def test_c15_five_steps(
    platform: Client, supplier: Client, second_tier: Client, office: Office, docks: dict[str, Partner]
) -> None:
    began = time.monotonic()
    key = ec.generate_private_key(ec.SECP256R1())
    auditor, firm_ = firm("立信会计师事务所"), firm("厦门钨业制品有限公司")
    fields = {
        "number": number("XZ"),
        "auditor": auditor,
        "firm": firm_,
        "bank": XIAMEN_BANK,
        "cut_off": day(-1),
        "questions": fresh("函证事项"),
    }
    consent = supplier.begin_letter(
        "consent",
        {
            "number": number("SQ"),
            "subject": firm_,
            "recipient": auditor,
            "scope": [{"item": "存款余额"}, {"item": "借款余额"}],
            "purpose": "年报审计函证",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书"),
        },
        data={"device": "企业网银"},
    ).happened.letter

    with shows("C15", "K11", "The auditor's letter leaves with the auditor's signature, not without"):
        with refuses("approval-missing", "auditor"):
            platform.begin_letter("confirmation-letter", fields)
        letter = office.begin(platform, "confirmation-letter", fields, by=["feng-xue"]).happened.letter

    with shows(
        "C15", "K13", "The firm authorises it by a consent given to this very auditor; without one nothing goes on"
    ):
        with refuses("event-refused", "drafted"):
            platform.letter_event(letter, "accept")
        with refuses("condition-not-met"):
            platform.letter_event(letter, "authorise", fields={"consent": "00" * 16})
        with refuses("party-missing", "party-ID with the id of firm"):  # another firm's own program
            second_tier.letter_event(letter, "authorise", fields={"consent": consent})
        platform.letter_event(letter, "authorise", fields={"consent": consent})

    with shows(
        "C15", "K4", "The bank's own system accepts it by a signed and encrypted message, and is told of no other kind"
    ):
        core = docks["bank-core"]
        assert core.ask({"call": "letter", "letter": letter})["body"]["state"] == "authorised"
        assert refusal(core.ask({"call": "letter", "letter": consent})) == "not-found"
        assert core.ask({"call": "event", "letter": letter, "request": {"event": "accept"}})["status"] == 200

    with shows(
        "C15", "K4 K15", "A letter to another bank is that bank's: this one's system neither accepts nor returns it"
    ):
        elsewhere = fields | {"number": number("XZ"), "bank": firm("中国银行厦门分行")}
        theirs = office.begin(platform, "confirmation-letter", elsewhere, by=["feng-xue"]).happened.letter
        platform.letter_event(theirs, "authorise", fields={"consent": consent})
        for asked in ({"event": "accept"}, {"event": "return", "data": {"reason": "非本行账户"}}):
            answer = core.ask({"call": "event", "letter": theirs, "request": asked})
            assert refusal(answer) == "party-missing"

    certificate = certified("立信会计师事务所", key)
    answer = '{"存款余额":"12,340,000.00","借款余额":"5,000,000.00"}'
    envelopes = {"reply": encrypt(answer.encode(), [certificate])}
    replied = {"data": {"agrees": True, "consent": consent}, "envelopes": envelopes}
    with shows(
        "C15", "K11", "The bank's reply is signed by two of its people in their order; one of them is not enough"
    ):
        with refuses("approval-missing"):
            office.event(platform, letter, "reply", by=["li-ming"], **replied)
        office.event(platform, letter, "reply", by=["li-ming", "zhang-wei"], **replied)

    with shows("C15", "K4", "What is the auditor's to do, the bank's system cannot: it has no such role"):
        receive = {"call": "event", "letter": letter, "request": {"event": "receive"}}
        assert refusal(core.ask(receive)) == "role-missing"

    with shows(
        "C15", "K15 K4", "The reply is for the auditor's eyes alone: its key opens it, and nothing in clear tells it"
    ):
        kept = platform.letter_events(letter).events[-1]
        assert "12,340,000" not in str(kept.event)
        assert decrypt(kept.beside["reply.envelope"], certificate, key).decode() == answer

    with shows("C15", "K19 K6", "Five steps, each its party's own event, in seconds"):
        platform.letter_event(letter, "receive")
        assert story(platform, letter) == ["draft", "authorise", "accept", "reply", "receive"]
        assert time.monotonic() - began < 60
