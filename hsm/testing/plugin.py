"""Fixtures: throwaway tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hsm.testing.softhsm import SoftHsm


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """Makes throwaway SoftHSM tokens; SOFTHSM2_CONF of this process points to a directory of its own."""
    before = os.environ.get("SOFTHSM2_CONF")
    factory = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    os.environ["SOFTHSM2_CONF"] = str(factory.configuration)
    yield factory
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before
