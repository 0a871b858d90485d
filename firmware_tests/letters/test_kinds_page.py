"""docs/kinds.md, followed as a reader follows it: every command, every output; its generated parts are up to date."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.box.reference import renew
from appliance.letters.check import read_sound_kind
from appliance.letters.kind import LoadedKind
from appliance.letters.reference import PARTS
from firmware_tests.letters.walking import walks

PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"
_PIECE = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the page was followed to its end."""
    directory = tmp_path_factory.mktemp("analyst")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8", "PYTHONUTF8": "1"
    }  # fmt: skip
    pieces = _PIECE.findall(PAGE.read_text())
    assert len(pieces) > 10
    for place, (kind, text) in enumerate(pieces):
        if kind == "text":
            continue
        ran = subprocess.run(
            ["bash", "-euc", text],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr + ran.stdout
        expected = pieces[place + 1][1] if pieces[place + 1 : place + 2] and pieces[place + 1][0] == "text" else ""
        good = doctest.OutputChecker().check_output(expected, ran.stdout, doctest.ELLIPSIS)
        assert good or not expected, f"wanted:\n{expected}\ngot:\n{ran.stdout}"
    return directory


def test_every_step_does_what_the_page_says(followed: Path) -> None:
    assert (followed / "retention-bond.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("name", ["retention-bond", "retention-bond-2"])
def test_what_the_page_makes_lives(followed: Path, name: str) -> None:
    loaded: LoadedKind = read_sound_kind((followed / f"{name}.toml").read_bytes())
    seen = {step.way.event for steps in walks(loaded) for step in steps}
    assert seen == loaded.kind.events.keys()


def test_the_generated_parts_are_up_to_date() -> None:
    page = PAGE.read_text()
    assert renew(page, PARTS) == page, "run `make docs`"
