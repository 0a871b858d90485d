"""A recorder in a throwaway home. Homes stand directly under the temporary directory: a unix socket's path is short."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.settings import write_settings
from firmware_tests.recorder.letters import Bench
from firmware_tests.recorder.running import Recorder, settings


@pytest.fixture
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def recorder(root: Path) -> Iterator[Recorder]:
    """A running recorder with two tenants, three applications and four certificates."""
    write_settings(root / "box.json", settings())
    recorder = Recorder(root)
    try:
        recorder.start()
        recorder.enrol()
        yield recorder
    finally:
        recorder.kill()


@pytest.fixture(scope="session")
def standing() -> Iterator[Recorder]:
    """One for all tests that leave it standing, each with tenants of its own (`enrolled`)."""
    path = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    write_settings(path / "box.json", settings())
    made = Recorder(path)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "records")
    yield made
    made.writer.close()
