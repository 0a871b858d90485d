"""C18: underwriters join one by one, each by an event of its own; price and issue follow, with a receipt."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography import x509

from appliance.client import Client
from firmware_tests.running import RunningBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.members import Member
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    firm,
    fresh,
    happened,
    number,
    receipt,
    refuses,
    story,
    yuan,
)


def test_c18_syndicate_and_issue(
    bank: Client,
    office: Office,
    offline: Offline,
    overseers: Callable[..., Overseer],
    join: Callable[..., Member],
    town: RunningBox,
) -> None:
    bond = {
        "code": f"ZH{secrets.token_hex(4).upper()}",
        "issuer": firm("中国银行"),
        "lead_underwriter": firm("中银国际证券"),
        "trustee": firm("中国国际金融"),
        "size": yuan("2000000000.00"),
        "matures": day(720),
        "prospectus": fresh("募集说明书"),
    }
    letter = bank.begin_letter("bond-issuance", bond).happened.letter
    zhongxin = firm("中信证券")

    with shows(
        "C18", "K15", "An underwriter's program fetches its certificate by itself, within the frame officers set"
    ):
        member = join("bank", "zhongxin", "underwriter", zhongxin["id"])
        authority = x509.load_pem_x509_certificate((town.home.trust / "box-ca.pem").read_bytes())
        member.certificate.verify_directly_issued_by(authority)
        with refuses("role-missing", "lead-underwriter"):
            member.client.begin_letter("bond-issuance", bond | {"code": f"ZH{secrets.token_hex(4).upper()}"})

    with shows(
        "C18",
        "K15",
        "The syndicate is formed by signatures one by one; each underwriter's program signs for that underwriter alone",
    ):
        for one in (zhongxin, firm("国泰君安"), firm("华泰证券")):
            joined = {"underwriter": one, "share": yuan("500000000.00"), "agreement": fresh("承销协议")}
            if one != zhongxin:
                with refuses("party-missing", "underwriter"):
                    member.client.letter_event(letter, "join", data=joined)
            by = member.client if one == zhongxin else bank
            by.letter_event(letter, "join", data=joined)
        bank.letter_event(letter, "form")
        with refuses("event-refused", "formed"):
            bank.letter_event(letter, "join", data=joined)
        names = [event.data["underwriter"]["name"] for _, event in happened(bank, letter) if event.event == "join"]
        assert names == ["中信证券", "国泰君安", "华泰证券"]
        assert happened(bank, letter)[1][1].actor.application == "zhongxin"

    with shows(
        "C18",
        "K6",
        "The underwriting agreement is signed by both sides, each by a program of its own, its signer on record",
    ):
        agreement = {
            "number": bond["code"],
            "title_text": "承销协议",
            "first_party": bond["issuer"],
            "second_party": zhongxin,
            "document": fresh("承销协议"),
        }
        contract = bank.begin_letter("contract", agreement).happened.letter
        signature = {"consent": fresh("签署意愿"), "device": "10.20.0.4"}
        bank.letter_event(contract, "sign-first", data={"signer": "发行人 方芳", **signature})
        with refuses("role-missing", "contracting"):
            member.client.letter_event(contract, "sign-second", data={"signer": "承销商 郭磊", **signature})
        signing = join("bank", "zhongxin-contracts", "second-party", zhongxin["id"]).client
        others = agreement | {"number": number("HT"), "second_party": firm("华泰证券")}
        foreign = bank.begin_letter("contract", others).happened.letter
        bank.letter_event(foreign, "sign-first", data={"signer": "发行人 方芳", **signature})
        with refuses("party-missing", "second_party"):
            signing.letter_event(foreign, "sign-second", data={"signer": "承销商 郭磊", **signature})
        assert (
            signing.letter_event(contract, "sign-second", data={"signer": "承销商 郭磊", **signature}).state == "signed"
        )
        signed = [(event.actor.application, event.data["signer"]) for _, event in happened(bank, contract)[1:]]
        assert signed == [("bank-app", "发行人 方芳"), ("zhongxin-contracts", "承销商 郭磊")]

    with shows(
        "C18", "K11", "The price is signed by two people in their order; one, or the wrong order, prices nothing"
    ):
        with refuses("approval-missing"):
            office.event(bank, letter, "price", by=["zhang-wei", "li-ming"], fields={"coupon": "0.0285"})
        office.event(bank, letter, "price", by=["li-ming", "zhang-wei"], fields={"coupon": "0.0285"})

    with shows("C18", "K6 K8", "It is issued with the depository's receipt, and its code is taken for good"):
        with refuses("field-refused", "depository"):
            bank.letter_event(letter, "issue")
        bank.letter_event(letter, "issue", receipts=[receipt("depository", "登记证明")])
        with refuses("taken"):
            bank.begin_letter("bond-issuance", bond)

    with shows("C18", "K6 K10", "Reports are disclosed one after the other, and filed with the authority's receipt"):
        report = fresh("募集资金使用报告")
        bank.letter_event(letter, "report", data={"report": report, "about": "募集资金使用"})
        filing = {
            "batch": number("PL"),
            "authority": {"name": "中国银行间市场交易商协会"},
            "interface": "5",
            "content": report,
            "rows_filed": 1,
            "total": bond["size"],
        }
        filed = bank.begin_letter("outbound-filing", filing).happened.letter
        office.event(bank, filed, "submit", by=["li-ming"])
        assert bank.letter_event(filed, "accept", receipts=[receipt("authority", "备案回执")]).state == "accepted"

    with shows(
        "C18", "K16 K18", "Every step with its proof in the log stands in one file that anybody verifies offline"
    ):
        assert story(bank, letter) == ["invite", "join", "join", "join", "form", "price", "issue", "report"]
        assert offline.passes(bank.evidence(letter))

    with shows(
        "C18", "K18", "The regulator follows the issue by itself: each step with its signers and its place in the log"
    ):
        regulator = overseers("jiaoyishang", "bank")
        steps = regulator.letter("bank", letter)["events"]
        assert [one["event"] for one in steps] == story(bank, letter)
        assert [one["person"] for one in steps[5]["approvals"]] == ["li-ming", "zhang-wei"]
        leaves = [one["leaf"] for one in steps]
        assert leaves == sorted(set(leaves))
        assert all(one["stamped"] and len(one["record"]) == 44 for one in steps)
        assert regulator.evidence("bank", letter) == bank.evidence(letter)
        assert regulator.sees_nothing_else("bank")
