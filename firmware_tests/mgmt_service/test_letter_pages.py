"""Pages about letters and their kinds in a real browser: looked at, walked, and held to what they must not show."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from firmware_tests.accessible import findings, lost_focus
from firmware_tests.browsers import OfficerBrowser
from firmware_tests.mgmt_service.lettered import CONTACT, HOSTILE, Letters, intake_run, letters_of_demo
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.mgmt_service.pictures import fits, pictures
from firmware_tests.running import wait_until


@pytest.fixture(scope="module")
def letters(managed: ManagedBox) -> Letters:
    return letters_of_demo(managed)


def look(officer: OfficerBrowser, name: str) -> None:
    pictures(officer, name)
    fits(officer.page)
    wrong = findings(officer.page) + [f"dark: {one}" for one in findings(officer.page, scheme="dark")]
    wrong += [f"focus: {one}" for one in lost_focus(officer.page)]
    assert not wrong, "\n".join(wrong)
    assert officer.complaints == []


def test_kinds_are_seen_with_their_life(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.goto(managed.origin() + "/kinds/demo")
    look(officer, "kinds")
    page.get_by_role("link", name="Bid bond", exact=True).click()
    expect(page.get_by_role("heading", name="Bid bond")).to_be_visible()
    # Asked from here, since the page's own policy forbids to evaluate texts in it.
    wait_until(lambda: page.locator("img.picture").evaluate("image => image.naturalWidth") > 200, 30, "the picture")
    look(officer, "kind")


def test_a_kind_s_page_says_whose_an_event_is(ann: Visitor) -> None:
    page = ann.get("/kinds/demo/credit-voucher").text
    assert "Only acting for" in page
    assert "holder: Holder" in page


def test_a_letter_is_found_read_and_taken_away(managed: ManagedBox, officer: OfficerBrowser, letters: Letters) -> None:
    page = officer.page
    page.goto(managed.origin() + "/letters/demo")
    look(officer, "letters")
    page.get_by_label("Kind").select_option("bid-bond")
    page.get_by_role("button", name="Find").click()
    page.locator(f"a[href$='{letters.bond}']").click()
    expect(page.get_by_role("heading", name="Bid bond", exact=False).first).to_be_visible()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    page.get_by_text("Proofs of event 1").click()
    look(officer, "letter")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the evidence (.asice)").click()
    with managed.client() as client:
        assert started.value.path().read_bytes() == client.evidence(letters.bond)


def test_a_split_leads_to_its_parts_and_back(managed: ManagedBox, officer: OfficerBrowser, letters: Letters) -> None:
    page = officer.page
    page.goto(f"{managed.origin()}/letters/demo/{letters.voucher}")
    page.locator(f"a[href$='{letters.part}']").first.click()
    expect(page.get_by_text("This letter was split off by it.")).to_be_visible()
    look(officer, "letter-part")
    expect(page.get_by_text("then: ").first).to_be_visible()
    page.locator(f"a[href$='{letters.voucher}']").first.click()
    expect(page.get_by_text("it was split into").first).to_be_visible()


def test_counts_are_drawn_against_their_limits(managed: ManagedBox, officer: OfficerBrowser, letters: Letters) -> None:
    page = officer.page
    page.goto(f"{managed.origin()}/usage/demo")
    expect(page.get_by_role("heading", name="Outstanding of a debtor")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Core company").first).to_be_visible()
    assert page.locator("svg.chart rect").count() >= 28
    look(officer, "usage")


def test_what_is_counted_is_what_happened(ann: Visitor, letters: Letters) -> None:
    shown = ann.get("/api/v1/usage/demo").json()
    (debtor,) = [one for one in shown["counters"] if one["counter"].startswith("credit-voucher/debtor/")]
    assert debtor["by_whom"] is True
    assert {one["label"] for one in debtor["largest"]} == {"Core company 91440101MA5CYYYY2K"}
    assert "<meter" not in ann.get("/usage/demo").text, "a bar is of a limit, and none is set"
    assert sum(one["events"] for one in shown["bars"]) == shown["events"] >= 7
    counted = {(one["event"], one["kind"]): one["count"] for one in shown["costs"]}
    assert counted["Claim", "Bid bond"] >= 1
    assert ann.get("/api/v1/usage/demo", params={"month": "2026-13"}).status_code == 422
    assert ann.get("/api/v1/usage/demo", params={"month": "2020-01"}).json()["events"] == 0


def test_an_intake_run_with_its_verdicts(
    managed: ManagedBox, officer: OfficerBrowser, ann: Visitor, dora: Visitor
) -> None:
    run = intake_run(managed)
    page = officer.page
    page.goto(f"{managed.origin()}/intakes/demo")
    look(officer, "intakes")
    page.locator(f"a[href$='{run}']").click()
    page.get_by_role("link", name=re.compile("^Refused")).click()
    expect(page.get_by_role("row")).to_have_count(2)
    look(officer, "intake")
    path = f"/api/v1/intakes/demo/{run}"
    shown = {
        only: [one["verdict"] for one in ann.get(path, params={"only": only}).json()["verdicts"]]
        for only in ("", "accepted", "duplicate", "refused")
    }
    assert shown == {
        "": ["accepted", "accepted", "duplicate", "refused"], "accepted": ["accepted"] * 2, "duplicate": ["duplicate"],
        "refused": ["refused"],
    }  # fmt: skip
    for number in (10**22, 1 << 63, -1):
        assert ann.get("/api/v1/intakes/demo", params={"before": str(number)}).status_code == 422
        assert ann.get(path, params={"first": str(number)}).status_code == 422
    table = ann.get(f"/intakes/demo/{run}/verdicts").text.splitlines()
    assert table[0].endswith("row,verdict,letter,code,column,text")
    assert len(table) == 5
    for more in ("", f"/{run}", f"/{run}/verdicts"):
        assert dora.get(f"/api/v1/intakes/demo{more}").status_code == 404
    foreign, unknown = (dora.get(f"/api/v1/intakes/other/{one}") for one in (run, "0" * 32))
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())


def test_a_hidden_value_is_shown_to_whoever_asks_and_that_is_on_record(ann: Visitor, letters: Letters) -> None:
    path = f"/api/v1/letters/demo/{letters.institution}"
    assert CONTACT not in ann.get(path).text
    assert CONTACT in ann.get(path, params={"hidden": "on"}).text
    newest = ann.get("/api/v1/audit/demo", params={"kind": "administration", "text": "content-read"}).json()
    said = json.loads(newest["entries"][0]["content"])
    assert said["person"] == "ann"
    assert json.loads(said["filter"]) == {"hidden": True, "letter": letters.institution}


def test_evidence_tells_what_was_chosen_and_is_the_applications_own(
    managed: ManagedBox, ann: Visitor, letters: Letters
) -> None:
    path = f"/letters/demo/{letters.institution}/evidence"
    wait_until(lambda: ann.get(path).status_code == 200, 20, "a signed head over the letter")
    with managed.client() as client:
        assert ann.get(path).content == client.evidence(letters.institution)
        told = client.evidence(letters.institution, disclose=["contact"])
        assert ann.get(path, params={"disclose": "contact"}).content == told
    assert CONTACT.encode() not in ann.get(path).content


def test_letters_are_found_by_what_is_asked(ann: Visitor, letters: Letters) -> None:
    def found(**asked: str) -> set[str]:
        answer = ann.get("/api/v1/letters/demo", params=asked)
        assert answer.status_code == 200, answer.text
        return {one["letter"] for one in answer.json()["letters"]}

    everything = {letters.bond, letters.institution, letters.voucher, letters.part}
    assert everything <= found()
    assert letters.bond in found(kind="bid-bond", state="issued")
    assert letters.bond not in found(kind="bid-bond", state="released")
    assert found(letter=letters.part) == {letters.part}
    newest = ann.get("/api/v1/audit/demo", params={"kind": "administration", "text": "content-read"}).json()
    asked = [json.loads(json.loads(one["content"])["filter"]) for one in newest["entries"][:2]]
    assert asked == [{"letter": letters.part}, {"letters": {"kind": "bid-bond", "state": "released"}}]
    assert found(letter="0" * 32) == found(letter="x") == set()
    assert "No letter is like that" in ann.get("/letters/demo", params={"letter": "0" * 32}).text
    assert found(until="2026-01-01T00:00") == set()
    assert everything <= found(since="2026-01-01T00:00")
    assert ann.get("/api/v1/letters/demo", params={"since": "x"}).status_code == 422


def test_markup_of_applications_is_text(ann: Visitor, letters: Letters) -> None:
    for path in ("/letters/demo", f"/letters/demo/{letters.bond}"):
        page = ann.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in re.sub(r"[0-9a-f]{12,}|\d{4}-\d\d-\d\d.{9}", "", page.partition("扩建工程")[0][-60:])


def test_an_overseer_reads_letters_as_anybody_may_who_is_shown_them(
    managed: ManagedBox, ann: Visitor, letters: Letters
) -> None:
    ann.sign_in()
    reader = {"person": "vera", "name": "Vera", "role": "overseer", "scope": "tenant/demo"}
    assert ann.post("/api/v1/officers/readers", json=reader).status_code == 200
    vera = managed.signed_in("vera")
    path = f"/api/v1/letters/demo/{letters.institution}"
    shown = vera.get(path)
    assert shown.status_code == 200
    assert [one["shown"] for one in shown.json()["fields"] if one["name"] == "contact"] == [False]
    assert vera.get(path, params={"hidden": "on"}).status_code == 403
    wait_until(lambda: vera.get(f"{path}/evidence").status_code == 200, 20, "a signed head over the letter")
    assert vera.get(f"{path}/evidence", params={"disclose": "contact"}).status_code == 403
    assert letters.bond in {one["letter"] for one in vera.get("/api/v1/letters/demo").json()["letters"]}
    assert "/audit/" not in vera.get(f"/letters/demo/{letters.bond}").text.partition("<main")[2].partition("</main>")[0]
    assert vera.get("/api/v1/kinds/demo/bid-bond").status_code == 200
    for foreign in ("letters/other", "kinds/other"):
        assert vera.get(f"/api/v1/{foreign}").status_code == 404, foreign
    for inside in ("audit/demo", "records/demo", "usage/demo", "intakes/demo", "approvals/demo", "tenants/demo"):
        assert vera.get(f"/api/v1/{inside}").status_code == 403, inside
    assert vera.get("/api/v1").json()["logs"] == []
    assert ann.post(
        "/api/v1/officers/readers/dismiss", json={n: reader[n] for n in ("person", "role", "scope")}
    ).is_success
    assert vera.get(path).status_code == 401


def test_another_tenants_letters_are_not_there(ann: Visitor, dora: Visitor, letters: Letters) -> None:
    for path in ("", f"/{letters.bond}", f"/{letters.bond}/evidence"):
        assert dora.get(f"/api/v1/letters/demo{path}").status_code == 404
    unknown = dora.get(f"/api/v1/letters/other/{'0' * 32}")
    foreign = dora.get(f"/api/v1/letters/other/{letters.bond}")
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())
    assert dora.get(f"/api/v1/letters/other/{letters.bond}/evidence").status_code == 404
    assert dora.get("/api/v1/letters/other").json()["total"] == 0
    assert ann.get("/api/v1/letters/@box").status_code == 404
    assert ann.get("/api/v1/kinds/@box").status_code == 404
