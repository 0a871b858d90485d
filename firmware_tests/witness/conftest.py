"""Fixtures: a witness whose logs a test configures, and logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table

ORIGIN = "log.example/rehearsal/alfa"


@pytest.fixture
def log() -> TestLog:
    return TestLog(ORIGIN).grow(7)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[RunningWitness]:
    """Made, not started, without logs."""
    made = RunningWitness(tmp_path / "witness")
    yield made
    made.close()


@pytest.fixture
def running(witness: RunningWitness, log: TestLog) -> RunningWitness:
    """Running, with the log."""
    witness.configure([log_table(log)])
    witness.start()
    return witness
