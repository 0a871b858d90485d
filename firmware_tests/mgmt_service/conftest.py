"""A box with officers and its management service, once for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
