"""Pages about keys, tenants, records, audit and the box in a real browser: looked at, and walked from link to link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from firmware_tests.accessible import findings, lost_focus
from firmware_tests.browsers import OfficerBrowser
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.mgmt_service.pictures import pictures

LISTS = ("keys", "tenants", "records", "audit", "supervision", "sign-ins", "settings", "updates", "verify")
WALKED = 60


@pytest.fixture(scope="module")
def officer(managed: ManagedBox, officer: OfficerBrowser) -> OfficerBrowser:
    managed.sealed(b"a bond for the pictures")
    return officer


def whole(officer: OfficerBrowser) -> None:
    """No text runs out of its page."""
    for width in (1100, 390):
        officer.page.set_viewport_size({"width": width, "height": 900})
        assert officer.page.evaluate("document.documentElement.scrollWidth") <= width, (officer.page.url, width)
    officer.page.set_viewport_size({"width": 1100, "height": 900})


def look(officer: OfficerBrowser, name: str) -> None:
    pictures(officer, name)
    whole(officer)
    wrong = findings(officer.page) + [f"dark: {one}" for one in findings(officer.page, scheme="dark")]
    wrong += [f"focus: {one}" for one in lost_focus(officer.page)]
    assert not wrong, "\n".join(wrong)
    assert officer.complaints == []


@pytest.mark.parametrize("name", LISTS)
def test_lists(managed: ManagedBox, officer: OfficerBrowser, name: str) -> None:
    officer.page.goto(f"{managed.origin()}/{name}")
    pictures(officer, name)
    whole(officer)
    assert officer.complaints == []


def test_a_key_leads_to_its_ceremony(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.goto(managed.origin() + "/keys")
    page.get_by_role("link", name="demo-seal", exact=True).click()
    page.wait_for_url("**/keys/demo/demo-seal")
    look(officer, "key")
    page.get_by_role("link", name=re.compile("^Rotate")).click()
    expect(page.get_by_role("heading", name="Rotate a key")).to_be_visible()
    expect(page.locator("[name='shared.key']")).to_have_value("demo-seal")
    expect(page.locator("[name='shared.successor']")).to_have_value("demo-seal-2")


def test_a_tenant_from_the_inside(managed: ManagedBox, officer: OfficerBrowser) -> None:
    officer.page.goto(managed.origin() + "/tenants/demo")
    look(officer, "tenant")


def test_a_seal_is_found_and_taken_away(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.goto(managed.origin() + "/records/demo")
    page.get_by_label("Kind").select_option("seal")
    page.get_by_role("button", name="Find").click()
    look(officer, "records-of-demo")
    page.get_by_role("link", name=re.compile("^See it")).first.click()
    expect(page.get_by_role("heading", name="Check it without this box")).to_be_visible()
    look(officer, "entry")
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile("^Seal .*p7s$")).click()
    assert started.value.suggested_filename.endswith(".p7s")


def test_an_audit_is_searched_counted_and_exported(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.goto(managed.origin() + "/audit/demo")
    look(officer, "audit-of-demo")
    page.get_by_role("navigation", name="About this log").get_by_role("link", name="Counts").click()
    look(officer, "counts")
    page.get_by_role("navigation", name="About this log").get_by_role("link", name="Exports").click()
    look(officer, "exports")
    page.get_by_label(re.compile("^JSON Lines")).check()
    page.get_by_role("button", name="Make the export").click()
    page.get_by_role("link", name=re.compile("^Download")).wait_for(timeout=30_000)  # the page follows by itself
    look(officer, "export")
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile("^Download")).click()
    assert started.value.suggested_filename.endswith(".jsonl")


def test_no_page_is_without_a_next_step_and_no_link_is_broken(managed: ManagedBox, officer: OfficerBrowser) -> None:
    """Every page that can be reached has a link or a button of its own; every link leads somewhere."""
    visitor = managed.signed_in("ann")
    waiting, seen = [f"/{name}" for name in LISTS], set()
    while waiting and len(seen) < WALKED:
        path = waiting.pop(0)
        if path in seen or path.startswith(("/live", "/api")):
            continue
        seen.add(path)
        answer = visitor.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        main = answer.text.partition("<main")[2].partition("</main>")[0]
        links = [link.replace("&amp;", "&") for link in re.findall(r'<a [^>]*href="(/[^"]*)"', main)]
        assert links or "<button" in main, f"{path} leads nowhere"
        waiting += [link for link in links if link not in seen]
    assert len(seen) == WALKED
