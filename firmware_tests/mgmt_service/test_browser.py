"""Officers' pages in a real browser: enrolment, sign-in, a ceremony from template to transcript, and a picture of each.

Every page is looked at in both languages and both colour schemes; a page that complains on its console, or breaks the
content security policy, fails.
"""

from __future__ import annotations

import re

from playwright.sync_api import expect

from firmware_tests.browsers import Browsers, OfficerBrowser
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.mgmt_service.pictures import pictures


def enrol(officer: OfficerBrowser, managed: ManagedBox, person: str) -> None:
    officer.page.goto(managed.origin() + managed.invite(person, person.title()))
    officer.page.get_by_label("What is it on?").fill("blue key")
    officer.page.get_by_role("button", name="Make the passkey").click()
    officer.page.wait_for_url("**/me")


def test_an_officer_signs_in_and_holds_a_ceremony(managed: ManagedBox, chromium: Browsers) -> None:
    officer = chromium.officer("ann")
    page = officer.page
    page.goto(managed.origin() + "/ceremonies")
    assert "/sign-in" in page.url
    pictures(officer, "sign-in")
    page.goto(managed.origin() + managed.invite("ann", "Ann"))
    pictures(officer, "enrol")
    enrol(officer, managed, "ann")
    pictures(officer, "me")
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("signed out")
    page.goto(managed.origin() + "/sign-in?next=/officers")
    page.get_by_role("button", name="Sign in with your passkey").click()
    page.wait_for_url("**/officers")
    pictures(officer, "officers")
    page.goto(managed.origin() + "/")
    pictures(officer, "overview")
    page.goto(managed.origin() + "/ceremonies/new")
    pictures(officer, "ceremonies-new")
    for slug in ("seal-key", "rotate-a-key", "new-tenant", "back-up-keys", "install-kind"):
        page.goto(managed.origin() + f"/ceremonies/new/{slug}")
        pictures(officer, f"form-{slug}")
    page.goto(managed.origin() + "/ceremonies/new/replace-officers")
    pictures(officer, "form-replace-officers")
    expect(page.get_by_role("heading", name="Change the officers")).to_be_visible()
    page.locator("#t-0").fill("2")
    page.get_by_label("Why").fill("More eyes on the box\u202e and a hidden mark")
    page.get_by_role("button", name="Read it in plain words").click()
    expect(page.get_by_role("heading", name="Read it before you hand it in")).to_be_visible()
    officer.shot("management-review")
    page.get_by_role("button", name="Hand it in").click()
    page.wait_for_url(re.compile(r"/ceremonies/[0-9a-f]{64}$"))
    digest = page.url.rpartition("/")[2]
    pictures(officer, "ceremony-unsigned")
    link = page.get_by_role("link", name="Sign the request").get_attribute("href")
    assert link == f"{managed.origin('approve.localhost')}/proposals/{digest}"
    managed.say(digest, "request ann", "approve bo")
    page.get_by_role("button", name="Execute it now").wait_for(timeout=10_000)  # the page follows by itself
    pictures(officer, "ceremony-approved")
    page.get_by_role("button", name="Execute it now").click()
    page.get_by_text("It is done.").wait_for(timeout=15_000)
    pictures(officer, "ceremony-executed")
    page.get_by_role("link", name="Transcript").click()
    pictures(officer, "transcript")
    page.goto(managed.origin() + "/ceremonies")
    pictures(officer, "ceremonies")
    page.goto(managed.origin() + "/no-such-page")
    pictures(officer, "not-found")
    assert officer.complaints == []


def test_a_link_from_the_approval_origin_keeps_one_signed_in(managed: ManagedBox, chromium: Browsers) -> None:
    officer = chromium.officer("bo")
    enrol(officer, managed, "bo")
    officer.page.goto(managed.origin("approve.localhost"))
    officer.page.evaluate("address => { window.location = address }", managed.origin() + "/officers")
    officer.page.get_by_role("heading", name="Officers", exact=True).wait_for()


def test_whoever_has_no_role_is_told_what_to_do(managed: ManagedBox, chromium: Browsers) -> None:
    officer = chromium.officer("fay")
    enrol(officer, managed, "fay")
    expect(officer.page.get_by_text("You have no role yet")).to_be_visible()
    pictures(officer, "me-without-role")
    officer.page.goto(managed.origin() + "/officers")
    pictures(officer, "no-role")
    officer.page.goto(managed.origin() + "/me")
    officer.page.get_by_role("button", name="Make a passkey for approvals").click()
    officer.page.wait_for_url("https://approve.localhost:*/enrol/*")
    assert officer.complaints == []
