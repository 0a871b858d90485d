"""The recorder alone: appends a second, CPU an append, and whether the cost grows with what is stored.

    python -m firmware_tests.bench.bench_recorder [--clients 2] [--appends 200000] [--records 1000 1000000] [--keys]

One JSON line a measurement. The recorder and its clients are real processes; bodies have 900 bytes. For each number of
`--records` the database is filled up to it first, and the same number of appends is then measured. With `--letters`
(and `--families 1000 1000000`): see firmware_tests.bench.recorder_letters.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from appliance.box.settings import RecordSettings, write_settings
from appliance.record import new_record_id
from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.messages import Entry, Idempotency
from firmware_tests.bench.recorder_letters import compare
from firmware_tests.recorder.running import CERTIFICATE, Recorder, settings, uuid7

BODY_BYTES = 900


async def load(path: Path, appends: int, lanes: int, keys: bool, rate: float) -> dict[str, float]:
    """What one client process does; its CPU is that of client and bench together."""
    client = await RecorderClient.connect(path, new_run_id(), lambda: (0, {}))
    body = os.urandom(BODY_BYTES)
    digest = hashlib.sha256(body).digest()
    latencies: list[float] = []

    begun_all = time.perf_counter()

    async def lane(which: int) -> None:
        for number in range(appends // lanes):
            if rate:
                due = begun_all + (number * lanes + which) / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now = time.time_ns() // 1000
            entry = Entry(new_record_id(now), "stamp", "tsu", now, digest, body)
            begun = time.perf_counter()
            await client.append(
                "acme", "app", CERTIFICATE, [entry], Idempotency(uuid7(), digest) if keys else None, ("tsu", now)
            )
            if number % 4 == 0:
                latencies.append(time.perf_counter() - begun)

    cpu = time.process_time()
    await asyncio.gather(*(lane(which) for which in range(lanes)))
    cpu = time.process_time() - cpu
    await client.close()
    latencies.sort()
    return {
        "cpu": cpu,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "max": latencies[-1],
    }


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(recorder: Recorder, clients: int, appends: int, keys: bool, rate: int = 0) -> dict[str, float]:
    assert recorder.process is not None
    before = cpu_seconds(recorder.process.pid)
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "firmware_tests.bench.bench_recorder",
        "--load",
        str(recorder.home.recorder_socket),
        "--appends",
    ]
    started = [
        subprocess.Popen(
            [*command, str(appends // clients), "--rate", str(rate // clients), *(["--keys"] if keys else [])],
            stdout=subprocess.PIPE,
        )
        for _ in range(clients)
    ]
    results = [json.loads(process.communicate()[0]) for process in started]
    seconds = time.perf_counter() - begun
    done = appends // clients // 128 * 128 * clients
    return {
        "appends_per_second": round(done / seconds),
        "recorder_cpu_us": round((cpu_seconds(recorder.process.pid) - before) / done * 1e6, 1),
        "client_cpu_us": round(sum(r["cpu"] for r in results) / done * 1e6, 1),
        "p50_ms": round(max(r["p50"] for r in results) * 1e3, 2),
        "p99_ms": round(max(r["p99"] for r in results) * 1e3, 2),
        "max_ms": round(max(r["max"] for r in results) * 1e3, 2),
    }


@contextlib.contextmanager
def recorder_home(segment_bytes: int) -> Iterator[Recorder]:
    """A recorder in a home of its own, which is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    recorder = Recorder(root)
    try:
        write_settings(root / "box.json", settings(records=RecordSettings(segment_bytes=segment_bytes)))
        recorder.start()
        recorder.enrol()
        yield recorder
    finally:
        recorder.end()
        shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--appends", type=int, default=200_000)
    parser.add_argument("--records", type=int, nargs="*", default=[1_000, 1_000_000])
    parser.add_argument("--keys", action="store_true", help="every append carries an Idempotency-Key")
    parser.add_argument("--rate", type=int, default=0, help="appends a second in all; 0: as many as go")
    parser.add_argument("--segment-bytes", type=int, default=RecordSettings().segment_bytes)
    parser.add_argument("--letters", action="store_true", help="appends with effects on letters in place of plain ones")
    parser.add_argument("--families", type=int, nargs="*", default=[1_000, 1_000_000], help="letters of a family")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        print(json.dumps(uvloop.run(load(options.load, options.appends, 128, options.keys, options.rate))))
        return
    if options.letters:
        with contextlib.ExitStack() as stack:
            homes = [stack.enter_context(recorder_home(options.segment_bytes)) for _ in options.families]
            compare(homes, sorted(options.families), options.appends, cpu_seconds)
        return
    with recorder_home(options.segment_bytes) as recorder, recorder.admin() as admin:
        for wanted in sorted(options.records):
            missing = wanted - admin.query("tree_size", "acme")
            if missing > 0:
                measure(recorder, 2, max(missing, 512), keys=options.keys)
            size = admin.query("tree_size", "acme")
            result = measure(recorder, options.clients, options.appends, options.keys, options.rate)
            stored = sum(path.stat().st_size for path in recorder.home.records.glob("records.sqlite*"))
            shown = {"bench": "recorder", "records": size, "clients": options.clients, "keys": options.keys}
            after = admin.query("tree_size", "acme")
            print(json.dumps({**shown, **result, "bytes_per_record": round(stored / after)}), flush=True)


if __name__ == "__main__":
    main()
