"""Whole boxes whose PINs are not on their disks: opened by officers after the start, or by the machine's TPM."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from appliance.box.control import ControlClient
from appliance.box.memory_pins import PLACES, PREFIX
from appliance.box.settings import read_settings
from appliance.box.states import State, StatePage
from appliance.box.tamper_cli import tamper
from firmware_tests.running import CLI, READY_SECONDS, RunningBox, wait_until
from hsm.testing.tpm import software_tpm

ANN, BO = "ann's long passphrase", "bo's long passphrase"


@pytest.fixture
def machine(open_directory: Path) -> Iterator[RunningBox]:
    box = RunningBox(open_directory / f"u-{secrets.token_hex(3)}")
    box.provision()
    yield box
    if box.running:
        box.kill()


def pins_of(box: RunningBox) -> dict[str, str]:
    settings = read_settings(box.home.settings)
    return {token.name: (box.home.root / token.pin_file).read_text().strip() for token in settings.tokens}


def command(box: RunningBox, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    group, *rest = arguments
    return subprocess.run(
        [*CLI, group, "--home", str(box.home.root), *rest],
        input=typed,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


def assert_nowhere_on_disk(box: RunningBox, pins: dict[str, str]) -> None:
    for path in box.home.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and "tokens" not in path.parts:
            content = path.read_bytes()
            for name, pin in pins.items():
                assert pin.encode() not in content, f"{path} has the PIN of {name}"


def memory_directories() -> set[Path]:
    return {path for place in PLACES for path in Path(place).glob(f"{PREFIX}*")}


def of_box(box: RunningBox) -> Path:
    return box.home.memory_pins.readlink()


def wait_for_lock(box: RunningBox) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if box.home.state_page.exists():
            report = StatePage.open(box.home.state_page).report()
            if "awaiting-unlock" in report.causes:
                assert report.state == "locked"
                return
        assert box.running, box.said()
        time.sleep(0.05)
    raise AssertionError(box.said())


def begin(box: RunningBox) -> None:
    """Start without waiting until it is up."""
    with box.output.open("ab") as output:
        box._process = subprocess.Popen(
            [*CLI, "run", "--home", str(box.home.root), "--api", "127.0.0.1:0", "--management", "off"],
            stdout=output,
            stderr=output,
        )


def wait_until_up(box: RunningBox) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not box.home.addresses.exists():
        assert box.running, box.said()
        assert time.monotonic() < deadline, box.said()
        time.sleep(0.05)


def test_a_box_waits_for_its_officers_and_keeps_no_pin_on_its_disk(machine: RunningBox) -> None:
    box, pins = machine, pins_of(machine)
    options = [option for name in pins for option in ("--token", name)]
    done = command(
        box, "pins", "lock", *options, "--officer", "ann", "--officer", "bo", "--threshold", "2", typed=f"{ANN}\n{BO}\n"
    )
    assert done.returncode == 0, done.stderr
    assert_nowhere_on_disk(box, pins)
    assert {token.pin_source for token in read_settings(box.home.settings).tokens} == {"officer"}
    begin(box)
    wait_for_lock(box)
    processes = msgspec.json.decode(box.home.processes.read_bytes(), type=dict[str, int])
    assert set(processes) == {"clock", "recorder"}, "nothing runs that needs a PIN"
    hint = f"cinnabar console --home {box.home.root} unlock"
    wait_until(lambda: hint in box.said(), READY_SECONDS, "the word of who waits for whom")
    health = command(box, "health")
    assert health.returncode != 0
    assert "runs and does not answer yet: it is locked" in health.stderr
    assert "awaiting-unlock" in health.stderr
    wrong = command(box, "console", "unlock", typed="a wrong passphrase\n")
    assert wrong.returncode != 0
    assert "opens nothing" in wrong.stderr
    half = command(box, "console", "unlock", typed=f"{ANN}\n")
    assert "1 more" in half.stdout
    assert not box.home.addresses.exists()
    done = command(box, "console", "unlock", typed=f"{BO}\n")
    assert done.returncode == 0, done.stderr
    wait_until_up(box)
    directory = of_box(box)
    assert directory in memory_directories()
    assert directory.stat().st_mode & 0o777 == 0o711
    assert {path.stat().st_mode & 0o777 for path in directory.rglob("*.pin")} == {0o600}
    assert_nowhere_on_disk(box, pins)
    report = StatePage.open(box.home.state_page).report()
    assert "awaiting-unlock" not in report.causes
    assert "pins-on-disk" not in report.weaknesses
    _tamper_and_recover(box, pins)
    again = command(box, "console", "unlock", typed=f"{BO}\n")
    assert "no PIN waits" in again.stderr
    running = command(box, "pins", "open", "--token", "box")
    assert "Stop it first" in running.stderr
    assert box.stop() == 0, box.said()
    assert not directory.exists()
    assert_nowhere_on_disk(box, pins)


def _tamper_and_recover(box: RunningBox, pins: dict[str, str]) -> None:
    """Nothing is left of the PINs but the box's own, until officers have typed their passphrases again."""
    page, directory = StatePage.open(box.home.state_page), of_box(box)
    said = CliRunner().invoke(tamper, ["--home", str(box.home.root), "the lid was opened"])
    assert said.exit_code == 0, said.output
    wait_until(lambda: page.state() is State.TAMPERED, 5)
    wait_until(lambda: {path.name for path in directory.rglob("*.pin")} == {"box.pin"}, 5, "the PINs' end")
    assert_nowhere_on_disk(box, pins)
    with ControlClient(box.home.supervisor_socket) as control:
        control.recover()  # as the keymaster does once the ceremony was held
    wait_until(lambda: "awaiting-unlock" in page.report().causes, 5)
    assert page.state() is State.LOCKED
    assert command(box, "console", "unlock", typed=f"{ANN}\n{BO}\n").returncode == 0
    wait_until(lambda: page.state() in {State.OPERATIONAL, State.DEGRADED}, 20, "the box")
    assert {path.stem for path in directory.glob("*.pin")} == set(pins)
    with box.http() as client:
        stamp = {"digest": "00" * 32}
        wait_until(lambda: client.post("/v1/stamps", json=stamp).status_code == 200, 20, "a stamp")


