"""Three witnesses that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firmware_tests.cosigner.witness import Witness, three_witnesses


@pytest.fixture
def three() -> Iterator[list[Witness]]:
    with three_witnesses() as made:
        yield made
