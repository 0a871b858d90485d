"""docs/operations.md, "The clock": a box set up as it says shows its time; without chronyd it stamps no more."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.box.settings import ClockSettings, read_settings, write_settings
from firmware_tests.clock.conftest import Chrony
from firmware_tests.docs.pages import ROOT
from firmware_tests.running import RunningBox, cinnabar, wait_until

PAGE = ROOT / "docs" / "operations.md"
ASKED = {"digest": "00" * 32}


@pytest.fixture
def shown_box(open_directory: Path, chrony: Chrony) -> Iterator[RunningBox]:
    box = RunningBox(open_directory / "shown")
    box.provision()
    clock = re.search(r'"clock": (\{.*\})', PAGE.read_text())
    accuracy = re.search(r'"accuracy_us": (\d+)', PAGE.read_text())
    assert clock is not None
    assert accuracy is not None
    # The page's chronyd is the machine's own; a test has one of its own beside it.
    settings = read_settings(box.home.settings)
    units = [msgspec.structs.replace(unit, accuracy_us=int(accuracy[1])) for unit in settings.units]
    source = msgspec.convert(json.loads(clock[1]) | {"chrony_address": chrony.address}, ClockSettings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, units=units, clock=source))
    box.start()
    yield box
    assert box.stop() == 0, box.said()


def test_the_clock_is_shown_and_its_silence_stops_the_stamps(shown_box: RunningBox, chrony: Chrony) -> None:
    box = shown_box
    first = next(json.loads(line) for line in box.said().splitlines() if '"event": "clock"' in line)
    assert (first["source"], first["fault"]) == ("chrony", "none")
    assert first["error_ns"] > 0
    assert "clock    shown" in cinnabar("health", "--home", str(box.home.root)).stdout
    with box.http() as client:
        assert client.post("/v1/stamps", json=ASKED).status_code == 200
        chrony.client.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: client.post("/v1/stamps", json=ASKED).status_code == 503, 10, "no more stamps")
            problem = client.post("/v1/stamps", json=ASKED).json()
            assert (problem["type"], problem["control"]) == ("urn:cinnabar:problem:time-not-shown", "TIME")
            assert problem["retriable"]
            assert client.get("/health").json()["clock"] == "not-shown"
        finally:
            chrony.client.send_signal(signal.SIGCONT)
        wait_until(lambda: client.post("/v1/stamps", json=ASKED).status_code == 200, 20, "stamps again")
