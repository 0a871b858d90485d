"""Three witnesses that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firmware_tests.cosigner.witness import Witness


@pytest.fixture
def three() -> Iterator[list[Witness]]:
    made = [Witness(f"witness-{number}.example") for number in range(3)]
    yield made
    for witness in made:
        witness.stop()
