"""P1: credit bureaus ask government sources under the subject's consent; each question and answer leaves a mark."""

from __future__ import annotations

from collections.abc import Callable

from appliance.client import Client
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.members import Member
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import (
    Offline,
    digest,
    firm,
    fresh,
    happened,
    moment,
    number,
    refuses,
    sealed_refusal,
    story,
    wait_for,
)
from firmware_tests.scenarios.systems.terms import put_in_force

not_yet("P1", "K15", "that an asker stands admitted is looked after by officers, who give roles; no question names it")
not_yet("P1", "K14", "range and membership proofs over shared data come with the privacy proofs")


TARIFF = """format = "cinnabar-tariff/1"
title = "数据服务费"
currency = "CNY"
rounding = "half-up"

[[fees]]
title = "数据源应答"
kind = "query-receipt"
event = "answer"
each = "0.50"
"""


def test_p1_shared_without_giving_away(
    platform: Client,
    supplier: Client,
    supervisor: Client,
    office: Office,
    offline: Offline,
    hall: ManagedBox,
    overseers: Callable[..., Overseer],
    join: Callable[..., Member],
) -> None:
    put_in_force(hall, "platform", TARIFF)
    bureau, source = firm("广州征信有限公司"), firm("广东省市场监督管理局数据中心")
    subject = firm("佛山陶瓷机械有限公司")

    with shows(
        "P1", "K15 K11", "A bureau is admitted as a node by two approvals, one after the other; one alone admits nobody"
    ):
        node = {
            "institution": bureau,
            "category": "bureau",
            "scope": "企业征信查询",
            "licence": fresh("企业征信业务备案"),
        }
        admitted = platform.begin_letter("institution", node).happened.letter
        with refuses("approval-missing"):
            office.event(platform, admitted, "admit", by=["li-ming"])
        assert office.event(platform, admitted, "admit", by=["li-ming", "zhang-wei"]).state == "admitted"

    terms = {
        "number": number("SQ"),
        "subject": subject,
        "recipient": bureau,
        "scope": [{"item": "行政处罚"}, {"item": "社保缴纳"}],
        "purpose": "贷前征信查询",
        "uses": 2,
        "valid_until": moment(86_400),
        "text_shown": digest("征信查询授权书"),
    }
    consent = supplier.begin_letter("consent", terms, data={"device": "粤商通 App"}).happened.letter
    ask = {
        "asker": bureau,
        "source": source,
        "consent": consent,
        "items": [{"item": "行政处罚"}],
        "purpose": "贷前征信查询",
        "question": fresh("行政处罚记录"),
        "subject": subject,
    }

    with shows("P1", "K15", "A bureau's program asks once officers gave it the asker's role; no other program asks"):
        with refuses("role-missing", "asker"):
            supplier.begin_letter("query-receipt", ask)
        program = join("platform", "zhengxin", "asker", bureau["id"]).client
        with refuses("condition-not-met"):  # it may ask, and has no consent for this
            program.begin_letter("query-receipt", ask | {"purpose": "营销"})
        with refuses("party-missing", "asker"):  # nor in another bureau's name
            program.begin_letter("query-receipt", ask | {"asker": firm("深圳征信服务有限公司")})

    with shows(
        "P1", "K13", "A question needs a consent given to this very asker; the answer is kept as a digest alone"
    ):
        with refuses("condition-not-met", "recipient"):
            platform.begin_letter("query-receipt", ask | {"asker": firm("深圳征信服务有限公司")})
        asked = platform.begin_letter("query-receipt", ask).happened.letter
        platform.letter_event(asked, "answer", data={"answer": digest("无处罚记录")})
        assert subject["name"].encode() not in platform.letter_events(asked).events[0].event

    with shows("P1", "K13", "What is asked lies within the consent's list of data, for its purpose, about its subject"):
        with refuses("condition-not-met", "/fields/items/item") as beyond:
            platform.begin_letter("query-receipt", ask | {"items": [{"item": "行政处罚"}, {"item": "纳税数据"}]})
        with refuses("condition-not-met", "/fields/purpose"):
            platform.begin_letter("query-receipt", ask | {"purpose": "营销"})
        with refuses("condition-not-met", "/fields/subject/id"):
            platform.begin_letter("query-receipt", ask | {"subject": firm("别家公司")})

    with shows("P1", "K13", "A refused question leaves a sealed receipt too: which condition failed, at which head"):
        said = sealed_refusal(platform, offline, beyond)
        assert (said.event, said.code, said.letter) == ("ask", "condition-not-met", None)
        assert [(one.letter, one.head) for one in said.conditions] == [(consent, platform.letter(consent).head)]
        assert said.conditions[0].failed == said.detail
        assert subject["name"].encode() not in said.canonical()

    with shows("P1", "K13", "A consent revoked between question and answer stops the answer, and every later question"):
        second = ask | {"items": [{"item": "社保缴纳"}], "question": fresh("社保缴纳")}
        pending = platform.begin_letter("query-receipt", second).happened.letter
        with refuses("taken"):  # it serves two questions
            platform.begin_letter("query-receipt", second)
        supplier.letter_event(consent, "revoke")
        with refuses("condition-not-met", "revoked"):
            platform.letter_event(pending, "answer", data={"answer": digest("正常")})
        with refuses("condition-not-met", "revoked"):
            platform.begin_letter("query-receipt", ask)

    with shows("P1", "K13", "A consent whose time is over answers nothing any more, though nobody revoked it"):
        ends = moment(1.0)
        with_end = terms | {"number": number("SQ"), "valid_until": ends}
        brief = supplier.begin_letter("consent", with_end, data={"device": "粤商通 App"}).happened.letter
        wait_for(ends)
        with refuses("condition-not-met"):  # its time, or the state that the box brings it to by itself
            platform.begin_letter("query-receipt", ask | {"consent": brief})

    with shows(
        "P1", "K16", "A disputed answer is corrected; the mediator gets the whole course as one verifiable file"
    ):
        platform.letter_event(asked, "dispute", data={"reason": "处罚已撤销"})
        platform.letter_event(asked, "correct", data={"answer": digest("处罚已撤销，无有效记录")})
        assert story(platform, asked) == ["ask", "answer", "dispute", "correct"]
        package = platform.evidence(asked)
        assert offline.passes(package)
        case = platform.begin_letter(
            "mediation-case",
            {
                "number": number("TJ"),
                "claimant": {"name": subject["name"]},
                "respondent": {"name": source["name"]},
                "dispute": "信用信息异议",
            },
        ).happened.letter
        handed = {"package": digest(package), "about": "查询、应答与更正的全过程"}
        platform.letter_event(case, "hand-in", data=handed)
        platform.letter_event(case, "hear")
        office.event(platform, case, "settle", by=["li-ming"], data={"agreement": fresh("调解协议")})
        assert happened(platform, case)[1][1].data["package"] == digest(package)

    with shows("P1", "K12", "Each answer is metered for its source, with the fee that it earns"):
        (used,) = [one for one in platform.usage().lines if one.event == "answer" and source["id"] in one.whom]
        assert (used.count, used.fee, used.application) == (1, "0.50", "platform-app")
        (earned,) = platform.fees(party=used.party).lines
        assert (earned.title, earned.fee) == ("数据源应答", "0.50")

    with shows("P1", "K18", "Data stays with its owner: another institution of the chain finds none of these letters"):
        for letter in (consent, asked, case):
            with refuses("not-found"):
                supervisor.letter(letter)

    with shows("P1", "K18", "The supervision centre sees by itself who asked whom for what, under which consent"):
        centre = overseers("renhang", "platform")
        query = centre.letter("platform", asked)
        assert [one["event"] for one in query["events"]] == ["ask", "answer", "dispute", "correct"]
        told = {one["name"]: one["value"] for one in query["fields"] if one["shown"]}
        assert (told["asker"], told["purpose"]) == (f"{bureau['name']} ({bureau['id']})", "贷前征信查询")
        assert consent in {one["letter"] for one in query["links"]}

    with shows("P1", "K18 K13", "It does not see about whom, nor what the answer was: those stay its owner's"):
        assert subject["name"] not in str(query)
        assert "无处罚记录" not in str(query)
        assert centre.status(f"letters/platform/{asked}", hidden="on") == 403
        assert centre.sees_nothing_else("platform")
