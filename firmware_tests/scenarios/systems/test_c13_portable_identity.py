"""C13: an attested identity travels; each release of data needs the subject's consent, and leaves a receipt."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
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
    refuses,
)

not_yet("C13", "K14", "proofs about a fact without showing it (a range, a membership) come with the privacy proofs")


def test_c13_authorisation_here_data_elsewhere(
    platform: Client, supplier: Client, office: Office, offline: Offline
) -> None:
    firm_, attestor, user = firm("上海物联科技有限公司"), firm("中国银联"), firm("上海银行")
    attested = office.begin(
        platform,
        "attestation",
        {
            "subject": firm_,
            "attestor": attestor,
            "valid_until": day(365),
            "legal_person": "沈一舟",
            "address": "上海市浦东新区张江路",
            "owners": [{"name": "沈一舟", "share": "1"}],
            "material": fresh("核验材料"),
        },
        by=["li-ming"],
    ).happened.letter
    consent = supplier.begin_letter(
        "consent",
        {
            "number": number("SQ"),
            "subject": firm_,
            "recipient": user,
            "scope": [{"item": "不动产登记"}],
            "purpose": "普惠贷款",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书"),
        },
        data={"device": "随申办"},
    ).happened.letter

    with shows(
        "C13", "K15", "The identity is attested under an approver's signature and reused with the firm's consent"
    ):
        platform.letter_event(attested, "reuse", data={"consent": consent, "user": user})
        other = {"consent": consent, "user": user}
        assert happened(platform, attested)[-1][1].data == other

    with shows("C13", "K14", "Of the identity one fact is shown, and its salted hash in the sealed event proves it"):
        file = platform.evidence(attested, disclose=["legal_person"])
        assert offline.passes(file)
        assert "张江路".encode() not in file

    with shows(
        "C13",
        "K13",
        "The government's data stays outside: here are the authorisation, the question, the answer's digest",
    ):
        ask = {
            "asker": user,
            "source": firm("上海市大数据中心"),
            "consent": consent,
            "items": [{"item": "不动产登记"}],
            "purpose": "普惠贷款",
            "question": digest("不动产登记"),
            "subject": firm_,
        }
        receipt = platform.begin_letter("query-receipt", ask).happened.letter
        answered = platform.letter_event(receipt, "answer", data={"answer": digest("一套，无抵押")})
        assert "无抵押".encode() not in answered.happened.event
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            platform.begin_letter("query-receipt", ask)
