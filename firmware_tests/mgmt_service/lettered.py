"""Letters of the tenant demo for the pages: one with a hostile field, a claim and a page; a voucher that was split."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from dataclasses import dataclass

from appliance.api.letters.draft_schemas import KeptDraft
from appliance.api.letters.schemas import LetterRequest
from appliance.ceremonies.actions import ApprovalTier, SetApprovalPolicy
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.running import wait_until

HOSTILE = '<script>alert(1)</script> & {{ 7*7 }} "扩建工程" <img src=x onerror=alert(1)>'
"""What an application may write: markup is text to the box."""
HOSTILE_CELL = "<b>bold</b> =1+1"
CONTACT = "Lin Mei, extension 4021"
LARGE = {"amount": "1000000.01", "currency": "CNY"}


@dataclass(frozen=True)
class Letters:
    bond: str
    institution: str
    """With a hidden value, CONTACT."""
    voucher: str
    part: str


def letters_of_demo(managed: ManagedBox) -> Letters:
    with managed.client() as client:
        bond = client.begin_letter("bid-bond", bond_fields(project=HOSTILE), document=True).happened.letter
        claim = {"claimed": {"amount": "120000.00", "currency": "CNY"}, "reason": HOSTILE}
        client.letter_event(bond, "claim", data=claim)
        client.letter_event(bond, "refuse", data={"reason": "Out of time."})
        institution = client.begin_letter("institution", _institution()).happened.letter
        voucher = client.begin_letter("credit-voucher", _voucher()).happened.letter
        client.letter_event(voucher, "confirm")
        parts = [
            {"amount": {"amount": amount, "currency": "CNY"}, "holder": {"name": name, "id": f"9144{at}"}}
            for at, (name, amount) in enumerate([("Supplier two", "30000.00"), ("Supplier three", "20000.00")])
        ]
        answer = client.letter_event(voucher, "transfer", data={"parts": parts})
    return Letters(bond, institution, voucher, answer.parts[0])


def bond_fields(**changed: object) -> dict[str, object]:
    return FIELDS | {"tender_code": f"T-{uuid.uuid4().hex[:12]}"} | changed


def _institution() -> dict[str, object]:
    return {
        "institution": {"name": "华南担保有限公司", "id": uuid.uuid4().hex[:18].upper()},
        "category": "guarantor",
        "scope": "Bid bonds",
        "limit": {"amount": "50000000.00", "currency": "CNY"},
        "licence": "ab" * 32,
        "contact": CONTACT,
    }


def _voucher() -> dict[str, object]:
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "number": f"V-{uuid.uuid4().hex[:12]}",
        "debtor": {"name": "Core company", "id": "91440101MA5CYYYY2K"},
        "holder": {"name": "Supplier one", "id": "91440101MA5CZZZZ3K"},
        "face": {"amount": "50000.00", "currency": "CNY"},
        "issued_on": f"{today}",
        "due": f"{today + datetime.timedelta(days=180)}",
        "trade": uuid.uuid4().hex * 2,
    }


def placed_order() -> dict[str, object]:
    """Fields of an order that is confirmed by approvals; what was ordered is hostile."""
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "number": f"PO-{uuid.uuid4().hex[:12]}",
        "buyer": {"name": "Core company", "id": "91440101MA5CYYYY2K"},
        "supplier": {"name": "Supplier one", "id": "91440101MA5CZZZZ3K"},
        "amount": {"amount": "1500000.00", "currency": "CNY"},
        "pay_by": f"{today + datetime.timedelta(days=90)}",
        "items": [{"item": HOSTILE, "quantity": "500", "price": {"amount": "3000.00", "currency": "CNY"}}],
    }


def policy_of_demo(managed: ManagedBox) -> None:
    """The policy `issue` of demo by a ceremony: two of ann, bo and eli, who is an officer of `other` alone."""
    tier = ApprovalTier(up_to="", currency="CNY", approvers=["ann", "bo", "eli"], threshold=2, in_order=False)
    action = SetApprovalPolicy(tenant="demo", policy="issue", tiers=[tier])
    managed.decide(action)


def kept_draft(managed: ManagedBox, **changed: object) -> KeptDraft:
    """A draft that waits for approvals by the policy `issue`."""
    with managed.client() as client:
        return client.keep_letter_draft(LetterRequest(kind="bid-bond", fields=bond_fields(amount=LARGE, **changed)))


def intake_run(managed: ManagedBox) -> str:
    """A file of four bonds: two are good, one is a duplicate of the first, one has an amount that is none."""
    header = "tender_code,project,bidder.name,bidder.id,beneficiary.name,beneficiary.id,amount.amount,amount.currency"
    code = uuid.uuid4().hex[:10]
    rows = [
        f"T-{code}-{number},{HOSTILE_CELL},Builder,B1,Owner,O1,{amount},CNY,2099-11-30T09:30:00+08:00,2099-12-31"
        for number, amount in ((1, "1000.00"), (2, "2000.00"), (1, "1000.00"), (3, "many"))
    ]
    content = "\r\n".join([f"{header},opening,valid_until", *rows, ""]).encode()
    with managed.client() as client:
        run = client.begin_intake(
            "bid-bond", "csv", len(content), hashlib.sha256(content).hexdigest(), row_key=["tender_code"]
        )
        client.send_intake_part(run.intake, 0, content)
        wait_until(lambda: client.intake(run.intake).state in ("done", "failed", "stopped"), 30, "the run")
        done = client.intake(run.intake)
    assert done.state == "done", done
    return done.intake
