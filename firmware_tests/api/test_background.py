"""What works in the background outlives whatever it meets: it is logged, that item is put off, and the rest goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.api import background, jobs
from appliance.api.awaited import Reopening
from appliance.api.filing import sender
from appliance.api.intakes import runner
from appliance.api.letters import clockwork


class Unforeseen(Exception):
    """What no rule of the box names."""


class Recorder:
    """Answers with what nobody foresaw, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def ask(*arguments: Any, **_: Any) -> Any:
            self.asked.append(arguments[0] if name == "query" else name)
            raise Unforeseen

        return ask


def worker_of(recorder: object, **more: object) -> Any:
    standing: dict[str, object] = {
        "recorder": recorder, "number": 0, "ciphers": {"demo": None}, "awaited": {"token": None}, "stored": None,
        "callers": SimpleNamespace(box_of=lambda _: object()), "state": SimpleNamespace(state=lambda: ""),
        "clock": SimpleNamespace(read=lambda: SimpleNamespace(time_us=1)), "settings": SimpleNamespace(workers=1),
        "adapters": SimpleNamespace(of=lambda _: [SimpleNamespace(adapter=SimpleNamespace(kind="a", states=("b",)))]),
    }  # fmt: skip
    return SimpleNamespace(**(standing | more))


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not found():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["clockwork", "filing", "intakes", "jobs", "reopening"])
def test_a_loop_goes_on_after_what_nobody_foresaw(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("appliance.api.awaited.TRY_AGAIN_S", 0.01)
    monkeypatch.setattr("appliance.api.filing.sender.permits", lambda *_: True)
    monkeypatch.setattr("appliance.api.letters.clockwork.permits", lambda *_: True)

    async def main() -> None:
        recorder = Recorder()
        worker = worker_of(recorder)
        loops: dict[str, Callable[[], Any]] = {
            "clockwork": lambda: clockwork.Clockwork(worker),
            "filing": lambda: sender.Sender(worker),
            "intakes": lambda: runner.IntakeRunner(worker),
            "jobs": lambda: jobs.JobRunner(worker),
            "reopening": lambda: Reopening(worker, SimpleNamespace(closed={}, faults=[])),  # type: ignore[arg-type]
        }
        loop = loops[what]()
        loop.start(lambda: None) if what == "reopening" else loop.start()
        await until(lambda: len(recorder.asked) >= 3)
        await loop.stop()

    asyncio.run(main())


def test_a_letter_that_cannot_happen_is_put_off_and_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sound = bytes(16), b"\1" * 16
    tried: list[str] = []

    async def main() -> None:
        async def query(*_: object) -> list[list[object]]:
            return [["demo", broken, 1, 1], ["demo", sound, 1, 2]]

        made = clockwork.Clockwork(worker_of(SimpleNamespace(query=query)))

        async def happen(_: str, letter: str) -> None:
            tried.append(letter)
            if letter == broken.hex():
                raise Unforeseen

        monkeypatch.setattr(made, "_happen", happen)
        for _ in range(2):
            await made._look()

    asyncio.run(main())
    assert tried == [broken.hex(), sound.hex(), sound.hex()]


def test_a_run_that_meets_what_nobody_foresaw_is_stopped_with_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[tuple[object, ...]] = []
    run = {"intake": os.urandom(16), "tenant": "demo", "state": "running", "cursor": b"at"}

    async def main() -> None:
        async def query(*_: object) -> dict[str, object]:
            return run

        async def move(*moved: object, at: bytes, fault: bytes) -> str:
            moves.append((*moved, at, fault))
            return "stopped"

        recorder = SimpleNamespace(query=query, intake_move=move)
        cipher = SimpleNamespace(close_bytes=lambda _, content: content)
        made = runner.IntakeRunner(worker_of(recorder, cipher_of=lambda _: cipher))
        await made._carry_on(run)  # it has no request that could be read

    asyncio.run(main())
    ((tenant, intake, before, after, at, fault),) = moves
    assert (tenant, intake, before, after, at) == ("demo", run["intake"], "running", "stopped", b"at")
    assert b"The box met an internal error" in fault
