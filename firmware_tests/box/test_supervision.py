"""What the supervisor sees of its workers: a hung one is replaced, and a part that does not work shows in the state."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.probe import NoAnswer, Vitals, read_vitals
from appliance.box.states import Cause, State, StatePage
from firmware_tests.running import RunningBox, wait_until


@pytest.fixture
def own_box(open_directory: Path) -> Iterator[RunningBox]:
    running = RunningBox(open_directory / f"supervised-{time.monotonic_ns()}")
    running.provision()
    running.start()
    yield running
    assert running.stop() == 0, running.said()


def test_a_worker_that_hangs_is_replaced(own_box: RunningBox) -> None:
    hung = own_box.processes()["api-0"]
    os.kill(hung, signal.SIGSTOP)
    wait_until(lambda: own_box.processes().get("api-0") not in (None, hung), 40, "another worker")
    with own_box.http() as client:
        assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 200
    assert '"part-hung"' in own_box.said()


def test_a_clock_that_is_not_shown_degrades_the_box(own_box: RunningBox) -> None:
    page = StatePage.open(own_box.home.state_page)
    wait_until(lambda: page.state() is State.OPERATIONAL, 10)
    clock = own_box.processes()["clock"]
    os.kill(clock, signal.SIGSTOP)
    try:
        wait_until(lambda: Cause.CLOCK_NOT_SHOWN.label in page.report().causes, 20, "the cause")
        assert page.state() is State.DEGRADED
        with own_box.http() as client:
            refused = client.post("/v1/stamps", json={"digest": "00" * 32})
            assert refused.status_code == 503
            assert refused.json()["control"] == "TIME"
    finally:
        os.kill(clock, signal.SIGCONT)
    wait_until(lambda: page.state() is State.OPERATIONAL, 20, "the clock again")


def test_vitals_are_read_from_an_exposition() -> None:
    text = (
        '# TYPE cinnabar_clock_shown gauge\ncinnabar_clock_shown{worker="0"} 0.0\n'
        '# TYPE cinnabar_key_usable gauge\ncinnabar_key_usable{key="a"} 1.0\ncinnabar_key_usable{key="b"} 0.0\n'
    )
    assert read_vitals(text) == Vitals(clock_shown=False, unusable_keys=("b",))
    with pytest.raises(NoAnswer):
        read_vitals("cinnabar_clock_shown{ 0.0\n")
