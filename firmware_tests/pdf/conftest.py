"""Sealed letters, made once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_tests.others.openssl_tsa import OpenSslTsa
from firmware_tests.pdf.sealed import Institution, Levels, make_levels


@pytest.fixture(scope="session")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> OpenSslTsa:
    return OpenSslTsa(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="session")
def institution() -> Institution:
    return Institution()


@pytest.fixture(scope="session")
def levels(tsa: OpenSslTsa, institution: Institution, tmp_path_factory: pytest.TempPathFactory) -> Levels:
    return make_levels(tsa, institution, tmp_path_factory.mktemp("levels"))


@pytest.fixture(scope="session")
def directory(levels: Levels) -> Path:
    """Where the levels stand as files NAME.pdf."""
    return levels.directory
