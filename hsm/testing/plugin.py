"""Fixtures: throwaway tokens, and a module that misbehaves on command.

softhsm     makes SoftHSM tokens
forwarder   a module of its own for each test that leads to SoftHSM and misbehaves on command

A missing SoftHSM or compiler is a failure: nothing is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# ruff: noqa: PLC0415

# Fixtures import what they need when they are used: this plugin is loaded at every start of pytest.


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A hsm.testing.softhsm.SoftHsm; SOFTHSM2_CONF of this process points to a directory of its own."""
    from hsm.testing.softhsm import SoftHsm

    before = os.environ.get("SOFTHSM2_CONF")
    factory = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    os.environ["SOFTHSM2_CONF"] = str(factory.configuration)
    yield factory
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(scope="session")
def forwarder_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled forwarding module."""
    from hsm.testing.forwarder import build

    return build(tmp_path_factory.mktemp("forwarder"))


@pytest.fixture
def forwarder(softhsm: object, forwarder_library: Path, tmp_path: Path) -> Iterator[object]:
    """A hsm.testing.forwarder.Forwarder in front of SoftHSM. Make its tokens by softhsm.token(module=...)."""
    from hsm.testing.forwarder import Forwarder
    from hsm.testing.softhsm import SoftHsm

    if not isinstance(softhsm, SoftHsm):
        raise TypeError("another fixture hides softhsm")
    directory = tmp_path / "forwarder"
    directory.mkdir()
    instance = Forwarder(forwarder_library, softhsm.module, directory)
    yield instance
    # A thread that still hangs in the module must be able to end.
    instance.reset()
