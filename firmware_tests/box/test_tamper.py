"""The tamper latch as devices' drivers reach it: one command, which is not undone by another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.box.home import Home
from appliance.box.tamper import DETAIL_CHARACTERS, read_latch
from appliance.box.tamper_cli import tamper


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "box.json").touch()
    return Home(tmp_path)


def run(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(tamper, ["--home", str(home.root), *arguments])


def test_a_signal_is_on_disk_when_the_command_returns_and_the_first_one_stands(home: Home) -> None:
    assert run(home, "--show").exit_code == 0
    said = run(home, "lid switch on ttyS1 open")
    assert said.exit_code == 0
    assert "recover-from-tamper" in said.output
    first = home.tamper_latch.read_bytes()
    assert run(home, "another").exit_code == 0
    assert home.tamper_latch.read_bytes() == first
    shown = run(home, "--show")
    assert shown.exit_code == 1
    assert "lid switch on ttyS1 open, 20" in shown.output


@pytest.mark.parametrize("signal", ["", "two\nlines", "\x1b[2J"])
def test_what_cannot_be_shown_is_no_signal(home: Home, signal: str) -> None:
    assert run(home, signal).exit_code == 2
    assert run(home).exit_code == 2
    assert not home.tamper_latch.exists()


def test_a_directory_without_a_box_takes_no_signal(tmp_path: Path) -> None:
    assert run(Home(tmp_path), "lid").exit_code == 2
    assert run(Home(tmp_path), "--show").exit_code == 2, "1 says that a signal came"
    assert list(tmp_path.iterdir()) == []


def test_a_long_signal_is_cut_and_a_broken_latch_is_one(home: Home) -> None:
    assert run(home, "x" * 10_000).exit_code == 0
    assert (read_latch(home) or "").startswith("x" * DETAIL_CHARACTERS + ", ")
    home.tamper_latch.write_bytes(b"{")
    assert read_latch(home) == "the latch cannot be read"


def test_a_disk_that_takes_no_byte_more_takes_the_signal(home: Home) -> None:
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from appliance.box.home import Home; from appliance.box.tamper import latch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "latch(Home(Path(sys.argv[1])), 'lid')\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program, str(home.root)], check=True, timeout=60)
    assert home.tamper_latch.stat().st_size == 0
    assert read_latch(home) == "the latch cannot be read"
