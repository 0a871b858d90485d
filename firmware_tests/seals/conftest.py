"""Fixtures: seal keys in software, one a scheme."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from appliance.seals import SealProfile
from firmware_tests.seals.sealing import ALL_SCHEMES, Authority, Sealer, new_key


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def sealers(authority: Authority) -> Callable[[str], Sealer]:
    """Sealer by scheme; each scheme has one key and certificate in a test session."""

    @functools.cache
    def make(scheme: str) -> Sealer:
        key = new_key(scheme)
        certificates = [authority.issue(key.public_key(), f"Seal {scheme}"), authority.certificate]
        return Sealer(SealProfile(f"seal {scheme}", certificates, scheme), key, scheme, certificates)

    return make


@pytest.fixture
def sealer(sealers: Callable[[str], Sealer]) -> Sealer:
    return sealers("ecdsa-p256-sha256")


@pytest.fixture(params=ALL_SCHEMES)
def any_sealer(request: pytest.FixtureRequest, sealers: Callable[[str], Sealer]) -> Sealer:
    return sealers(request.param)
