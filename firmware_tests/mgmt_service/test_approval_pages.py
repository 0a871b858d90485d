"""The work list of approvers, and the page of the approval origin on which they sign: walked in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import expect

from appliance.api.letters.draft_schemas import KeptDraft
from appliance.api.letters.schemas import EventRequest
from appliance.ceremonies import Constitution, decode
from appliance.client import Refused
from appliance.letters.event import ApprovalStep
from firmware_tests.accessible import findings
from firmware_tests.browsers import Browsers, OfficerBrowser
from firmware_tests.letters.approving import by_passkey, text_of
from firmware_tests.mgmt_service.lettered import HOSTILE, kept_draft, placed_order, policy_of_demo
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.mgmt_service.pictures import fits, pictures
from firmware_tests.officers import SoftwareOfficer
from mgmt_service.roles import Role, viewer_of


@pytest.fixture(scope="module")
def approving(managed: ManagedBox) -> ManagedBox:
    """The box with a policy: two of ann, bo and eli; eli is an officer of the other tenant alone."""
    policy_of_demo(managed)
    return managed


def with_approval_passkey(browser: OfficerBrowser, officer: SoftwareOfficer) -> None:
    """The browser's authenticator holds the officer's approval passkey."""
    key = officer.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    credential = {
        "credentialId": base64.b64encode(officer.credential_id).decode(),
        "isResidentCredential": True,
        "rpId": "approve.localhost",
        "privateKey": base64.b64encode(key).decode(),
        "userHandle": base64.b64encode(officer.name.encode()).decode(),
        "signCount": 0,
    }
    browser.session.send("WebAuthn.addCredential", {"authenticatorId": browser.authenticator, "credential": credential})


def assertion(officer: SoftwareOfficer, text: bytes, **wrong: Any) -> dict[str, Any]:
    """What the approval page sends."""
    given: dict[str, Any] = json.loads(base64.b64decode(by_passkey(officer, text, **wrong).signature))
    return given


def test_an_approver_finds_reads_and_signs(approving: ManagedBox, chromium: Browsers, ann: Visitor) -> None:
    kept = kept_draft(approving, project=HOSTILE)
    browser = chromium.officer("ann")
    page = browser.page
    page.goto(approving.origin() + approving.invite("ann", "Ann"))
    page.locator("form[data-passkey] button").click()
    page.wait_for_url("**/me")
    with_approval_passkey(browser, approving.officers["ann"])
    page.goto(approving.origin() + "/approvals")
    expect(page.get_by_text("Waits for you").first).to_be_visible()
    pictures(browser, "approvals")
    fits(page)
    page.goto(f"{approving.origin()}/approvals/demo/{kept.draft}")
    pictures(browser, "approval")
    fits(page)
    assert not findings(page) + findings(page, scheme="dark")
    assert HOSTILE not in page.content(), "what is signed is read on the approval origin"
    page.get_by_role("link", name="Read and sign").click()
    page.wait_for_url(f"{approving.origin('approve.localhost')}/drafts/{kept.draft}")
    page.wait_for_selector("#draft:not([hidden])")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("#digest").text_content() == hashlib.sha256(text_of(kept)).hexdigest()
    expect(page.get_by_text("You approve step 1 of it, under the approval policy issue.").first).to_be_visible()
    browser.shots("approval-draft")
    assert not findings(page) + findings(page, scheme="dark")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Your approval is kept with the draft.")).to_be_visible()
    browser.shot("approval-draft-signed")
    assert browser.complaints == []
    shown = ann.get(f"/api/v1/approvals/demo/{kept.draft}").json()
    assert shown["steps"][0]["signed"] == ["Ann"]
    assert shown["mine"] is False
    assert shown["may_sign"] == ["Bo", "Eli"]


def test_an_approver_of_a_later_event_sees_which_letter_it_is_about(approving: ManagedBox, ann: Visitor) -> None:
    """Clear values as they stand, also to an approver who reads nothing else of the tenant."""
    order = placed_order()
    with approving.client() as client:
        letter = client.begin_letter("purchase-order", order).happened.letter
        kept = client.keep_event_draft(letter, EventRequest(event="confirm"))
    eli = approving.signed_in("eli")
    for viewer in (ann, eli):
        shown = viewer.get(f"/api/v1/approvals/demo/{kept.draft}").json()
        assert {one["name"]: one["value"] for one in shown["fields"]}["amount"] == "1,500,000.00 CNY"
        assert shown["row"]["state"] == "placed"
        listed = next(one for one in viewer.get("/api/v1/approvals").json()["drafts"] if one["draft"] == kept.draft)
        assert str(order["number"]) in listed["row"]["gist"]
        page = viewer.get(f"/approvals/demo/{kept.draft}").text
        assert "The letter as it stands" in page
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    beginning = kept_draft(approving)
    told = ann.get(f"/api/v1/approvals/demo/{beginning.draft}").json()
    assert (told["row"], told["fields"]) == (None, [])


def test_when_enough_have_signed_the_application_has_it_happen(approving: ManagedBox, ann: Visitor) -> None:
    kept = kept_draft(approving)
    page = approving.visitor().at("approve.localhost")
    path = f"/api/drafts/{kept.draft}"
    signed = page.post(f"{path}/passkey", json=assertion(approving.officers["ann"], text_of(kept)))
    assert signed.status_code == 200, signed.text
    assert signed.json()["state"] == "open"
    assert page.post(f"{path}/passkey", json=assertion(approving.officers["ann"], text_of(kept))).status_code == 403
    made_elsewhere = by_passkey(approving.officers["eli"], text_of(kept))
    brought = page.post(
        f"{path}/approvals",
        json=msgspec.to_builtins(made_elsewhere),
    )
    assert brought.json()["state"] == "complete", brought.text
    assert "text" not in brought.json() or not brought.json()["text"], "what wants no approval is told to nobody"
    with approving.client() as client:
        letter = client.finish_draft(kept.draft).happened.letter
    shown = ann.get(f"/api/v1/letters/demo/{letter}").json()
    assert [one["person"] for one in shown["events"][0]["approvals"]] == ["ann", "eli"]
    assert page.get(path).status_code == 404


def refused(answer: Any) -> str:
    assert answer.status_code in {400, 403, 409, 422}, answer.text
    return str(answer.json()["detail"])


def test_a_signature_over_anything_else_is_refused(approving: ManagedBox) -> None:
    kept, other = kept_draft(approving), kept_draft(approving)
    page = approving.visitor().at("approve.localhost")
    path, ann = f"/api/drafts/{kept.draft}/passkey", approving.officers["ann"]
    assert "something else was signed" in refused(page.post(path, json=assertion(ann, text_of(other))))
    digest = hashlib.sha256(text_of(kept)).digest()
    for heading in (
        ApprovalStep(policy="issue", step=1),
        ApprovalStep(policy="senior", step=0),
        ApprovalStep(limits=["bid-bond/bank"], policy="issue", step=0),
    ):
        elsewhere = heading.heading() + kept.text
        assert "something else was signed" in refused(page.post(path, json=assertion(ann, elsewhere))), heading
    for wrong in ({"origin": "https://localhost"}, {"rp_id": "localhost"}, {"flags": 0x01}):
        assert refused(page.post(path, json=assertion(ann, text_of(kept), **wrong))), wrong
    assert "no approver's" in refused(page.post(path, json=assertion(SoftwareOfficer("ann"), text_of(kept))))
    assert "no approver" in refused(page.post(path, json=assertion(approving.officers["cai"], text_of(kept))))
    statement = ann.sign("approve", digest.hex()).evidence
    forged = assertion(ann, text_of(kept)) | {
        "response": {
            "authenticatorData": statement.authenticator_data,  # type: ignore[union-attr]
            "clientDataJSON": statement.client_data_json,  # type: ignore[union-attr]
            "signature": statement.signature,  # type: ignore[union-attr]
        }
    }
    assert "something else was signed" in refused(page.post(path, json=forged)), (
        "a ceremony's word is none over a letter"
    )
    assert page.get(f"/api/drafts/{kept.draft}").json()["approved"] == []


def test_words_of_a_draft_are_told_of_drafts_alone(approving: ManagedBox) -> None:
    kept = kept_draft(approving)
    page = approving.visitor().at("approve.localhost")
    told = page.post("/api/draft-words", json={"text": text_of(kept).decode()})
    assert told.status_code == 200
    assert any("1000000.01 CNY" in line for line in told.json()["en"])
    assert told.json()["management"].endswith("/approvals/demo")
    for text in (
        "",
        "cinnabar letter approval v1\n{}",
        "cinnabar letter approval v2\n{}\n{}",
        text_of(kept).decode() + " ",
        kept.text.decode(),
        "x" * 300_000,
    ):
        assert page.post("/api/draft-words", json={"text": text}).status_code in {400, 413, 422}


def test_drafts_are_their_tenants_own(approving: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    kept = kept_draft(approving)
    for path in ("", f"/{kept.draft}", f"/{kept.draft}/file"):
        assert dora.get(f"/api/v1/approvals/demo{path}").status_code == 404
    foreign, unknown = (dora.get(f"/api/v1/approvals/other/{one}") for one in (kept.draft, "0" * 64))
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())
    assert dora.get("/api/v1/approvals").json()["drafts"] == []
    assert kept.draft in {one["draft"] for one in ann.get("/api/v1/approvals").json()["drafts"]}
    file = ann.get(f"/approvals/demo/{kept.draft}/file")
    assert msgspec.json.decode(file.content, type=KeptDraft).text == kept.text
    assert approving.visitor().at("approve.localhost").get(f"/api/drafts/{'0' * 64}").status_code == 404
    with pytest.raises(Refused), approving.client("other") as client:
        client.kept_draft(kept.draft)


def test_an_approver_who_is_no_officer_sees_what_waits_and_nothing_else(approving: ManagedBox) -> None:
    kept = kept_draft(approving)
    eli = approving.signed_in("eli")
    assert ["approver", "tenant/demo"] in eli.get("/api/v1/me").json()["roles"]
    mine = {one["draft"]: one["mine"] for one in eli.get("/api/v1/approvals").json()["drafts"]}
    assert mine[kept.draft] is True
    for path in ("letters/demo", "kinds/demo", "audit/demo", "records/demo", "tenants/demo", "usage/demo"):
        assert eli.get(f"/api/v1/{path}").status_code == 404, path
    assert {log["tenant"] for log in eli.get("/api/v1").json()["logs"]} == {"other"}


def test_roles_follow_the_policies(approving: ManagedBox) -> None:
    with approving.desk() as desk:
        constitution = decode(desk.constitution(), Constitution)
        assert desk.approving()["demo"] == ["ann", "bo", "eli"]
    named = viewer_of("eli", "Eli", constitution, [], {"demo": ["eli"], "gone": ["eli"]})
    assert (Role.APPROVER, "tenant/demo") in named.roles
    assert (Role.APPROVER, "tenant/gone") not in named.roles
    assert viewer_of("fay", "Fay", constitution, [], {"demo": ["fay"]}).roles == frozenset(), "no person of the law"
    assert viewer_of("eli", "Eli", None, [], {"demo": ["eli"]}).roles == frozenset()
