"""`cinnabar pins lock` erases copies of PINs in directories of the box's own users, who may have put links there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from appliance.box import locked_pins
from appliance.box.home import Home
from appliance.box.pins_cli import pins
from appliance.box.settings import TokenSettings, write_settings
from firmware_tests.log.planted import OTHER, SECRET, plant, within
from firmware_tests.recorder.running import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(locked_pins, "SCRYPT_COST", 2**10)
    made = Home(tmp_path / "home")
    made.secrets.mkdir(parents=True, mode=0o711)
    pin = made.secrets / "box.pin"
    pin.touch(0o600)
    pin.write_text("correct-horse-9\n")
    token = TokenSettings(name="box", uri="pkcs11:token=box", pin_file="secrets/box.pin")
    write_settings(made.settings, replace(settings(), tokens=[token]))
    theirs = made.secrets / "for" / str(OTHER)
    theirs.mkdir(parents=True)
    os.chown(theirs, OTHER, OTHER)
    return made


def lock(home: Home) -> None:
    command = ["--home", str(home.root), "lock", "--token", "box", "--officer", "ann"]
    with within(20):
        done = CliRunner().invoke(pins, command, input="ann's long passphrase\n")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_what_a_link_leads_to_stays_as_it_is(home: Home, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    copy = home.secrets / "for" / str(OTHER) / "box.pin"
    plant(copy, what, secret)
    lock(home)
    assert secret.read_bytes() == SECRET
    assert not os.path.lexists(copy)
    assert not (home.secrets / "box.pin").exists()


def test_a_copy_is_overwritten_before_it_goes(home: Home, tmp_path: Path) -> None:
    copy = home.secrets / "for" / str(OTHER) / "box.pin"
    copy.write_bytes(b"correct-horse-9\n")
    kept = tmp_path / "another name of the same file"
    os.link(copy, kept)
    lock(home)
    assert not copy.exists()
    assert kept.read_bytes() == bytes(16)
