"""`make demo`, as it is typed: its end is where officers begin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from firmware_tests.running import RunningBox


def test_it_ends_with_the_management_address_and_a_link_that_works(open_directory: Path) -> None:
    root = open_directory / "demonstration"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "provisioning.demo", "--home", str(root)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    end = done.stdout[done.stdout.rindex("The officers' pages") :]
    link = re.search(r"(https://localhost:8444)(/enrol/\S+)", end)
    assert link, end
    assert f"make run HOME_DIR={root}/box" in end
    assert f"on {link[1]}," in end
    box = RunningBox(root / "box")
    box.home.addresses.unlink()  # of the demonstration's box, which is stopped
    box.start(management="127.0.0.1:0")
    try:
        shown = subprocess.run(
            ["curl", "-s", "-w", "%{http_code}", "--retry", "20", "--retry-delay", "1", "--retry-all-errors", "--fail",
             "--cacert", str(root / "box" / "trust" / "box-ca.pem"),
             "--resolve", f"localhost:{box.address('management').rpartition(':')[2]}:127.0.0.1",
             f"https://localhost:{box.address('management').rpartition(':')[2]}{link[2]}"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert shown.stdout.endswith("200"), shown.stdout
        assert "Ann" in shown.stdout
    finally:
        assert box.stop() == 0, box.said()
