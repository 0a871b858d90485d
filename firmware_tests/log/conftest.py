"""Fixtures: a small box with its recorder up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_tests.log.box import Box, running_box
from hsm.testing.softhsm import SoftHsm


@pytest.fixture
def box(tmp_path: Path, softhsm: SoftHsm) -> Iterator[Box]:
    with running_box(tmp_path / "home", softhsm) as made:
        yield made
