"""Audit: pages of a large log, exports of all of it, and their verification offline.

    python -m firmware_tests.bench.bench_audit [--records 1000000]

One JSON line a measurement. Recorder, log follower and audit process run as in a box; the recorder is filled with
stamps as a worker makes them (record, salt, 700 bytes of token, encrypted), 256 a command, every thousandth a seal.
Pages and exports go through the audit socket, as from the management service; page times are those of a caller.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.evidence import TrustBundle, verify
from appliance.evidence.subjects import NamedFile
from firmware_tests.audit.auditing import AuditBox, running, world
from firmware_tests.log.box import origin_of, wait_for
from hsm.testing.softhsm import SoftHsm

TENANT = "alfa"
PAGES = 60


def show(**measured: object) -> None:
    print(json.dumps({"bench": "audit", **measured}), flush=True)


def pages(client: AuditClient, size: int) -> None:
    middle = client.entry(TENANT, size // 2).entry.time
    ways: dict[str, Callable[[int], object]] = {
        "newest": lambda _: client.entries(TENANT, limit=50),
        "deep": lambda turn: client.entries(TENANT, limit=50, cursor=size - turn * (size // PAGES)),
        "kind": lambda _: client.entries(TENANT, Filter(kinds=["seal"]), limit=50),
        "kind and key, oldest first": lambda _: client.entries(
            TENANT, Filter(kinds=["stamp"], keys=["tsu"]), newest=False, limit=50
        ),
        "time": lambda _: client.entries(TENANT, Filter(since=middle, until=middle + 1_000_000), limit=50),
        "text that is nowhere": lambda _: client.entries(TENANT, Filter(text="nowhere in it"), limit=50),
        "one record": lambda turn: client.entry(TENANT, turn * (size // PAGES)),
        "counts": lambda _: client.counts(TENANT),
    }
    for name, way in ways.items():
        times = []
        for turn in range(PAGES):
            begun = time.perf_counter()
            way(turn)
            times.append((time.perf_counter() - begun) * 1e3)
        times.sort()
        show(page=name, records=size, median_ms=round(statistics.median(times), 2), p95_ms=round(times[56], 2))


def export(box: AuditBox, client: AuditClient, trust: TrustBundle, form: str, wanted: Filter, label: str) -> None:
    before = processor_us(box)
    name = client.export_start(TENANT, wanted, form)
    wait_for(lambda: client.export_progress(name).state != "running", "the export ends", 600)
    view = client.export_progress(name)
    assert view.state == "made", view.problem
    entries = view.end - view.first
    after = processor_us(box)
    show(
        export=label,
        entries=entries,
        shown=view.shown,
        seconds=round(view.seconds, 2),
        entries_per_second=round(entries / view.seconds),
        audit_cpu_us=round((after[0] - before[0]) / entries, 1),
        recorder_cpu_us=round((after[1] - before[1]) / entries, 1),
        bytes_per_entry=round(sum(view.sizes) / entries),
    )
    files = [named(box.home.audit_exports / file) for file in view.files]
    begun = time.perf_counter()
    report = verify(files, trust, now_us=time.time_ns() // 1000)
    seconds = time.perf_counter() - begun
    assert report.indication.value == "TOTAL-PASSED", report
    show(verified=label, entries=entries, seconds=round(seconds, 2), entries_per_second=round(entries / seconds))
    for file in view.files:
        (box.home.audit_exports / file).unlink()


def processor_us(box: AuditBox) -> tuple[float, float]:
    """Microseconds of processor time of the audit process and of the recorder so far."""
    assert box.audit is not None

    def spent(process: int) -> float:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6

    return spent(box.audit.pid), spent(box.processes[0].pid)


def named(path: Path) -> NamedFile:
    with path.open("rb") as file:
        return NamedFile(path.name, lambda: path.open("rb"), path.stat().st_size, file.read(4_096))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    softhsm = SoftHsm(root)
    os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
    try:
        with running(root / "home", softhsm) as box, box.client("bench") as client:
            begun = time.perf_counter()
            uvloop.run(box.fill(TENANT, options.records))
            show(filled=options.records, seconds=round(time.perf_counter() - begun, 1))
            begun = time.perf_counter()
            wait_for(lambda: all(log["indexed"] == log["size"] for log in client.logs()), "the index", 600)
            show(index_seconds_after=round(time.perf_counter() - begun, 1))
            size = next(log["size"] for log in client.logs() if log["log"] == TENANT)
            wait_for(lambda: box.checkpoint(origin_of(TENANT)).size >= size, "a signed head", 300)
            trust = box.trust(world())
            pages(client, size)
            for form in ("jsonl", "csv", "asice"):
                export(box, client, trust, form, Filter(), form)
            export(box, client, trust, "jsonl", Filter(kinds=["seal"]), "jsonl, one in a thousand")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
