"""Every command that is about a home says in one line that there is none, and makes none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = {
    "pins show": ("pins", "--home", "{home}", "show"),
    "pins seal": ("pins", "--home", "{home}", "seal", "--token", "box"),
    "pins lock": ("pins", "--home", "{home}", "lock", "--token", "box", "--officer", "ann"),
    "pins open": ("pins", "--home", "{home}", "open", "--token", "box"),
    "run": ("run", "--home", "{home}"),
    "counts": ("counts", "--home", "{home}"),
    "log check": ("log", "check", "--home", "{home}"),
    "log repair": ("log", "repair", "--home", "{home}"),
    "tamper": ("tamper", "--home", "{home}", "--show"),
    "tamper, a signal": ("tamper", "--home", "{home}", "the lid"),
    "backup": ("backup", "--home", "{home}", "--to", "{home}.backup", "--passphrase-file", "{home}.phrase"),
    "register list": ("register", "list", "--home", "{home}"),
    "register suspend": ("register", "suspend", "--home", "{home}", "--tenant", "demo"),
    "ceremony": ("ceremony", "--home", "{home}", "list"),
    "console": ("console", "--home", "{home}", "pending"),
    "console unlock": ("console", "--home", "{home}", "unlock"),
    "audit export": ("audit", "export", "--home", "{home}", "--log", "demo", "--out", "{home}.asice"),
    "management invite": ("management", "invite", "--home", "{home}", "ann", "Ann"),
    "health": ("health", "--home", "{home}"),
}


RUN_ALL = """
import json, sys
from click.testing import CliRunner
from appliance.client.cli import group
from appliance.errors import CinnabarError
told = {}
for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(group, words, input="x" * 20 + chr(10))
    foreign = done.exception is not None and not isinstance(done.exception, SystemExit | CinnabarError)
    told[name] = [done.exit_code, repr(done.exception) if foreign else "", done.output + str(done.exception)]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("nowhere")
    phrase = place / "absent.phrase"
    phrase.write_text("a long enough passphrase\n")
    phrase.chmod(0o600)
    return place


@pytest.fixture(scope="module")
def told(place: Path) -> dict[str, tuple[int, str, str]]:
    """Exit status, what was raised that no person should see, and what was said; one process for all of them."""
    home = place / "absent"
    words = json.dumps({name: [word.format(home=home) for word in words] for name, words in COMMANDS.items()})
    done = subprocess.run([sys.executable, "-P", "-c", RUN_ALL, words], check=True, capture_output=True, cwd=place)
    found: dict[str, tuple[int, str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_home_is_told_in_a_line(name: str, place: Path, told: dict[str, tuple[int, str, str]]) -> None:
    status, raised, said = told[name]
    assert status != 0, said
    assert not raised, raised
    assert "absent" in said or "does not answer" in said
    assert "Usage:" not in said
    assert not (place / "absent").exists()
