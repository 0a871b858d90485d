"""What the supervisor sees of its parts: a hung worker is replaced, a part that does not work shows in the state, and
one counts as up only once it has said so."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from appliance.box import keeping, supervisor
from appliance.box.keeping import PartRunner
from appliance.box.parts import Part
from appliance.box.probe import NoAnswer, Vitals, ask, read_vitals
from appliance.box.readiness import VARIABLE
from appliance.box.settings import read_settings, write_settings
from appliance.box.states import Cause, State, StatePage
from appliance.box.supervisor import Supervisor
from firmware_tests.running import RunningBox, wait_until


@pytest.fixture(scope="module")
def own_box(open_directory: Path) -> Iterator[RunningBox]:
    running = RunningBox(open_directory / f"supervised-{time.monotonic_ns()}")
    running.provision()
    settings = read_settings(running.home.settings)
    write_settings(running.home.settings, msgspec.structs.replace(settings, filing_hosts=("fund.example:443",)))
    running.start()
    yield running
    assert running.stop() == 0, running.said()


def test_a_worker_and_a_filer_that_hang_are_replaced(own_box: RunningBox) -> None:
    hung = own_box.processes()
    for name in ("api-0", "filer"):
        os.kill(hung[name], signal.SIGSTOP)
    for name in ("api-0", "filer"):
        wait_until(lambda name=name: own_box.processes().get(name) not in (None, hung[name]), 40, f"another {name}")
        assert f'"part": "{name}", "pid": {hung[name]}, "event": "part-hung"' in own_box.said()
    with own_box.http() as client:
        assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 200


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


def test_an_answer_without_end_is_none_and_fills_no_memory(tmp_path: Path) -> None:
    """A worker that was taken over answers the supervisor with what it likes."""
    sent = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while sent < 1 << 30:
                writer.write(bytes(1 << 20))
                sent += 1 << 20
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def asked() -> None:
        server = await asyncio.start_unix_server(answer, tmp_path / "metrics.sock")
        async with server:
            with pytest.raises(NoAnswer, match="more than"):
                await ask(tmp_path / "metrics.sock")

    asyncio.run(asked())
    assert sent < 1 << 26


_SAYS = f"import os, time; os.write(int(os.environ[{VARIABLE!r}]), b'\\n'); time.sleep(60)"


def _kept(program: str, watch: Callable[[PartRunner], object]) -> None:
    """Keep a program up, and look at it."""

    async def keep() -> None:
        runner = PartRunner(Part("part", (sys.executable, "-c", program), None, (), 0), {})
        runner.start()
        try:
            await asyncio.to_thread(watch, runner)
        finally:
            await runner.stop()

    asyncio.run(keep())


def test_a_part_is_ready_once_it_says_so_and_not_before() -> None:
    def watch(runner: PartRunner) -> None:
        wait_until(lambda: runner.ready, 5)
        assert not runner.missed
        assert runner.process is not None
        os.kill(runner.process.pid, signal.SIGKILL)
        wait_until(lambda: runner.restarts == 1, 5)
        assert not runner.ready
        assert runner.missed
        wait_until(lambda: runner.ready, 5)

    _kept(_SAYS, watch)


def test_a_part_that_takes_long_to_start_is_not_taken_for_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a busy machine would end its workers again and again, each before it serves."""
    asked = 0

    async def silent(_: Path) -> None:
        nonlocal asked
        asked += 1
        raise NoAnswer("not there yet")

    monkeypatch.setattr(supervisor, "beat", silent)
    monkeypatch.setattr(supervisor, "ASK_INTERVAL_S", 0.01)

    async def keep() -> None:
        command = (sys.executable, "-c", "import time; time.sleep(60)")
        runner = PartRunner(Part("part", command, None, (), 0, pulse=Path("nowhere")), {})
        runner.start()
        asking = asyncio.create_task(Supervisor._ask(cast(Supervisor, None), runner))
        try:
            await asyncio.to_thread(wait_until, lambda: runner.up and asked > 20)
            assert runner.restarts == 0
            monkeypatch.setattr(keeping, "START_S", 0.0)
            await asyncio.to_thread(wait_until, lambda: runner.restarts == 1)
        finally:
            asking.cancel()
            await runner.stop()

    asyncio.run(keep())


def test_a_part_that_ends_at_once_is_missed_from_its_first_end_on() -> None:
    def watch(runner: PartRunner) -> None:
        wait_until(lambda: runner.restarts == 1, 5)
        for _ in range(400):
            assert runner.missed
            time.sleep(0.005)
        assert runner.restarts > 2

    _kept("import time; time.sleep(0.1); raise SystemExit(1)", watch)


def test_a_part_that_does_not_come_up_again_does_not_make_the_state_flap(own_box: RunningBox) -> None:
    page = StatePage.open(own_box.home.state_page)
    wait_until(lambda: page.state() is State.OPERATIONAL, 20)
    index, aside = own_box.home.audit, own_box.home.root / "audit-aside"
    index.rename(aside)
    index.write_text("no directory")
    os.kill(own_box.processes()["audit"], signal.SIGKILL)
    wait_until(lambda: page.report().causes.get(Cause.PROCESS_DOWN.label) == "audit", 10, "the cause")
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert page.state() is State.DEGRADED
        time.sleep(0.01)
    index.unlink()
    aside.rename(index)
    wait_until(lambda: page.state() is State.OPERATIONAL, 20, "the part again")
