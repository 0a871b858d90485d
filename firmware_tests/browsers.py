"""Headless Chromium (Debian's, driven by Playwright), one browser context and one virtual authenticator an officer.

WebAuthn works on no page whose TLS certificate is not trusted, so the box's CA stands in an NSS database of a throwaway
home. Names under `localhost` lead to loopback in Chromium itself (RFC 6761, section 6.3).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = "CINNABAR_SCREENSHOTS"
"""Environment variable: a directory that screenshots are kept in; else they go with the temporary directory."""

TIMEOUT_MS = 10_000
"""For whatever a page is waited for."""

Scheme = Literal["light", "dark"]


def trust(home: Path, authority: Path) -> None:
    """Let a browser with this HOME trust a CA (PEM)."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True, exist_ok=True)
    for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "box-ca", "-i", str(authority)]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True, capture_output=True)


@dataclass
class OfficerBrowser:
    """One person's browser: a page, and an authenticator that says yes, with user verification, whenever asked."""

    name: str
    context: BrowserContext
    page: Page
    session: CDPSession
    authenticator: str
    directory: Path
    complaints: list[str] = field(default_factory=list)
    """What the console said that it should not: errors, and violations of the content security policy."""

    def credentials(self) -> list[dict[str, Any]]:
        found = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(found["credentials"])

    def verified(self, yes: bool) -> None:
        """Whether the authenticator verifies its user from now on."""
        self.session.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": yes})

    def forget(self) -> None:
        """Lose the authenticator's credentials."""
        self.session.send("WebAuthn.clearCredentials", {"authenticatorId": self.authenticator})

    def shot(self, name: str) -> Path:
        """The whole page as a picture."""
        path = self.directory / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def shots(self, name: str) -> None:
        """The page in both languages, and in the dark."""
        for language in ("en", "zh-Hans"):
            self.speak(language)
            self.shot(f"{name}-{language}")
        self.page.emulate_media(color_scheme="dark")
        self.speak("en")
        self.shot(f"{name}-dark")
        self.page.emulate_media(color_scheme="light")

    def speak(self, language: str) -> None:
        """Choose the language of an approval page."""
        if self.page.evaluate("document.documentElement.lang") != language:
            self.page.click("#language")


class Browsers:
    """Makes browsers for officers. `home`: of the user who browses, with the CA trusted."""

    def __init__(self, browser: Browser, directory: Path) -> None:
        self._browser = browser
        self._directory = directory

    def officer(self, name: str, *, locale: str = "en-GB", scheme: Scheme = "light") -> OfficerBrowser:
        context = self._browser.new_context(
            locale=locale, color_scheme=scheme, viewport={"width": 1100, "height": 900}, reduced_motion="reduce"
        )
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        session = context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        made = session.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "usb",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        officer = OfficerBrowser(name, context, page, session, made["authenticatorId"], self._directory)
        page.on("pageerror", lambda error: officer.complaints.append(f"error: {error}"))
        page.on("console", lambda said: _note(officer, said.type, said.text))
        return officer


# A refused request is told of by the browser itself; the page's own words about it are what tests look at.
_EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of")


def _note(officer: OfficerBrowser, kind: str, text: str) -> None:
    if kind in {"error", "warning"} and not _EXPECTED.search(text):
        officer.complaints.append(f"{kind}: {text}")


@contextmanager
def browsers(authority: Path, directory: Path) -> Iterator[Browsers]:
    """Browsers that trust the CA in this PEM file. Playwright keeps a loop in this thread while they are open."""
    kept = Path(os.environ.get(SCREENSHOTS) or directory / "screenshots")
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cinnabar-browser-") as home:
        trust(Path(home), authority)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"],
                env={**os.environ, "HOME": home},
            )
            try:
                yield Browsers(browser, kept)
            finally:
                browser.close()
