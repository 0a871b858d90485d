"""docs/actions.md has every action with its members, and its command makes one that a proposal takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from appliance.box.reference import renew
from appliance.ceremonies.actions import Action, InstallAdapter, InstallKind, SetLetterTerms
from appliance.keymaster.reference import PARTS, action_kinds
from firmware_tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "actions.md"


def test_the_generated_parts_are_up_to_date() -> None:
    page = PAGE.read_text()
    assert renew(page, PARTS) == page, "run `make docs`"


def test_every_action_stands_there_with_its_members() -> None:
    rows = {found[1]: line for line in PAGE.read_text().splitlines() if (found := re.match(r"\| `([a-z-]+)`", line))}
    assert set(rows) == {kind.__struct_config__.tag for kind in action_kinds()}
    for kind in action_kinds():
        row = rows[str(kind.__struct_config__.tag)]
        assert [name for name in kind.__struct_fields__ if f"`{name}` " not in row] == []


@pytest.mark.parametrize(
    ("name", "member", "made"),
    [
        ("install-kind", "file", InstallKind(tenant="demo", file="甲\n")),
        ("set-letter-terms", "terms", SetLetterTerms(tenant="demo", terms="甲\n")),
        ("install-adapter", "adapter", InstallAdapter(tenant="demo", adapter="甲\n")),
    ],
)
def test_the_command_puts_a_file_into_its_action(tmp_path: Path, name: str, member: str, made: object) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert f"`{name}` has `{member}`" in PAGE.read_text()
    (tmp_path / "retention-bond.toml").write_text("甲\n")
    here = command.replace("install-kind demo file", f"{name} demo {member}")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUTF8": "1"}
    subprocess.run(["bash", "-euc", here], cwd=tmp_path, env=environment, check=True)
    assert msgspec.json.decode((tmp_path / "actions.json").read_bytes(), type=list[Action]) == [made]
