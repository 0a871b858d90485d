"""Boxes that a test may break."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_tests.running import RunningBox

_numbers = itertools.count(1)


@pytest.fixture
def make_box(open_directory: Path) -> Iterator[Callable[..., RunningBox]]:
    """make_box(*tenants, at=None): a provisioned box, not started, stopped at the end of the test."""
    made: list[RunningBox] = []

    def make(*tenants: str, at: Path | None = None) -> RunningBox:
        running = RunningBox(at or open_directory / f"scenario-{next(_numbers)}", *tenants)
        running.provision()
        made.append(running)
        return running

    yield make
    for running in made:
        if running.running:
            running.stop()
        if running.output.exists():
            print(running.said())  # shown where the test failed
