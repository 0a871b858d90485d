"""Every command of docs/limits.md that needs no box is run, and says what the page says."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_commands_say_what_the_page_says(tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LANG": "C.UTF-8", "PYTHONUTF8": "1"
    }  # fmt: skip
    blocks = _BLOCK.findall(PAGE.read_text())
    assert [form for form, _ in blocks] == ["sh", "text"] * 3
    for (_, commands), (_, said) in zip(blocks[::2], blocks[1::2], strict=True):
        script = f"exec 2>&1\n{commands}"
        ran = subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout
        assert doctest.OutputChecker().check_output(said, ran.stdout, doctest.ELLIPSIS), ran.stdout
