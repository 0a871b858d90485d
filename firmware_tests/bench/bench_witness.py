"""What a witness carries: one JSON object a line.

    python -m firmware_tests.bench.bench_witness [--seconds 5] [--logs 64]

cosign         cosignatures/s over HTTP, each of a new head with its consistency proof, durable before the answer; the
               witness is held to one core, the load to another
judge          requests/s read, verified, judged and signed in one process, without HTTP and disk
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import VerifierKey, sign_checkpoint, tree
from appliance.log.checkpoint import Checkpoint, LogKey
from appliance.witness.judging import Head, KnownLog, judge
from appliance.witness.keys import Cosigners, FileKey
from appliance.witness.request import encode_request, parse_request
from firmware_tests.witness.running import RunningWitness

FIRST = 10_000_000
"""Entries of each log before it is witnessed: proofs are as long as those of a large log."""


class GrowingLog:
    """A log of which only the subtrees at its right edge are held; each step adds one entry."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.key = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(origin, self.key.public_key().public_bytes_raw())
        self.size = 0
        self._subtrees: dict[tuple[int, int], bytes] = {}

    def begin(self, size: int) -> None:
        """Made up below: a tree of any subtrees has consistency proofs like any other."""
        for level, index in tree.complete_subtrees((0, size)):
            self._subtrees[level, index] = hashlib.sha256(f"{self.origin} {level} {index}".encode()).digest()
        self.size = size

    def add(self) -> None:
        level, index = 0, self.size
        self._subtrees[0, index] = hashlib.sha256(b"\x00%d" % index).digest()
        while index % 2:
            left = self._subtrees[level, index - 1]
            self._subtrees[level + 1, index // 2] = tree.node_hash(left, self._subtrees[level, index])
            level, index = level + 1, index // 2
        self.size += 1

    def note(self) -> bytes:
        root = tree.range_root((0, self.size), self._read)
        return sign_checkpoint(Checkpoint(self.origin, self.size, root), [(self.verifier, self.key.sign)])

    def next_request(self) -> bytes:
        old = self.size
        self.add()
        return encode_request(old, tree.consistency_proof(old, self.size, self._read), self.note())

    def _read(self, level: int, index: int) -> bytes:
        return self._subtrees[level, index]


def show(name: str, **figures: float) -> None:
    print(json.dumps({"bench": "witness", "measure": name, **{k: round(v, 6) for k, v in figures.items()}}), flush=True)


def judging() -> None:
    log = GrowingLog("log.example/bench")
    log.begin(FIRST)
    known = KnownLog(log.origin, (LogKey(log.verifier),))
    cosigners = Cosigners([FileKey("witness.example/bench", Ed25519PrivateKey.generate())])
    first = parse_request(encode_request(0, [], log.note()))
    head = Head(first.checkpoint.size, first.checkpoint.root, 0, first.note.encode())
    bodies = [log.next_request() for _ in range(2_000)]

    async def run() -> int:
        nonlocal head
        for body in bodies:
            request = parse_request(body)
            note = judge(known, head, request, cosigners.verifiers)
            cosigned = await cosigners.cosign(note, 0)
            head = Head(request.checkpoint.size, request.checkpoint.root, 0, cosigned.encode())
        return len(bodies)

    started = time.perf_counter()
    done = asyncio.run(run())
    show("judge", requests_per_s=done / (time.perf_counter() - started))


async def drive(address: str, logs: list[GrowingLog], bodies: dict[str, list[bytes]], seconds: float) -> list[float]:
    """Each connection sends the requests of its own logs, one after another; seconds that each took."""
    host, _, port = address.rpartition(":")
    took: list[float] = []
    deadline = time.perf_counter() + seconds

    async def one(mine: list[GrowingLog]) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        place = 0
        while time.perf_counter() < deadline:
            waiting = bodies[mine[place % len(mine)].origin]
            if not waiting:
                break
            body = waiting.pop()
            started = time.perf_counter()
            writer.write(
                b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - started)
            place += 1
        writer.close()

    connections = max(1, min(len(logs), CONNECTIONS))
    await asyncio.gather(*(one(logs[number::connections]) for number in range(connections)))
    return took


CONNECTIONS = 16


def cosigning(seconds: float, count: int, expected: float, directory: Path) -> None:
    logs = [GrowingLog(f"log.example/bench/{number}") for number in range(count)]
    each = int(expected * seconds / count) + 1
    bodies: dict[str, list[bytes]] = {}
    for log in logs:
        log.begin(FIRST)
        first = encode_request(0, [], log.note())
        bodies[log.origin] = [first, *(log.next_request() for _ in range(each))][::-1]
    witness = RunningWitness(directory / "witness")
    try:
        witness.configure(
            [f'[[logs]]\norigin = "{log.origin}"\nkeys = [{{ key = "{log.verifier}" }}]\n' for log in logs]
        )
        witness.start()
        cores = sorted(os.sched_getaffinity(0))
        hold_to(witness.process.pid, {cores[0]})
        os.sched_setaffinity(0, {cores[-1]})
        before = witness.look("/metrics").text
        started = time.perf_counter()
        took = sorted(asyncio.run(drive(witness.addresses["submission"], logs, bodies, seconds)))
        passed = time.perf_counter() - started
        transactions = transactions_of(witness.look("/metrics").text) - transactions_of(before)
        show(
            "cosign",
            logs=count,
            cosignatures_per_s=len(took) / passed,
            median_ms=took[len(took) // 2] * 1000,
            p99_ms=took[int(len(took) * 0.99)] * 1000,
            heads_a_transaction=len(took) / max(1, transactions),
        )
        witness.stop()
    finally:
        witness.close()


def hold_to(process: int, cores: set[int]) -> None:
    """Every thread of a process: its commits, too, count on the one core."""
    for task in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def transactions_of(metrics: str) -> float:
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("cinnabar_witness_transac"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--logs", type=int, default=64)
    parser.add_argument("--expected", type=float, default=4_000.0, help="Requests/s that are made beforehand.")
    parser.add_argument("--directory", type=Path)
    arguments = parser.parse_args()
    judging()
    for count in sorted({1, arguments.logs}):
        with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
            cosigning(arguments.seconds, count, arguments.expected, Path(scratch))


if __name__ == "__main__":
    main()
