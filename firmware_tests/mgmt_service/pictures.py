"""Pictures of management pages, in both languages and colour schemes; and that nothing sticks out at the side."""

from __future__ import annotations

import os

from playwright.sync_api import Page

from firmware_tests.browsers import SCREENSHOTS, OfficerBrowser

LANGUAGES = ("English", "简体中文")


def pictures(officer: OfficerBrowser, name: str) -> None:
    """The page in both languages, light and dark; and that no part of it sticks out at the side."""
    page = officer.page
    address = page.url
    for language in LANGUAGES:
        speak(page, language, address)
        for scheme in ("light", "dark"):
            if (language == "English") is not (scheme == "light") and SCREENSHOTS not in os.environ:
                continue  # whoever keeps the pictures gets all four
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            officer.shot(f"management-{name}-{'en' if language == 'English' else 'zh'}-{scheme}")
    page.emulate_media(color_scheme="light")
    speak(page, "English", address)
    fits(page)


def speak(page: Page, language: str, address: str) -> None:
    """Choose the language of a management page, and stay on it."""
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name=language, exact=True).click()
    if page.url != address:
        page.goto(address)


def fits(page: Page) -> None:
    """At a desk and on a telephone."""
    for width in (1100, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate(
            "[...document.querySelectorAll('main *, header *')].filter(one => !one.closest('.scroll, pre') && one"
            ".getBoundingClientRect().right > window.innerWidth + 1).map(one => one.outerHTML.slice(0, 120))"
        )
        assert not wide, (page.url, width, wide)
    page.set_viewport_size({"width": 1100, "height": 900})
