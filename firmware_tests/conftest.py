"""Fixtures that several rooms share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyhanko.sign.ades.asn1_util  # noqa: F401 - names attributes for asn1crypto, which it must do before that is used
import pytest
from hypothesis import settings

from firmware_tests.others.bouncycastle import BouncyCastle
from firmware_tests.others.openssl_tsa import OpenSslTsa
from firmware_tests.running import RunningBox

settings.register_profile("untimed", deadline=None)  # how busy the machine is decides nothing
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def open_directory() -> Iterator[Path]:
    """A temporary directory that the box's own users can reach (pytest's belong to one user alone)."""
    path = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def box(open_directory: Path) -> Iterator[RunningBox]:
    """A running box with two tenants and every listener on. Tests that stop or break it make their own."""
    running = RunningBox(open_directory / "box", "demo", "other")
    running.provision()
    running.start("--tsa", "127.0.0.1:0", "--public", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    yield running
    if running.running:
        status = running.stop()
        assert status == 0, running.said()


@pytest.fixture(scope="session")
def bouncycastle(tmp_path_factory: pytest.TempPathFactory) -> BouncyCastle:
    """Its verifiers, compiled once."""
    return BouncyCastle(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="session")
def openssl_tsa(tmp_path_factory: pytest.TempPathFactory) -> OpenSslTsa:
    """A time-stamping authority that is not ours."""
    return OpenSslTsa(tmp_path_factory.mktemp("tsa"))
