"""The page's rules in node, asked once: as somebody with the page, a file and the files of a trust bundle."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ENGINE: Final = Path(__file__).with_name("rules.js")


def judged_by_page(script: Path, trust: Mapping[str, bytes], content: bytes) -> dict[str, Any]:
    """What the page says of a letter's evidence now. `script`: where its rules were written to."""
    files = {name: base64.b64encode(one).decode() for name, one in trust.items() if "/" not in name}
    asked = {
        "command": "verify", "trust": files, "file": base64.b64encode(content).decode(), "now": time.time() * 1000,
    }  # fmt: skip
    done = subprocess.run(
        ["node", "--no-warnings", str(ENGINE), str(script)],
        input=json.dumps(asked) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout)["answer"]
    return answer
