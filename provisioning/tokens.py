"""SoftHSM tokens of a rehearsal box: configuration, PINs in root-only files, initialised tokens."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from appliance.box.home import Home
from hsm import Pkcs11Uri, initialise_token

SOFTHSM_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SOFTHSM_VARIABLE = "SOFTHSM2_CONF"


@dataclass(frozen=True)
class NewToken:
    """A token as provisioning made it."""

    label: str
    uri: Pkcs11Uri
    pin_file: Path
    so_pin_file: Path


def write_softhsm_configuration(home: Home) -> Path:
    """SoftHSM's configuration for this home only; its path goes into the environment of every process."""
    objects = home.tokens / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    home.tokens.chmod(0o700)
    path = home.tokens / "softhsm2.conf"
    path.write_text(f"directories.tokendir = {objects}\nobjectstore.backend = file\nlog.level = ERROR\n")
    return path


def _write_secret(path: Path, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)


def make_token(home: Home, label: str) -> NewToken:
    """Initialise a token with fresh random PINs, which go into files and nowhere else."""
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    pin_file, so_pin_file = home.secrets / f"{label}.pin", home.secrets / f"{label}.so-pin"
    pin, so_pin = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    _write_secret(pin_file, pin)
    _write_secret(so_pin_file, so_pin)
    return NewToken(label, initialise_token(SOFTHSM_MODULE, label, so_pin, pin), pin_file, so_pin_file)
