"""A token that SoftHSM left empty is healed, and one that is merely being written is left alone."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.box.home import Home
from appliance.box.softhsm import EMPTY_LOOKS, VARIABLE, TokenKeeper, token_directory
from hsm.testing.softhsm import SoftHsm

_OPEN = """
import sys
from hsm import LaneSettings, Pkcs11Uri, TokenUnavailable, open_token
try:
    open_token(Pkcs11Uri.parse(sys.argv[1]), sys.stdin.read, LaneSettings(), patience_s=0.2).close()
except TokenUnavailable:
    print("unavailable")
"""
_MAKE = """
import sys
from hsm.initialise import initialise_token
print(initialise_token(sys.argv[1], sys.argv[2], *sys.stdin.read().split()))
"""


class Tokens:
    """A directory of tokens, used by processes of their own: a module that saw a token whole may not see it torn."""

    def __init__(self, root: Path) -> None:
        self.softhsm = SoftHsm(root)
        self.home = Home(root / "home")
        self.home.tokens.mkdir(parents=True)
        self.pins = secrets.token_hex(8), secrets.token_hex(8)
        self.uris = [self._run(_MAKE, self.softhsm.module, name, said=" ".join(self.pins)) for name in ("one", "two")]
        self.files = list(self.softhsm.directory.glob("*/token.object"))

    def keeper(self) -> TokenKeeper:
        return TokenKeeper(self.home, {VARIABLE: str(self.softhsm.configuration)})

    def file(self, name: str) -> Path:
        return next(path for path in self.files if name.encode() in path.read_bytes())

    def opens(self, number: int) -> bool:
        return self._run(_OPEN, self.uris[number], said=self.pins[1]) != "unavailable"

    def _run(self, code: str, *arguments: str, said: str) -> str:
        done = subprocess.run(
            (sys.executable, "-P", "-c", code, *arguments),
            input=said,
            env={"PATH": os.environ["PATH"], VARIABLE: str(self.softhsm.configuration)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


def test_a_torn_token_is_found_again(tokens: Tokens) -> None:
    keeper = tokens.keeper()
    keeper.heal_now()
    file = tokens.file("one")
    whole = file.read_bytes()
    file.write_bytes(b"")
    assert not tokens.opens(0)
    assert tokens.opens(1), "one torn token hides no other"
    keeper.look()
    assert file.read_bytes() == b"", "one look is not enough: it may be being written"
    for _ in range(EMPTY_LOOKS - 1):
        keeper.look()
    assert file.read_bytes() == whole
    assert tokens.opens(0)


def test_a_box_that_died_so_is_healed_at_its_start(tokens: Tokens) -> None:
    tokens.keeper().heal_now()
    whole = [path.read_bytes() for path in tokens.files]
    for path in tokens.files:
        path.write_bytes(b"")
    tokens.keeper().heal_now()
    assert [path.read_bytes() for path in tokens.files] == whole
    assert tokens.opens(0)


def test_without_softhsm_there_is_nothing_to_keep(tmp_path: Path) -> None:
    assert token_directory({}) is None
    assert token_directory({VARIABLE: str(tmp_path / "missing")}) is None
    TokenKeeper(Home(tmp_path), {}).heal_now()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_token_stops_nobody(tokens: Tokens, put: Callable[[Path], None]) -> None:
    """Its directories are the workers', and the supervisor looks into them."""
    strange = tokens.softhsm.directory / "strange"
    strange.mkdir()
    put(strange / "token.object")
    keeper = tokens.keeper()
    keeper.heal_now()
    for _ in range(EMPTY_LOOKS + 1):
        keeper.look()
    assert not list((tokens.home.tokens / "kept").glob("strange.*"))
    assert len(list((tokens.home.tokens / "kept").iterdir())) == 2


def test_roots_files_are_neither_kept_nor_healed(tokens: Tokens, tmp_path: Path) -> None:
    """A link in a token's place: what it leads to would be the workers' at the next start, or be what they please."""
    secret, empty = tmp_path / "shadow", tmp_path / "environment"
    secret.write_text("root only")
    empty.touch()
    kept = tokens.home.tokens / "kept"
    kept.mkdir()
    for name, victim in (("read", secret), ("written", empty)):
        (tokens.softhsm.directory / name).mkdir()
        (tokens.softhsm.directory / name / "token.object").symlink_to(victim)
    (kept / "written.token.object").write_text("as they please")
    keeper = tokens.keeper()
    keeper.heal_now()
    for _ in range(EMPTY_LOOKS + 1):
        keeper.look()
    assert not (kept / "read.token.object").exists()
    assert empty.read_bytes() == b""
