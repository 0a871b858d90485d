"""What letters cost the recorder: appends with effects against plain ones, and a family of letters as it grows.

Run by `bench_recorder --letters`. A letter's view has 700 bytes, the records of its events 900. "issue" is a new letter
with a claim and value; "transfer" is the next event of a part of a family, drawn at random, "pledge" one that brings it
to another state, "split" one that gives some of its value to a new letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvloop

from appliance.record import new_record_id
from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.messages import Claim, Effect, Entry, LetterStep, ValueMove
from firmware_tests.recorder.running import CERTIFICATE, Recorder

BODY = os.urandom(900)
VIEW = os.urandom(700)
DIGEST = hashlib.sha256(BODY).digest()
CLIENTS = 2
LANES = 64
MOVES = ("transfer", "pledge", "split")
FILLED = 100
"""Letters of one command that fills a family."""


def entry(kind: str) -> Entry:
    now = time.time_ns() // 1000
    return Entry(new_record_id(now), kind, "tsu", now, DIGEST, BODY)


def event_head(letter: bytes, number: int) -> bytes:
    return hashlib.sha256(letter + number.to_bytes(4, "big")).digest() if number else b""


def step(letter: bytes, number: int, state: str = "open") -> LetterStep:
    before, after = event_head(letter, number - 1), event_head(letter, number)
    return LetterStep(letter, before, after, number, 0, "voucher", state, VIEW)


class Mover:
    """One client process, and the letters of the families that it alone moves."""

    def __init__(self, client: RecorderClient) -> None:
        self.client = client
        self.free: list[bytes] = []
        """Letters that no lane has in hand."""
        self.events: dict[bytes, int] = {}

    async def work(self, what: str, amount: int) -> float:
        """Do so many of it; "fill" begins another family. CPU seconds."""
        doing: Callable[[], Awaitable[None]] = getattr(self, what)
        if what == "fill":
            self.free = []
            self.events = {}
        lanes = min(LANES, amount)

        async def lane() -> None:
            for _ in range(amount // lanes):
                await doing()

        cpu = time.process_time()
        await asyncio.gather(*(lane() for _ in range(lanes)))
        return time.process_time() - cpu

    async def append(self, kind: str, effects: list[Effect]) -> None:
        await self.client.append("acme", "app", CERTIFICATE, [entry(kind)], effects=effects)

    async def plain(self) -> None:
        await self.append("stamp", [])

    async def issue(self) -> None:
        one = os.urandom(16)
        await self.append("letter", [step(one, 1), ValueMove(b"", one, 1_000), Claim("", os.urandom(32), one, 1, 1)])

    async def fill(self) -> None:
        new = [os.urandom(16) for _ in range(FILLED)]
        effects: list[Effect] = []
        for one in new:
            effects += (step(one, 1), ValueMove(b"", one, 1_000_000))
        await self.append("letter", effects)
        self.free += new

    async def transfer(self) -> None:
        one, number = self.draw()
        await self.append("letter", [step(one, number)])
        self.give_back(one, number)

    async def pledge(self) -> None:
        one, number = self.draw()
        await self.append("letter", [step(one, number, ("open", "pledged")[number % 2])])
        self.give_back(one, number)

    async def split(self) -> None:
        one, number = self.draw()
        new = os.urandom(16)
        await self.append("letter", [step(one, number), step(new, 1), ValueMove(one, new, 1)])
        self.give_back(one, number)

    def draw(self) -> tuple[bytes, int]:
        """A letter, and the number of its next event."""
        place = random.randrange(len(self.free))
        self.free[place], self.free[-1] = self.free[-1], self.free[place]
        one = self.free.pop()
        return one, self.events.get(one, 1) + 1

    def give_back(self, one: bytes, number: int) -> None:
        self.events[one] = number
        self.free.append(one)


async def serve(path: Path) -> None:
    """A client process: a line of JSON in, [what, amount]; a line out, its CPU seconds."""
    client = await RecorderClient.connect(path, new_run_id(), lambda: (0, {}))
    mover = Mover(client)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await mover.work(*json.loads(line))), flush=True)
    await client.close()


@contextlib.contextmanager
def movers(recorder: Recorder) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "firmware_tests.bench.recorder_letters", str(recorder.home.recorder_socket)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.communicate()


def compare(recorder: Recorder, appends: int, families: list[int], cpu_seconds: Callable[[int], float]) -> None:
    """One JSON line a measurement, then ratios of the recorder's CPU, which a busy machine changes least."""
    costs: dict[str, float] = {}
    assert recorder.process is not None
    process = recorder.process.pid
    with movers(recorder) as clients:

        def measure(what: str, amount: int, parts: int = 0, *, show: bool = True) -> None:
            before, begun = cpu_seconds(process), time.perf_counter()
            share = max(1, amount // CLIENTS // LANES * LANES) if amount > CLIENTS * LANES else amount // CLIENTS
            for client in clients:
                assert client.stdin is not None
                client.stdin.write(json.dumps([what, share]) + "\n")
                client.stdin.flush()
            theirs = [float(client.stdout.readline()) for client in clients if client.stdout is not None]
            seconds, done = time.perf_counter() - begun, share * CLIENTS
            if not show:
                return
            name = f"{what} {parts}" if parts else what
            costs[name] = (cpu_seconds(process) - before) / done * 1e6
            shown = {
                "bench": "recorder-letters",
                "work": name,
                "appends_per_second": round(done / seconds),
                "recorder_cpu_us": round(costs[name], 1),
                "client_cpu_us": round(sum(theirs) / done * 1e6, 1),
                "stored_bytes": sum(path.stat().st_size for path in recorder.home.records.glob("records.sqlite*")),
            }
            print(json.dumps(shown), flush=True)

        for what in ("plain", "issue"):
            measure(what, 2_048, show=False)
            measure(what, appends)
        for parts in sorted(families):
            measure("fill", parts // FILLED, parts)
            for what in MOVES:
                measure(what, min(512, parts), parts, show=False)
                measure(what, appends, parts)
    ratios = {"issue_by_plain": costs["issue"] / costs["plain"]}
    for what in MOVES:
        ratios[f"{what}_grown"] = costs[f"{what} {max(families)}"] / costs[f"{what} {min(families)}"]
    print(json.dumps({"bench": "recorder-letters", **{name: round(ratio, 2) for name, ratio in ratios.items()}}))


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
