"""The supervisor, which is root, reads and writes in the directory of the front's user, who may plant things there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.box.front_certificate import FrontCertificateRefused, check
from appliance.box.home import Home
from appliance.box.listeners import Listener
from appliance.box.management_front import write_front
from appliance.box.parts import _written_in
from firmware_tests.log.planted import OTHER, SECRET, plant, within
from firmware_tests.recorder.running import settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.front.mkdir(parents=True)
    os.chown(made.front, OTHER, OTHER)
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
def test_a_number_of_a_process(home: Home, secret: Path, what: str) -> None:
    secret.write_text("12")
    plant(home.front / "front.pid", what, secret)
    with within(20):
        assert not _written_in(home.front / "front.pid")(12)


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
def test_a_certificate(home: Home, secret: Path, what: str) -> None:
    plant(home.front / "server.crt", what, secret)
    with within(20), pytest.raises(FrontCertificateRefused):
        check(home, b"x", b"y")


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_a_configuration_is_written_beside_and_not_through(home: Home, secret: Path, what: str) -> None:
    path = home.front / "front.conf"
    plant(path, what, secret)
    with within(20):
        write_front(home, settings(), [Listener("metrics", "127.0.0.1:1")], "front")
    assert secret.read_bytes() == SECRET
    assert path.is_file()
    assert not path.is_symlink()
    assert (path.stat().st_uid, path.stat().st_gid) == (OTHER, OTHER)
