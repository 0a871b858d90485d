"""Fixtures: boxes with an audit process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_tests.audit.auditing import AuditBox, running
from hsm.testing.softhsm import SoftHsm


@pytest.fixture
def own(tmp_path: Path, softhsm: SoftHsm) -> Iterator[AuditBox]:
    """A box that the test may break."""
    with running(tmp_path / "home", softhsm) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, softhsm: SoftHsm) -> Iterator[AuditBox]:
    """A box for the tests of one module that only add to it."""
    with running(tmp_path_factory.mktemp("audit") / "home", softhsm) as made:
        yield made
