"""Letters checked by whoever holds them, with the code and a second field: by JSON and on the plain page."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright

from appliance.client import Client
from firmware_tests.browsers import CHROMIUM
from firmware_tests.letters.test_letters import bid
from firmware_tests.running import RunningBox


@pytest.fixture
def anybody(letter_box: RunningBox):
    """A stranger with the box's CA, and no certificate of its own."""
    context = ssl.create_default_context(cafile=str(letter_box.home.trust / "box-ca.pem"))
    with httpx.Client(base_url=f"https://{letter_box.address('public')}", verify=context) as client:
        yield client


def test_who_has_the_letter_is_told_what_its_kind_makes_public(client: Client, anybody: httpx.Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    found = anybody.post("/v1/check", json={"code": letter, "second": f" {fields['tender_code']} ".lower()}).json()
    assert found["state"] == {"en": "Issued", "zh": "已出函"}
    assert {one["name"]: one["value"] for one in found["fields"]} == {
        name: fields[name] for name in ("tender_code", "amount", "valid_until")
    }
    client.letter_event(letter, "release")
    found = anybody.post("/v1/check", json={"code": letter, "second": fields["tender_code"]}).json()
    assert (found["state"]["en"], found["final"]) == ("Released", True)
    assert "bidder" not in str(found)


def test_wrong_codes_and_wrong_fields_are_answered_alike(client: Client, anybody: httpx.Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    asked = [
        {"code": "00" * 16, "second": fields["tender_code"]},
        {"code": letter, "second": "T-0"},
        {"code": letter, "second": ""},
    ]
    answers = [anybody.post("/v1/check", json=one) for one in asked]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    pages = [anybody.post(f"/letters/{one['code']}", data={"second": one["second"]}) for one in asked]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text.replace(str(one["code"]), "") for page, one in zip(pages, asked, strict=True)}) == 1


def test_the_plain_page_in_a_browser(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    fields = bid(project="<script>alert(1)</script>")
    letter = client.begin_letter("bid-bond", fields).happened.letter
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(ignore_https_errors=True, viewport={"width": 480, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(f"https://{letter_box.address('public')}/letters/{letter}")
        page.get_by_label("第二项要素").fill(str(fields["tender_code"]))
        page.screenshot(path=tmp_path / "form.png")
        page.get_by_role("button").click()
        assert "已出函" in page.inner_text("main")
        assert "CNY 500000.00" in page.inner_text("main")
        page.screenshot(path=tmp_path / "answer.png")
        assert page.locator("script").count() == 0
        assert complaints == []
        browser.close()
