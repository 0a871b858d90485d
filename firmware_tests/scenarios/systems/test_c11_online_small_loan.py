"""C11: a small firm borrows on its phone: authorise, apply, sign, approve, lend, repay, look it up."""

from __future__ import annotations

import io
import json
import zipfile

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
    receipt,
    refuses,
    story,
    yuan,
)
from firmware_tests.scenarios.systems.vouchers import issued, parts

not_yet("C11", "K1", "the borrower signs by consent and device in a sealed step; the box keeps no signing key of hers")


def test_c11_from_authorisation_to_repayment(
    platform: Client, supplier: Client, core_firm: Client, funder: Client, office: Office, offline: Offline
) -> None:
    borrower, bank = firm("宁波紧固件有限公司"), firm("浦发银行宁波分行")
    receivable = issued(supplier, core_firm, "600000.00", holder=borrower)
    phone = "手机 Mate 70 · 122.224.9.13"
    consent = supplier.begin_letter(
        "consent",
        {
            "number": number("SQ"),
            "subject": borrower,
            "recipient": bank,
            "scope": [{"item": "企业征信"}, {"item": "纳税数据"}],
            "purpose": "在线小微贷款",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书 v7"),
        },
        data={"device": phone},
    ).happened.letter
    loan = {
        "number": number("JJ"),
        "borrower": borrower,
        "lender": bank,
        "amount": yuan("450000.00"),
        "rate": "0.0435",
        "due": day(180),
        "consent": consent,
        "source": receivable,
    }

    with shows(
        "C11", "K13", "The authorisation says what, to whom, how long, and which text was shown on which device"
    ):
        grant = happened(platform, consent)[0][1]
        assert (grant.fields["text_shown"], grant.data["device"]) == (digest("授权书 v7"), phone)
        with refuses("condition-not-met", "subject"):
            supplier.begin_letter("loan", loan | {"borrower": firm("别的公司")})

    letter = supplier.begin_letter("loan", loan).happened.letter
    with shows("C11", "K1", "Signing is a step of its own, with the contract's digest and the device"):
        supplier.letter_event(letter, "sign", data={"contract": fresh("借款合同"), "device": phone})
        assert happened(platform, letter)[-1][1].data["device"] == phone

    with shows(
        "C11", "K8", "Money is lent on the voucher only once it is taken as financed, with the register's receipt"
    ):
        with refuses("condition-not-met", "held"):
            office.event(funder, letter, "lend-on-voucher", by=["wang-fang"])
        financed = {"fields": {"funder": bank}, "data": {"rate": "0.0435"}}
        funder.letter_event(receivable, "finance", **financed, receipts=[receipt("zhongdeng")])

    with shows("C11", "K11", "Above three hundred thousand an approver signs; the bank's system alone is refused"):
        with refuses("approval-missing", "issue"):
            funder.letter_event(letter, "lend-on-voucher")
        assert office.event(funder, letter, "lend-on-voucher", by=["wang-fang"]).state == "lent"

    with shows(
        "C11", "K8", "While the loan stands nobody else finances the voucher, and it is neither pledged nor passed on"
    ):
        other = {"fields": {"funder": firm("中国建设银行")}, "receipts": [receipt("zhongdeng")]}
        with refuses("event-refused", "financed"):
            funder.letter_event(receivable, "finance", **other, data={"rate": "0.04"})
        with refuses("event-refused", "financed"):
            supplier.letter_event(receivable, "pledge", **other)
        with refuses("event-refused", "financed"):
            supplier.letter_event(receivable, "transfer", data=parts(("1.00", firm("二级供应商"))))

    with shows("C11", "K13", "A consent that ended stops what would still need it; the running loan goes on"):
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            supplier.begin_letter("loan", loan | {"number": number("JJ"), "source": consent})
        funder.letter_event(letter, "repay", data={"repaid": yuan("450000.00")})
        assert platform.letter(letter).state == "repaid"

    with shows("C11", "K2 K16", "Every step has its own time-stamp, and the whole course verifies offline"):
        assert story(platform, letter) == ["apply", "sign", "lend-on-voucher", "repay"]
        assert offline.passes(platform.evidence(letter))

    with shows("C11", "K16", "For a court the steps come with the phone that was used, in a package of their own"):
        package = platform.court_evidence(letter)
        assert offline.passes(package)
        with zipfile.ZipFile(io.BytesIO(package)) as entries:
            course = json.loads(entries.read("court/steps.json"))
        assert [one["event"] for one in course] == ["apply", "sign", "lend-on-voucher", "repay"]
        assert course[1]["said"] == {"device": phone}