def test_what_a_killed_box_left_in_memory_goes_at_the_next_start_and_a_wait_can_be_stopped(machine: RunningBox) -> None:
    box, pins = machine, pins_of(machine)
    done = command(box, "pins", "lock", "--token", "box", "--officer", "ann", typed=f"{ANN}\n")
    assert done.returncode == 0, done.stderr
    begin(box)
    wait_for_lock(box)
    assert command(box, "console", "unlock", typed=f"{ANN}\n").returncode == 0
    wait_until_up(box)
    directory = of_box(box)
    assert pins["box"] in {path.read_text().strip() for path in directory.rglob("*.pin")}
    box.kill()
    assert directory.exists()
    begin(box)
    wait_for_lock(box)
    assert not directory.exists()
    process = box._process
    assert process is not None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, box.said()
    assert not box.home.memory_pins.is_symlink()
    back = command(box, "pins", "open", "--token", "box", typed=f"{ANN}\n")
    assert back.returncode == 0, back.stderr
    assert pins_of(box) == pins
    box.start()
    assert "pins-on-disk" in StatePage.open(box.home.state_page).report().weaknesses
    assert box.stop() == 0


def test_a_box_with_a_tpm_starts_by_itself_and_on_no_other_machine(
    machine: RunningBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, pins = machine, pins_of(machine)
    options = [option for name in pins for option in ("--token", name)]
    with software_tpm(tmp_path) as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        done = command(box, "pins", "seal", *options)
        assert done.returncode == 0, done.stderr
        assert_nowhere_on_disk(box, pins)
        box.start()
        assert "pins-on-disk" not in StatePage.open(box.home.state_page).report().weaknesses
        assert box.stop() == 0
        assert_nowhere_on_disk(box, pins)
    other = tmp_path / "other"
    other.mkdir()
    with software_tpm(other) as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        process = subprocess.run(
            [*CLI, "run", "--home", str(box.home.root), "--management", "off"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=dict(os.environ),
        )
    assert process.returncode != 0
    assert "tpm2_load failed" in process.stderr + process.stdout
    assert not box.home.memory_pins.is_symlink()
