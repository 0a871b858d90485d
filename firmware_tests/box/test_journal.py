"""The box's own log lines: what broke is told, and nothing of what was being worked on."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import structlog
from appliance.box import journal

journal.configure("test")

def keep(pin):
    raise OSError("no space left")

try:
    keep("4711-0815")
except OSError:
    structlog.get_logger().exception("broke")
"""


def test_a_traceback_tells_no_variable() -> None:
    ran = subprocess.run((sys.executable, "-P", "-c", SCRIPT), capture_output=True, text=True, check=True, timeout=60)
    line = json.loads(ran.stderr)
    assert line["event"] == "broke"
    (shown,) = line["exception"]
    assert (shown["exc_type"], shown["frames"][-1]["name"]) == ("OSError", "keep")
    assert "4711-0815" not in ran.stderr
