"""A token that SoftHSM left empty is healed, and one that is merely being written is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.home import Home
from appliance.box.softhsm import EMPTY_LOOKS, VARIABLE, TokenKeeper, token_directory
from hsm import LaneSettings, TokenUnavailable, open_token
from hsm.testing.softhsm import SoftHsm


def test_a_torn_token_is_found_again(softhsm: SoftHsm, tmp_path: Path) -> None:
    token = softhsm.token()
    home = Home(tmp_path / "home")
    home.tokens.mkdir(parents=True)
    environment = {VARIABLE: str(softhsm.configuration)}
    keeper = TokenKeeper(home, environment)
    keeper.heal_now()
    file = next(
        path for path in softhsm.directory.glob("*/token.object") if token.uri.token.encode() in path.read_bytes()
    )
    whole = file.read_bytes()
    file.write_bytes(b"")
    with pytest.raises(TokenUnavailable):
        open_token(token.uri, lambda: token.user_pin, LaneSettings(), patience_s=0.2)
    keeper.look()
    assert file.read_bytes() == b"", "one look is not enough: it may be being written"
    for _ in range(EMPTY_LOOKS - 1):
        keeper.look()
    assert file.read_bytes() == whole
    open_token(token.uri, lambda: token.user_pin, LaneSettings()).close()


def test_a_box_that_died_so_is_healed_at_its_start(softhsm: SoftHsm, tmp_path: Path) -> None:
    softhsm.token()
    home = Home(tmp_path / "home")
    home.tokens.mkdir(parents=True)
    environment = {VARIABLE: str(softhsm.configuration)}
    TokenKeeper(home, environment).heal_now()
    files = list(softhsm.directory.glob("*/token.object"))
    whole = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(b"")
    TokenKeeper(home, environment).heal_now()
    assert [path.read_bytes() for path in files] == whole


def test_without_softhsm_there_is_nothing_to_keep(tmp_path: Path) -> None:
    assert token_directory({}) is None
    assert token_directory({VARIABLE: str(tmp_path / "missing")}) is None
    TokenKeeper(Home(tmp_path), {}).heal_now()
    assert list(tmp_path.iterdir()) == []
