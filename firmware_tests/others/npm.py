"""Libraries of npm as outsiders: programs of firmware_tests/others/npm."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

_DIRECTORY = Path(__file__).parent / "npm"


def node(program: str, *arguments: str) -> Any:
    """Run a program of the directory; what it prints is JSON."""
    if not (_DIRECTORY / "node_modules").exists():
        raise FileNotFoundError("run: make var/setup/npm")
    ran = subprocess.run(
        ["node", program, *arguments], cwd=_DIRECTORY, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
