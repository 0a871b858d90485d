"""Every page of officers, the service's and the keymaster's, held to WCAG 2.2 AA as far as a machine can tell."""

from __future__ import annotations

import re

import pytest

from firmware_tests.accessible import findings, lost_focus, sticks_out
from firmware_tests.browsers import Browsers, OfficerBrowser
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.mgmt_service.pictures import LANGUAGES, speak
from mgmt_service import scripts
from mgmt_service.table import AREAS

OUTSIDE = ("/sign-in", "/enrol/no-such-link")
INSIDE = sorted(
    {
        operation.path
        for area in AREAS
        for operation in area.operations
        if operation.method == "GET" and operation.template is not None and "<" not in operation.path
    }
    - set(OUTSIDE)
)
"""Every page of the table that needs nothing to be named."""
FORMS = [
    *(f"/ceremonies/new/{one.slug}" for one in scripts.SCRIPTS),
    "/ceremonies/new/free?add=set-profile&add=authorise-enrolment",
]


@pytest.fixture(scope="module")
def digest(managed: ManagedBox) -> str:
    """A ceremony that waits for approval."""
    writer = managed.signed_in("cai")
    made = writer.submit({"action": "set-quota", "name": "demo", "quota": {}}, title="Let demo go on")
    managed.say(made, "request cai")
    return made


def judge(officer: OfficerBrowser, address: str, *, ready: str = "main") -> None:
    page = officer.page
    page.goto(address)
    page.wait_for_selector(ready)
    wrong = findings(page) + [f"dark: {one}" for one in findings(page, scheme="dark")]
    wrong += [f"focus: {one}" for one in lost_focus(page)] + [f"sticks out: {one}" for one in sticks_out(page)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", OUTSIDE)
def test_pages_before_signing_in(managed: ManagedBox, chromium: Browsers, path: str) -> None:
    judge(chromium.officer("nobody"), managed.origin() + path)


@pytest.mark.parametrize("path", INSIDE)
def test_pages(managed: ManagedBox, officer: OfficerBrowser, path: str) -> None:
    judge(officer, managed.origin() + path)


@pytest.mark.parametrize("path", FORMS)
def test_forms(managed: ManagedBox, officer: OfficerBrowser, path: str) -> None:
    judge(officer, managed.origin() + path)


def test_a_ceremony_in_both_languages(managed: ManagedBox, officer: OfficerBrowser, digest: str) -> None:
    for language, tag in zip(LANGUAGES, ("en", "zh-Hans"), strict=True):
        for path in (f"/ceremonies/{digest}", "/"):
            officer.page.goto(managed.origin() + path)
            speak(officer.page, language, managed.origin() + path)
            judge(officer, managed.origin() + path)
            assert str(officer.page.evaluate("document.documentElement.lang")).startswith(tag)
    speak(officer.page, "English", managed.origin() + "/")


def test_the_keymasters_own_pages(managed: ManagedBox, chromium: Browsers, digest: str) -> None:
    visitor = chromium.officer("visitor")
    approval = managed.origin("approve.localhost")
    judge(visitor, approval + "/")
    judge(visitor, f"{approval}/proposals/{digest}", ready="#proposal:not([hidden])")
    judge(visitor, f"{approval}/proposals/{'0' * 64}", ready="#problem:not([hidden])")
    with managed.desk() as desk:
        code = desk.invite("gil", "Gil")
    judge(visitor, f"{approval}/enrol/{code}", ready="#make:not([hidden])")
    visitor.page.click("#make-button")
    visitor.page.wait_for_url(re.compile("/candidates/"))
    judge(visitor, visitor.page.url, ready="#compare:not([hidden])")
    visitor.speak("zh-Hans")
    wrong = findings(visitor.page)
    assert not wrong, "\n".join(wrong)
