"""Forms about witnesses, ends of algorithms and hashes of logs in a real browser: first wrong, then right."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from appliance.evidence.directory import read_directory
from appliance.keymaster.certificates.trust_bundles import read_last
from appliance.log.note import COSIGNATURE_V1, VerifierKey
from firmware_tests.accessible import findings
from firmware_tests.browsers import OfficerBrowser
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.mgmt_service.pictures import pictures, speak

WITNESS = str(VerifierKey("witness.regulator.example", bytes(range(32)), COSIGNATURE_V1))


def opened(managed: ManagedBox, officer: OfficerBrowser, title: str) -> Page:
    """A template from the list of them."""
    page = officer.page
    page.goto(managed.origin() + "/ceremonies/new")
    page.get_by_role("link", name=title, exact=True).click()
    page.get_by_role("heading", level=1, name=title).wait_for()
    page.get_by_label("Why").fill("The regulator wants it")
    return page


def read(page: Page) -> None:
    page.get_by_role("button", name="Read it in plain words").click()


def handed_in(page: Page) -> str:
    page.get_by_role("button", name="Hand it in").click()
    page.wait_for_url(re.compile(r"/ceremonies/[0-9a-f]{64}$"))
    return page.url.rpartition("/")[2]


def executed(managed: ManagedBox, page: Page) -> None:
    managed.say(handed_in(page), "request ann", "approve bo")
    page.get_by_role("button", name="Execute it now").click()
    page.get_by_text("It is done.").wait_for(timeout=15_000)


def sound(officer: OfficerBrowser) -> None:
    wrong = findings(officer.page) + [f"dark: {one}" for one in findings(officer.page, scheme="dark")]
    officer.page.emulate_media(color_scheme="light")
    assert not wrong, "\n".join(wrong)
    assert officer.complaints == []


def test_witnesses_are_added_by_key_and_address(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = opened(managed, officer, "Set the witnesses of a log")
    pictures(officer, "form-set-witnesses")
    page.get_by_label("Why").fill("The regulator wants it")
    page.get_by_label("Tenant").select_option("")
    first = page.get_by_role("group", name="Another witness, 1")
    first.get_by_label("Verifier key").fill("witness.regulator.example")
    first.get_by_label("Address").fill("https://witness.regulator.example")
    page.get_by_label("How many must cosign").fill("1")
    read(page)
    key = first.get_by_label("Verifier key")
    expect(key).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("group", name="Another witness, 3")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("Verifier key: No verifier key of a witness")
    page.get_by_role("alert").get_by_role("link").click()
    expect(key).to_be_focused()
    key.fill(WITNESS)
    first.get_by_label("Address").fill("http://witness.regulator.example")
    read(page)
    expect(first.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    sound(officer)
    officer.shot("management-form-set-witnesses-wrong")
    first.get_by_label("Address").fill("https://witness.regulator.example")
    page.get_by_label("How many must cosign").fill("2")
    read(page)
    expect(page.get_by_label("How many must cosign")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("How many must cosign").fill("1")
    read(page)
    expect(page.get_by_role("row", name=re.compile("Witnesses of the log of the box"))).to_contain_text("regulator")
    officer.shot("management-review-set-witnesses")
    sound(officer)
    handed_in(page)
    expect(page.get_by_text(f"{WITNESS}=https://witness.regulator.example")).to_be_visible()


def test_ends_of_algorithms_are_rows_that_begin_with_what_holds(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = opened(managed, officer, "Say until when algorithms may be relied on")
    pictures(officer, "form-set-algorithm-ends")
    page.get_by_label("Why").fill("Before it is too late")
    first, second = (page.get_by_role("group", name=f"End {number}") for number in (1, 2))
    second.get_by_label("Algorithm").select_option("rsa")
    second.get_by_label("Only keys of fewer bits than").fill("3000")
    read(page)
    expect(second.locator("[type=datetime-local]")).to_have_attribute("aria-invalid", "true")
    sound(officer)
    second.locator("[type=datetime-local]").fill("2098-12-31T23:59")
    first.get_by_label("Algorithm").select_option("sha256")
    first.locator("[type=datetime-local]").fill("2099-12-31T23:59")
    read(page)
    expect(page.get_by_role("row", name=re.compile("RSA < 3000"))).to_contain_text("2098-12-31T23:59:00Z")
    officer.shot("management-review-set-algorithm-ends")
    executed(managed, page)
    told = read_last(read_directory(managed.home.trust)).document.algorithms
    assert [(one.algorithm, one.below_bits) for one in told] == [("rsa", 3000), ("sha256", None)]  # type: ignore[union-attr]
    page = opened(managed, officer, "Say until when algorithms may be relied on")
    expect(first.get_by_label("Algorithm")).to_have_value("rsa")
    expect(first.locator("[type=datetime-local]")).to_have_value("2098-12-31T23:59")
    for row in (first, second):
        row.get_by_label("Algorithm").select_option("")
        row.get_by_label("Only keys of fewer bits than").fill("")
        row.locator("[type=datetime-local]").fill("")
    read(page)
    executed(managed, page)
    assert not read_last(read_directory(managed.home.trust)).document.algorithms


def test_a_renewal_that_was_decided_says_what_is_still_to_do(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = opened(managed, officer, "Renew the logs under another hash")
    pictures(officer, "form-renew-logs")
    page.get_by_label("Why").fill("Before it is too late")
    page.get_by_label("Hash of the logs").select_option("sm3")
    read(page)
    expect(page.get_by_role("row", name=re.compile("Log of the box"))).to_contain_text("/sm3")
    executed(managed, page)
    expect(page.locator(".note")).to_contain_text("cinnabar log renew --hash sm3 --home DIR")
    expect(page.get_by_text("Still to be done by command, once the box is stopped")).to_be_visible()
    pictures(officer, "ceremony-renew-logs")
    speak(page, "简体中文", page.url)
    expect(page.get_by_text("尚待在停机后以命令执行")).to_be_visible()
    speak(page, "English", page.url)
    sound(officer)


def test_lists_are_read_row_by_row_on_a_telephone(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.set_viewport_size({"width": 390, "height": 900})
    try:
        page.goto(managed.origin() + "/keys")
        cell = page.locator("table.list tbody tr").first.get_by_role("cell").nth(1)
        assert cell.evaluate("one => getComputedStyle(one, '::before').content") == '"State"'
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
        )
        sound(officer)
    finally:
        page.set_viewport_size({"width": 1100, "height": 900})
