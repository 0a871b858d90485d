"""Fixtures: OpenSSL as time-stamping authority, BouncyCastle as verifier."""

from __future__ import annotations

import pytest

from firmware_tests.others.bouncycastle import BouncyCastle
from firmware_tests.others.openssl_tsa import OpenSslTsa


@pytest.fixture(scope="session")
def bouncycastle(tmp_path_factory: pytest.TempPathFactory) -> BouncyCastle:
    return BouncyCastle(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="session")
def openssl_tsa(tmp_path_factory: pytest.TempPathFactory) -> OpenSslTsa:
    return OpenSslTsa(tmp_path_factory.mktemp("tsa"))
