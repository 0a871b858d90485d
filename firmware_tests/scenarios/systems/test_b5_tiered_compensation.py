"""B5: the larger the compensation, the more people sign, in their order; every signature stays to be read."""

from __future__ import annotations

from appliance.api.letters.schemas import EventRequest
from appliance.client import Client
from appliance.letters.event import read_event
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import Offline, firm, number, refuses, yuan


def compensation(amount: str) -> dict[str, object]:
    return {
        "project_number": number("ZDB"),
        "payee": firm("佛山市融资担保有限公司"),
        "amount": yuan(amount),
        "reason": "被担保人破产清算",
    }


def test_b5_compensation_is_approved_by_amount(guarantor: Client, office: Office, offline: Offline) -> None:
    small, middle, large = (
        guarantor.begin_letter("compensation", compensation(amount)).happened.letter
        for amount in ("500000.00", "500000.01", "5000000.01")
    )
    paid = {"payment": number("LSH")}

    with shows("B5", "K11", "Half a million: one signature; a cent more: two; above five million: the board as well"):
        drafts = [guarantor.draft_event(one, "pay", data=paid) for one in (small, middle, large)]
        assert [draft.policies for draft in drafts] == [["pay"], ["pay", "senior"], ["pay", "senior", "board"]]

    with shows("B5", "K11", "Fewer than wanted, in the wrong order, or one person twice: refused, and nothing is paid"):
        with refuses("approval-missing", "senior"):
            office.event(guarantor, middle, "pay", by=["zhao-lei"], data=paid)
        with refuses("approval-missing"):
            office.event(guarantor, middle, "pay", by=["zhang-wei", "zhao-lei"], data=paid)
        with refuses("approval-missing", "board"):
            office.event(guarantor, large, "pay", by=["zhao-lei", "zhang-wei", "chen-jing", "chen-jing"], data=paid)
        with refuses("approval-missing", "board"):
            office.event(guarantor, large, "pay", by=["zhao-lei", "zhang-wei", "he-jun"], data=paid)
        assert {guarantor.letter(one).state for one in (middle, large)} == {"proposed"}

    with shows("B5", "K11", "With two of the board's three, in order, the large one is paid"):
        by = ["zhao-lei", "zhang-wei", "chen-jing", "xu-lan"]
        done = office.event(guarantor, large, "pay", by=by, data=paid)
        assert done.state == "paid"

    with shows(
        "B5", "K11", "A draft waits for its approvers, who sign when they come to it; before all have, nothing happens"
    ):
        waits = guarantor.keep_event_draft(middle, EventRequest(event="pay", data=paid))
        once = office.approve_kept(guarantor, waits, "zhao-lei")
        assert (once.state, [one.approver for one in once.approved]) == ("open", ["zhao-lei"])
        with refuses("approval-missing", "senior"):
            guarantor.finish_draft(waits.draft)
        assert office.approve_kept(guarantor, waits, "zhang-wei").state == "complete"
        assert guarantor.finish_draft(waits.draft).state == "paid"

    with shows(
        "B5", "K11 K16", "Every approval stands in the sealed event with person, step and signature, offline too"
    ):
        approvals = read_event(done.happened.event).approvals
        assert [(one.approver, one.step) for one in approvals] == list(zip(by, (0, 1, 2, 2), strict=True))
        assert offline.passes(guarantor.evidence(large))
