"""A running box whose tenants have kinds of letters, and their clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.box.settings import read_settings, write_settings
from appliance.client import Client, Credentials
from firmware_tests.letters.kinds import install
from firmware_tests.running import RunningBox

LETTERS_URL = "https://letters.bank.example/letters"
"""Where the QRs of letters lead: in a real house a name of its public listener."""


@pytest.fixture(scope="session")
def letter_box(open_directory: Path) -> Iterator[RunningBox]:
    """Two tenants, each with the catalogue's kinds. Tests that stop or break a box make their own."""
    running = RunningBox(open_directory / "letters", "demo", "other")
    running.provision()
    for tenant in running.tenants:
        install(running.home, tenant)
    settings = read_settings(running.home.settings)
    write_settings(running.home.settings, replace(settings, front=replace(settings.front, letters_url=LETTERS_URL)))
    running.start("--public", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    yield running
    status = running.stop()
    assert status == 0, running.said()


def client_of(box: RunningBox, tenant: str = "demo") -> Client:
    certificate, key = box.credentials(tenant)
    return Client(box.url, credentials=Credentials(certificate, key, box.home.trust / "box-ca.pem"))


@pytest.fixture
def client(letter_box: RunningBox) -> Iterator[Client]:
    with client_of(letter_box) as made:
        yield made


@pytest.fixture
def other(letter_box: RunningBox) -> Iterator[Client]:
    with client_of(letter_box, "other") as made:
        yield made
