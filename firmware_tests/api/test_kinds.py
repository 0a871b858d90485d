"""A worker's kinds: those that come are found, those that it has read are not read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.api.letters import kinds
from appliance.api.letters.kinds import Kinds
from appliance.box.home import Home
from appliance.letters.errors import KindUnknown
from firmware_tests.letters.sound_kind import TEXT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Kinds, Path]:
    """The kinds of a home, which are looked for at every call, and where those of a tenant stand."""
    monkeypatch.setattr(kinds, "LOOK_AGAIN_S", 0.0)
    directory = Home(tmp_path).kinds / "acme" / "sample"
    directory.mkdir(parents=True)
    return Kinds(Home(tmp_path)), directory


def test_a_new_version_is_found_and_the_old_one_stays(installed: tuple[Kinds, Path]) -> None:
    found, directory = installed
    with pytest.raises(KindUnknown):
        found.newest("acme", "sample")
    (directory / "9.toml").write_text(TEXT.replace("version = 1", "version = 9"))
    nine = found.newest("acme", "sample")
    (directory / "10.toml").write_text(TEXT.replace("version = 1", "version = 10"))
    assert (nine.kind.version, found.newest("acme", "sample").kind.version) == (9, 10)
    assert found.by_digest("acme", nine.digest) is nine
    with pytest.raises(KindUnknown):
        found.newest("globex", "sample")


def test_what_was_read_is_not_read_again(installed: tuple[Kinds, Path]) -> None:
    found, directory = installed
    (directory / "1.toml").write_text(TEXT)
    first = found.newest("acme", "sample")
    (directory / "1.toml").write_text("no kind any more")
    assert found.newest("acme", "sample") is first
