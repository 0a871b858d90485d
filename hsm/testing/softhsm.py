"""Throwaway SoftHSM tokens."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from pathlib import Path

from hsm.initialise import initialise_token
from hsm.lanes import LaneSettings
from hsm.tokens import Token, open_token
from hsm.uri import Pkcs11Uri

SOFTHSM_PATHS = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def softhsm_module() -> str:
    """The path of SoftHSM's module. Raises FileNotFoundError: a missing SoftHSM is a failure, not a skipped test."""
    for path in SOFTHSM_PATHS:
        if Path(path).exists():
            return path
    raise FileNotFoundError("SoftHSM is not installed: apt-get install softhsm2")


@dataclass(frozen=True)
class ThrowawayToken:
    """A token of a test, with its PINs."""

    uri: Pkcs11Uri
    user_pin: str
    so_pin: str

    def pin(self) -> str:
        return self.user_pin

    def pin_file(self, directory: Path) -> Path:
        """The user PIN in a file as PinFile wants it."""
        path = directory / f"{self.uri.token}.pin"
        path.touch(0o600)
        path.write_text(self.user_pin + "\n")
        return path

    def open(self, lanes: LaneSettings | None = None) -> Token:
        return open_token(self.uri, self.pin, lanes or LaneSettings())


class SoftHsm:
    """A directory of SoftHSM tokens and the configuration that names it."""

    def __init__(self, directory: Path) -> None:
        self.module = softhsm_module()
        self.directory = directory / "tokens"
        self.directory.mkdir(mode=0o700)
        self.configuration = directory / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.directory}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self._numbers = itertools.count(1)

    def token(self, label: str | None = None, module: str | None = None) -> ThrowawayToken:
        """A new token. `module`: make it through this module instead, which must lead to SoftHSM."""
        user_pin, so_pin = secrets.token_hex(8), secrets.token_hex(8)
        name = label or f"throwaway-{next(self._numbers)}"
        return ThrowawayToken(initialise_token(module or self.module, name, so_pin, user_pin), user_pin, so_pin)
