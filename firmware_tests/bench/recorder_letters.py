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
from collections.abc import Awaitable, Callable
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
ROUNDS = 10
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


class Home:
    """A recorder with its clients, and what was measured at it."""

    def __init__(self, recorder: Recorder, cpu_seconds: Callable[[int], float]) -> None:
        assert recorder.process is not None
        self.recorder = recorder
        self._cpu = cpu_seconds
        self._process = recorder.process.pid
        command = [sys.executable, "-m", "firmware_tests.bench.recorder_letters", str(recorder.home.recorder_socket)]
        self._clients = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)
        ]
        self._spent: dict[str, list[float]] = {}

    def work(self, what: str, amount: int) -> None:
        """Do about so many of it; its costs are added to those before."""
        before, begun = self._cpu(self._process), time.perf_counter()
        share = amount // CLIENTS // LANES * LANES or amount // CLIENTS
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write(json.dumps([what, share]) + "\n")
            client.stdin.flush()
        theirs = [float(client.stdout.readline()) for client in self._clients if client.stdout is not None]
        spent = (share * CLIENTS, self._cpu(self._process) - before, sum(theirs), time.perf_counter() - begun)
        self._spent[what] = [a + b for a, b in zip(self._spent.get(what, [0.0] * 4), spent, strict=True)]

    def forget(self, *what: str) -> None:
        """What was only to warm up."""
        for one in what:
            self._spent.pop(one, None)

    def cost(self, what: str) -> float:
        """The recorder's CPU an append, microseconds."""
        done, cpu, _, _ = self._spent[what]
        return cpu / done * 1e6

    def seconds(self, what: str) -> float:
        """The clock's time an append."""
        done, _, _, seconds = self._spent[what]
        return seconds / done

    def show(self, what: str, **more: object) -> None:
        done, _, theirs, seconds = self._spent[what]
        shown = {
            "bench": "recorder-letters",
            "work": what,
            **more,
            "appends_per_second": round(done / seconds),
            "recorder_cpu_us": round(self.cost(what), 1),
            "client_cpu_us": round(theirs / done * 1e6, 1),
            "stored_bytes": sum(path.stat().st_size for path in self.recorder.home.records.glob("records.sqlite*")),
        }
        print(json.dumps(shown), flush=True)

    def close(self) -> None:
        for process in self._clients:
            process.communicate()


def compare(homes: list[Recorder], families: list[int], appends: int, cpu_seconds: Callable[[int], float]) -> None:
    """One JSON line a measurement, then ratios: of growth by the clock and by the recorder's CPU, which a busy machine
    changes least.

    Each family is at a recorder of its own, and they take turns, so that what the machine does meanwhile meets all."""
    with contextlib.ExitStack() as stack:
        opened = [Home(recorder, cpu_seconds) for recorder in homes]
        for home in opened:
            stack.callback(home.close)
        first = opened[0]
        for _ in range(ROUNDS + 1):
            for what in ("plain", "issue"):
                first.work(what, appends // ROUNDS)
        for what in ("plain", "issue"):
            first.show(what)
        for home, parts in zip(opened, families, strict=True):
            home.work("fill", parts // FILLED)
            home.show("fill", parts=parts)
            for what in MOVES:
                home.work(what, appends // ROUNDS)
            home.forget(*MOVES)
        for _ in range(ROUNDS):
            for what in MOVES:
                for home in opened:
                    home.work(what, appends // ROUNDS)
        for home, parts in zip(opened, families, strict=True):
            for what in MOVES:
                home.show(what, parts=parts)
        ratios = {"issue_by_plain": first.cost("issue") / first.cost("plain")}
        for what in MOVES:
            ratios[f"{what}_grown"] = opened[-1].seconds(what) / first.seconds(what)
            ratios[f"{what}_grown_processor"] = opened[-1].cost(what) / first.cost(what)
        print(json.dumps({"bench": "recorder-letters", **{name: round(ratio, 2) for name, ratio in ratios.items()}}))


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
