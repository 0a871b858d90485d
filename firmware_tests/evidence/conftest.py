"""The world that the verifier's tests live in."""

from __future__ import annotations

import pytest

from firmware_tests.evidence.material import World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()
