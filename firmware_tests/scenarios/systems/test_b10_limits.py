"""B10: limits in tiers, early warnings, concentration by industry, and a breaker that stops by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from appliance.api.letters.schemas import EventRequest
from appliance.client import Client, Refused
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, number, refuses, story, yuan
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force
from firmware_tests.scenarios.systems.terms import let_go_on, limited, stop

DEBTOR = """format = "cinnabar-limits/1"

[[limits]]
counter = "guarantee-project/debtor"
currency = "CNY"
tiers = [{ up_to = "4000000" }, { up_to = "10000000", policy = "senior" }]
warn_at = ["70", "85", "95"]
"""
INDUSTRY = """format = "cinnabar-limits/1"

[[shares]]
counter = "guarantee-project/industry"
of = "guarantee-project/outstanding"
currency = "CNY"
most = "80"
floor = "1000000"
then = "refuse"
"""
BREAKER = """format = "cinnabar-limits/1"

[[breakers]]
name = "paid-out"
stops = ["guarantee-project"]
indicator = "ratio"
of = "guarantee-project/compensated"
over = "guarantee-project/accepted"
currency = "CNY"
above = "5"
floor = "4000000000"
"""


def test_b10_tiers_and_alerts(guarantor: Client, office: Office, hall: ManagedBox) -> None:
    product = terms_in_force(guarantor, office)

    def filed(liability: str, **other: Any) -> str:
        return guarantor.begin_letter("guarantee-project", project(product, liability, **other)).happened.letter

    with shows(
        "B10", "K12 K11", "Up to five million a liability is accepted at once; a cent more waits for an approver"
    ):
        small, large = filed("5000000.00"), filed("5000000.01")
        assert guarantor.letter_event(small, "accept").state == "in-force"
        with refuses("approval-missing", "issue"):
            guarantor.letter_event(large, "accept")
        assert office.event(guarantor, large, "accept", by=["li-ming"]).state == "in-force"

    with limited(hall, "guarantor", DEBTOR):
        debtor = firm("单一债务人有限公司")
        with shows(
            "B10", "K12", "Early warnings at 70, 85 and 95 per cent of a debtor's limit, once a crossing, kept and told"
        ):
            assert guarantor.letter_event(filed("3500000.00", debtor=debtor), "accept").warnings == []
            further = filed("4000000.00", debtor=debtor)
            with refuses("limit-needs-approval", "senior"):
                guarantor.letter_event(further, "accept")
            crossed = office.event(guarantor, further, "accept", by=["zhang-wei"])
            assert [one.threshold for one in crossed.warnings] == [7_000]
            assert guarantor.warnings().warnings[0].used == crossed.warnings[0].used == 75_000_000_000
            small = {}
            for liability, told in (("1100000.00", [8_500]), ("100000.00", []), ("900000.00", [9_500])):
                small[filed(liability, debtor=debtor)] = told
            for letter, told in small.items():
                came = office.event(guarantor, letter, "accept", by=["zhang-wei"])
                assert [one.threshold for one in came.warnings] == told
            assert [one.threshold for one in guarantor.warnings().warnings[:3]] == [9_500, 8_500, 7_000]
            for letter in small:
                guarantor.letter_event(letter, "release")
        with shows("B10", "K12", "Many at once, over all workers: exactly what the limit leaves is accepted"):
            rush = firm("并发申请企业")
            asked = [filed("1000000.00", debtor=rush) for _ in range(8)]
            with ThreadPoolExecutor(8) as pool:
                came = list(pool.map(lambda one: outcome(guarantor, one), asked))
            assert sorted(came) == ["in-force"] * 4 + ["limit-needs-approval"] * 4
        with shows("B10", "K12 K11", "Tiered: by itself, with a senior approval, and above the limit never"):
            over = filed("2500000.01", debtor=debtor)
            with refuses("letter-limit-exceeded", "10000000.01 CNY would be above the limit of 10000000.00 CNY"):
                office.event(guarantor, over, "accept", by=["zhang-wei"])
            guarantor.letter_event(further, "release")
            # What was released makes room; the automatic tier has none for it.
            assert office.event(guarantor, over, "accept", by=["zhang-wei"]).state == "in-force"
            (counter,) = [one for one in guarantor.limits().counters if one.counter == "guarantee-project/debtor"]
            (use,) = [one for one in counter.uses if debtor["id"] in one.whom]
            assert (use.used, use.share) == ("6000000.01", "60")

    both = filed("5000000.01", debtor=firm("同策额度企业"))
    waiting = guarantor.keep_event_draft(both, EventRequest(event="accept"))
    office.approve_kept(guarantor, waiting, "li-ming")
    with (
        limited(hall, "guarantor", DEBTOR.replace("senior", "issue")),
        shows("B10", "K12 K11", "Who approved the liability has not approved that it goes above the limit"),
    ):
        needed = guarantor.draft_event(both, "accept").needed
        assert [(one.policy, one.limits) for one in needed] == [
            ("issue", []), ("issue", ["guarantee-project/debtor/CNY"])
        ]  # fmt: skip
        with refuses("limit-needs-approval", "issue"):
            office.event(guarantor, both, "accept", by=["li-ming"])
        # The draft that waited says so once it is asked for again; what she has signed stays.
        assert guarantor.kept_draft(waiting.draft).state == "complete"
        anew = guarantor.keep_event_draft(both, EventRequest(event="accept"))
        assert (anew.draft, anew.state) == (waiting.draft, "open")
        assert [one.limits for one in anew.needed] == [[], ["guarantee-project/debtor/CNY"]]
        assert [(one.approver, one.step) for one in anew.approved] == [("li-ming", 0)]

    with (
        limited(hall, "guarantor", INDUSTRY),
        shows("B10", "K12", "No industry above its share of what is outstanding: the letter that would is refused"),
    ):
        steel = filed("3000000000.00", industry="C31")
        with refuses("concentration-exceeded", "of guarantee-project/outstanding/CNY; at most 80%"):
            office.event(guarantor, steel, "accept", by=["li-ming"])
        (counter,) = [one for one in guarantor.limits().counters if one.of is not None]
        assert counter.uses[0].share is not None

    with limited(hall, "guarantor", BREAKER):
        with shows("B10", "K12 K20", "Paid out above 5 per cent of what was issued: nothing new is issued, at once"):
            bad = firm("违约企业")
            whole = filed("4000000000.00", debtor=firm("大型企业"))
            office.event(guarantor, whole, "accept", by=["li-ming"])
            lost = filed("300000000.00", debtor=bad)
            office.event(guarantor, lost, "accept", by=["li-ming"])
            tripped = compensated(guarantor, office, lost)
            assert [one.what for one in tripped.warnings] == ["issuing-stopped"]
            with refuses("issuing-stopped", "paid-out"):
                filed("1.00")
            assert [(one.kind, one.reason) for one in guarantor.limits().stopped] == [("guarantee-project", "paid-out")]
        with shows(
            "B10", "K12", "What stands goes on while issuing is stopped, until two officers approve that it goes on"
        ):
            assert guarantor.letter_event(whole, "release").state == "released"
            let_go_on(hall, "guarantor", "guarantee-project")
            assert guarantor.letter(filed("1.00")).state == "filed"
        with shows("B10", "K12", "One officer's word stops issuing as well"):
            stop(hall, "guarantor", "guarantee-project", "行业风险上升")
            with refuses("issuing-stopped", "行业风险上升"):
                filed("1.00")
            let_go_on(hall, "guarantor", "guarantee-project")

    with shows("B10", "K12", "An alert on an industry goes from yellow to red, and is disposed of at two levels"):
        alert = guarantor.begin_letter(
            "risk-alert",
            {
                "subject": firm("行业：C35 专用设备制造业"),
                "indicator": "单一行业在保集中度",
                "measured": "0.22",
                "limit": "0.20",
                "level": "yellow",
                "source": fresh("在保统计"),
            },
        ).happened.letter
        guarantor.letter_event(alert, "escalate", fields={"level": "red"})
        guarantor.letter_event(alert, "confirm")
        office.event(guarantor, alert, "dispose", by=["sun-li", "zhang-wei"], data={"measure": "暂停该行业新增备案"})
        assert story(guarantor, alert) == ["raise", "escalate", "confirm", "dispose"]


def outcome(client: Client, letter: str) -> str:
    """What came of an acceptance."""
    try:
        return client.letter_event(letter, "accept").state
    except Refused as error:
        return error.code


def compensated(client: Client, office: Office, letter: str) -> Any:
    """A project's claim, its compensation approved and paid, and the event that counts it."""
    fields = client.letter(letter).fields
    client.letter_event(letter, "claim", data={"overdue": fields["liability"], "documents": fresh("代偿资料")})
    compensation = client.begin_letter(
        "compensation",
        {
            "project_number": fields["project_number"],
            "payee": fields["institution"],
            "amount": yuan("1000000.00"),
            "reason": "贷款逾期",
        },
    ).happened.letter
    office.event(client, compensation, "pay", by=["zhao-lei", "zhang-wei"], data={"payment": number("LSH")})
    return client.letter_event(letter, "compensate", data={"compensation": compensation})
