"""V8: a firm wins a tender and has a loan the same day, on the sealed award and its own consent, without paper."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
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
    yuan,
)


def test_v8_a_loan_on_a_real_award(
    platform: Client, supplier: Client, funder: Client, supervisor: Client, office: Office, offline: Offline
) -> None:
    winner, bank = firm("广州绿化园林有限公司"), firm("招商银行广州分行")
    tender = {
        "tender_code": number("GZ"),
        "project": "海珠湿地绿化养护",
        "winner": winner,
        "owner": {"name": "海珠区住建局"},
        "price": yuan("1860000.00"),
    }

    with shows("V8", "K1", "The trading centre, an institution of its own, seals the notice and hands its file over"):
        sealed = supervisor.begin_letter("award-notice", tender, document=True).happened.letter
        office.event(supervisor, sealed, "confirm", by=["li-ming"])
        handed = supervisor.evidence(sealed)
        report = offline.verify(handed)
        assert report["indication"] == "TOTAL-PASSED"
        assert "seal of supervisor" in str(report)
        with refuses("not-found"):
            platform.letter(sealed)

    notice = platform.begin_letter("award-notice", tender | {"notice": digest(handed)}, document=True).happened
    award = notice.letter
    terms = {
        "number": number("SQ"),
        "subject": winner,
        "recipient": bank,
        "scope": [{"item": "中标记录"}, {"item": "纳税信用"}],
        "purpose": "中标贷授信",
        "valid_until": moment(86_400),
        "text_shown": digest("授权书"),
    }
    consent = supplier.begin_letter("consent", terms, data={"device": "手机 113.66.20.7"}).happened.letter
    loan = {
        "number": number("JJ"),
        "borrower": winner,
        "lender": bank,
        "amount": yuan("300000.00"),
        "rate": "0.045",
        "due": day(365),
        "consent": consent,
        "source": award,
    }
    signature = {"contract": fresh("借款合同"), "device": "手机 113.66.20.7"}

    with shows(
        "V8", "K1", "The platform registers it by that file's digest; an award that is only announced carries no loan"
    ):
        letter = supplier.begin_letter("loan", loan).happened.letter
        supplier.letter_event(letter, "sign", data=signature)
        with refuses("condition-not-met", "announced"):
            funder.letter_event(letter, "lend-on-award")
        office.event(platform, award, "confirm", by=["li-ming"])
        assert offline.passes(platform.evidence(award))
        assert notice.beside["letter.pdf"].startswith(b"%PDF-")

    with shows("V8", "K8", "One award carries one loan at a time"):
        with refuses("taken"):
            supplier.begin_letter("loan", loan | {"number": number("JJ")})

    with shows("V8", "K20 K2", "The money is lent the same day, on award, consent and signature, each with its time"):
        assert funder.letter_event(letter, "lend-on-award").state == "lent"
        events = [event for _, event in happened(platform, letter)]
        assert [event.event for event in events] == ["apply", "sign", "lend-on-award"]
        assert {one.letter for one in events[-1].references} == {award, consent}

    with shows("V8", "K20", "Nobody borrows on another's award, whatever was signed and agreed to"):
        stranger = firm("广州造价咨询有限公司")
        theirs = supplier.begin_letter(
            "consent", terms | {"number": number("SQ"), "subject": stranger}, data={"device": "手机"}
        ).happened.letter
        second = platform.begin_letter("award-notice", tender | {"tender_code": number("GZ")}).happened.letter
        office.event(platform, second, "confirm", by=["li-ming"])
        foreign = loan | {"number": number("JJ"), "borrower": stranger, "consent": theirs, "source": second}
        other = supplier.begin_letter("loan", foreign).happened.letter
        supplier.letter_event(other, "sign", data=signature)
        with refuses("condition-not-met", "winner"):
            funder.letter_event(other, "lend-on-award")

    with shows("V8", "K20 K11", "The pay-out is an instruction that stands on the loan and on the cashier's signature"):
        payment = platform.begin_letter(
            "payment-instruction",
            {
                "number": number("FK"),
                "payer": bank,
                "payee": winner,
                "account": "1209 0720 1180",
                "amount": yuan("300000.00"),
                "pay_on": day(),
                "basis": letter,
                "purpose": "中标贷放款",
            },
        ).happened.letter
        with refuses("approval-missing", "pay"):
            platform.letter_event(payment, "release")
        assert office.event(platform, payment, "release", by=["zhao-lei"]).state == "released"

    with shows("V8", "K13", "A consent that was revoked stops the next loan before any data is used"):
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            supplier.begin_letter("loan", loan | {"number": number("JJ"), "source": consent})

    with shows("V8", "K6", "Repaid in parts to the last fen; the award is free again"):
        funder.letter_event(letter, "repay", data={"repaid": yuan("299999.99")})
        with refuses("field-refused", "only 0.01 CNY is left"):
            funder.letter_event(letter, "repay", data={"repaid": yuan("0.02")})
        assert funder.letter_event(letter, "repay", data={"repaid": yuan("0.01")}).state == "repaid"
