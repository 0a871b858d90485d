"""A bench: a home directly under the temporary directory, for a unix socket's path is short."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.keymaster import registry
from firmware_tests.keymaster.room import Bench
from hsm.testing.softhsm import SoftHsm


@pytest.fixture
def bench(softhsm: SoftHsm) -> Iterator[Bench]:
    root = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    made = Bench(root, softhsm)
    try:
        made.start()
        yield made
    finally:
        made.recorder.kill()
        shutil.rmtree(root)


@pytest.fixture
def executors(monkeypatch: pytest.MonkeyPatch) -> dict[type, object]:
    """The table of executors, which a test may change for itself."""
    registry.load_actions()
    table: dict[type, object] = dict(registry._executors)
    monkeypatch.setattr(registry, "_executors", table)
    return table
