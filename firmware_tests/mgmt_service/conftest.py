"""A box with officers and its management service, once for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_tests.browsers import Browsers, OfficerBrowser, browsers
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor


@pytest.fixture(scope="session")
def managed(open_directory: Path) -> Iterator[ManagedBox]:
    """Founded: ann, bo and cai for the box and for `demo`, dora and eli for `other`; threshold 1."""
    made = ManagedBox(open_directory / "managed")
    try:
        made.start()
        made.found()
        yield made
    finally:
        assert made.stop() == 0, made.running.said()


@pytest.fixture(scope="module")
def ann(managed: ManagedBox) -> Visitor:
    """An officer of the box and of demo, signed in."""
    return managed.signed_in("ann")


@pytest.fixture(scope="module")
def dora(managed: ManagedBox) -> Visitor:
    """An officer of the other tenant alone, signed in."""
    return managed.signed_in("dora")


@pytest.fixture(scope="module")
def chromium(managed: ManagedBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    with browsers(managed.home.trust / "box-ca.pem", tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture(scope="module")
def officer(managed: ManagedBox, chromium: Browsers) -> OfficerBrowser:
    """Ann's browser, signed in."""
    made = chromium.officer("ann")
    made.page.goto(managed.origin() + managed.invite("ann", "Ann"))
    made.page.locator("form[data-passkey] button").click()
    made.page.wait_for_url("**/me")
    return made
