"""C20: village, township and county approve in turn; the contract is checked; a failed payment is explained."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

from appliance.api.letters.schemas import EventRequest
from appliance.client import Client
from appliance.letters.event import read_event
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import Offline, firm, fresh, refuses, sealed_refusal, yuan
from firmware_tests.scenarios.systems.public_funds import LEVELS, allocation, contract, instruction, paid


def test_c20_level_by_level(
    platform: Client, office: Office, supervisor: Client, offline: Offline, overseers: Callable[..., Overseer]
) -> None:
    builder = firm("河北建设集团安置房项目部")

    with shows(
        "C20", "K20", "Without a contract signed by both, and with this very builder, no level's signature moves money"
    ):
        draft = contract(platform, builder, signed=False)
        early = platform.begin_letter("fund-allocation", allocation(builder, draft)).happened.letter
        with refuses("condition-not-met", "drafted"):
            office.event(platform, early, "approve", by=LEVELS)
        others = contract(platform, firm("别家建筑公司"))
        wrong = platform.begin_letter("fund-allocation", allocation(builder, others)).happened.letter
        with refuses("condition-not-met", "second_party"):
            office.event(platform, wrong, "approve", by=LEVELS)

    with shows(
        "C20", "K11", "Sent back with a reason, applied for again, then approved: village, township, county, in order"
    ):
        agreed = contract(platform, builder)
        letter = platform.begin_letter("fund-allocation", allocation(builder, agreed)).happened.letter
        platform.letter_event(letter, "return", data={"reason": "缺监理签字"})
        platform.letter_event(letter, "reapply", fields={"amount": yuan("15000.00")})
        with refuses("approval-missing"):
            office.event(platform, letter, "approve", by=["wu-min", "zhou-qiang", "zheng-kai"])
        waits = platform.keep_event_draft(letter, EventRequest(event="approve"))
        for level in LEVELS:  # on different days, each at her own desk
            office.approve_kept(platform, waits, level)
        platform.finish_draft(waits.draft)
        assert platform.letter(letter).balance == "15000.00"

    with shows(
        "C20", "K20", "A payment above what is left is refused; the box seals why, and the instruction waits on"
    ):
        beyond = instruction(platform, letter, builder, "15000.01", "超额")
        with refuses("condition-not-met", "/fields/amount: it is not at most balance") as told:
            platform.letter_event(beyond, "release")
        said = sealed_refusal(platform, offline, told)
        assert (said.letter, said.head) == (beyond, platform.letter(beyond).head)
        assert (said.conditions[0].letter, said.conditions[0].state) == (letter, "approved")
        assert platform.letter(beyond).state == "prepared"

    with shows("C20", "K20", "A payment that failed keeps the bank's reason, and does not count as paid out"):
        failed = instruction(platform, letter, builder, "9000.00", "第一期工程款")
        platform.letter_event(failed, "release")
        platform.letter_event(failed, "fail", data={"reason": "账户已冻结", "witness": "工行雄安分行 石磊"})
        out = {"paid": yuan("9000.00"), "payment": failed}
        with refuses("condition-not-met", "failed"):
            platform.letter_event(letter, "pay-out", data=out)
        platform.letter_event(letter, "note-failure", data={"reason": "账户已冻结"})
        retried = paid(platform, letter, builder, "9000.00", "第一期工程款（改户）")
        platform.letter_event(letter, "pay-out", data=out | {"payment": retried})
        assert platform.letter(letter).balance == "6000.00"

    with shows("C20", "K11", "The contract's reviewer signs off what was read from it, bound to that very text"):
        text = platform.letter(agreed).fields["document"]
        elements = [{"name": "付款节点", "value": "主体封顶付至 60%", "confidence": "0.93"}]
        review = {"document": text, "reviewer_tool": "合同核验 2.0", "elements": elements}
        checked = platform.begin_letter("document-review", review).happened.letter
        assert office.event(platform, checked, "sign-off", by=["li-ming"]).state == "signed-off"
        with refuses("field-refused", "/fields/document"):
            platform.begin_letter("document-review", review | {"document": fresh("另一份")[:10]})

    with shows(
        "C20", "K18 K16", "The supervisor is handed the file: three signatures in order, failure included, offline"
    ):
        with refuses("not-found"):
            supervisor.letter(letter)
        file = platform.evidence(letter)
        assert offline.passes(file)
        with zipfile.ZipFile(io.BytesIO(file)) as entries:
            names = sorted(name for name in entries.namelist() if re.fullmatch(r"event-\d{4}\.json", name))
            steps = {event.event: event for event in (read_event(entries.read(name)) for name in names)}
        assert list(steps) == ["apply", "return", "reapply", "approve", "note-failure", "pay-out"]
        assert [one.approver for one in steps["approve"].approvals] == list(LEVELS)
        assert steps["note-failure"].data["reason"] == "账户已冻结"

    with shows(
        "C20", "K18", "The audit office sees all allocations by itself: which were approved, which wait, which failed"
    ):
        auditor = overseers("shenjiju", "platform")
        approved = {one["letter"] for one in auditor.letters("platform", kind="fund-allocation", state="approved")}
        waiting = {one["letter"] for one in auditor.letters("platform", kind="fund-allocation", state="applied")}
        assert letter in approved
        assert {early, wrong} <= waiting
        (payment,) = auditor.letters("platform", letter=failed)
        assert payment["state"] == "failed"
        reasons = [line["value"] for one in auditor.letter("platform", failed)["events"] for line in one["data"]]
        assert "账户已冻结" in reasons
        assert auditor.sees_nothing_else("platform")
