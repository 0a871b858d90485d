"""`make demo`, as it is typed: its end is where officers begin."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.letters.kind import read_kind
from firmware_tests.running import RunningBox, wait_until
from provisioning.demo import RUNNING, Demo, DemoFailed, main


@pytest.fixture(scope="module")
def shown(open_directory: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A demonstration's directory, and how it went."""
    root = open_directory / "demonstration"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "provisioning.demo", "--home", str(root)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return root, done


def test_it_ends_with_the_management_address_and_a_link_that_works(
    shown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, done = shown
    assert done.returncode == 0, done.stdout + done.stderr
    end = done.stdout[done.stdout.rindex("The officers' pages") :]
    table = done.stdout[done.stdout.index("What it proves") :]
    for name in sorted(path.name for path in root.iterdir() if not path.name.startswith(".")):
        assert name in table, f"what {name} is, is told"
    assert re.search(r"box/clients/demo-app\.key +│? *SECRET", table)
    assert (root / "box" / "clients" / "demo-app.key").exists()
    link = re.search(r"(https://localhost:8444)(/enrol/\S+)", end)
    assert link, end
    assert f"make run HOME_DIR={root}/box" in end
    assert f"on {link[1]}," in end
    box = RunningBox(root / "box")
    box.home.addresses.unlink()  # of the demonstration's box, which is stopped
    box.start(management="127.0.0.1:0")
    try:
        page = subprocess.run(
            ["curl", "-s", "-w", "%{http_code}", "--retry", "20", "--retry-delay", "1", "--retry-all-errors", "--fail",
             "--cacert", str(root / "box" / "trust" / "box-ca.pem"),
             "--resolve", f"localhost:{box.address('management').rpartition(':')[2]}:127.0.0.1",
             f"https://localhost:{box.address('management').rpartition(':')[2]}{link[2]}"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert page.stdout.endswith("200"), page.stdout
        assert "Ann" in page.stdout
    finally:
        assert box.stop() == 0, box.said()


def test_its_pages_name_the_institution_and_say_where_the_letter_is_checked(
    shown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    root, done = shown
    assert done.returncode == 0, done.stdout + done.stderr
    page = sorted((root / "living").glob("*-1.pdf"))[0]
    text = subprocess.run(["pdftotext", str(page), "-"], capture_output=True, text=True, check=True).stdout
    assert "Demo Bank" in text
    assert f"https://localhost:8445/letters/{page.name.removesuffix('-1.pdf')}" in "".join(text.split())
    titles = [read_kind(path.read_bytes()).kind.title.en for path in (root / "box" / "kinds" / "demo").glob("*/*.toml")]
    assert len(titles) == len(set(titles)), "two kinds look the same to whoever chooses one"


def test_a_part_that_stops_badly_is_named_and_nothing_goes_on(
    shown: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    demo = Demo(shown[0])
    demo.home.addresses.unlink(missing_ok=True)
    index = demo.home.audit
    running = demo.start()
    named = {name.partition("-")[0] for name in RunningBox(demo.home.root).processes()}
    others = {"anchorer", "cosigner"}
    assert named == others | {"api", "audit", "clock", "documents", "front", "keymaster", "log", "recorder"}
    assert all(name in RUNNING for name in named)
    index.rename(index.with_name("audit-aside"))
    index.write_text("no directory")
    os.kill(RunningBox(demo.home.root).processes()["audit"], signal.SIGKILL)
    log = shown[0] / "box.log"
    ends = re.compile(r'"part": "audit", "status": 1, "restarts": \d+, "delay_s": [25]\.0')
    wait_until(lambda: ends.search(log.read_text()), 30, "an audit process that does not come up")
    time.sleep(0.1)  # it is down now for two seconds
    with pytest.raises(DemoFailed, match=r"not cleanly: audit \(exit status 1\)") as raised:
        demo.stop(running)
    assert str(log) in str(raised.value)


def test_a_demonstration_that_fails_says_so_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    ran = CliRunner().invoke(main, ["--home", str(tmp_path)])
    assert ran.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
