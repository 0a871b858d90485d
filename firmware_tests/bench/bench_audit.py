"""Audit: pages of a large log, exports of all of it, and their verification offline.

    python -m firmware_tests.bench.bench_audit [--records 1000000] [--keep DIR]

One JSON line a measurement. A whole box runs; its recorder is filled with stamps as a worker makes them (record, salt,
700 bytes of token, encrypted), 256 a command. Pages and exports go through the audit socket, as from the management
service; page times are those of a caller.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.api.bodies import Body, BodyCipher
from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.box.pins import pin_path
from appliance.box.process import environment
from appliance.box.settings import read_settings
from appliance.evidence import NamedBytes, read_bundle, verify
from appliance.evidence.directory import read_directory
from appliance.evidence.subjects import NamedFile
from appliance.record import Record, commitment, new_record_id
from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.messages import Entry
from firmware_tests.running import RunningBox, wait_until
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token, vault

TENANT = "demo"
ARTIFACT_BYTES = 700
COMMAND = 256
IN_FLIGHT = 6
PAGES = 60


def cipher_of(box: RunningBox) -> BodyCipher:
    settings = read_settings(box.home.settings)
    os.environ.update(environment(box.home, settings))
    tenant = next(one for one in settings.tenants if one.name == TENANT)
    token = next(one for one in settings.tokens if one.name == tenant.token)
    opened = open_token(Pkcs11Uri.parse(token.uri), PinFile(pin_path(box.home, token)), LaneSettings())
    try:
        return BodyCipher(TENANT, vault.open_content_key(opened, (box.home.root / tenant.data_key).read_bytes()))
    finally:
        opened.close()


def make(cipher: BodyCipher, number: int, artifact: bytes) -> Entry:
    """A stamp's entry; every thousandth is a seal."""
    now = time.time_ns() // 1000
    digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    seal = number % 1000 == 999
    record = Record(
        application=f"{TENANT}-app",
        content_digest=digest,
        content_hash="sha256",
        key="demo-seal" if seal else "demo-tsu",
        kind="seal" if seal else "stamp",
        policy="1.3.6.1.4.1.99999.1",
        serial=digest[:32],
        signature_digest=digest,
        signed_digest=digest,
        tenant=TENANT,
        time=now,
    )
    salt, content, record_id = os.urandom(32), record.canonical(), new_record_id(now)
    body = cipher.close(record_id, Body(salt, content, artifact))
    return Entry(record_id, record.kind, record.key, now, commitment(salt, content), body)


async def fill(box: RunningBox, cipher: BodyCipher, missing: int) -> float:
    signed = 0
    client = await RecorderClient.connect(box.home.recorder_socket, new_run_id(), lambda: (signed, {}))
    certificate = x509.load_pem_x509_certificate(box.credentials(TENANT)[0].read_bytes())
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    artifact = os.urandom(ARTIFACT_BYTES)
    begun = time.perf_counter()
    waiting: list[asyncio.Future[object]] = []
    for first in range(0, missing, COMMAND):
        entries = [make(cipher, number, artifact) for number in range(first, min(missing, first + COMMAND))]
        signed += len(entries)
        waiting.append(client.append(TENANT, f"{TENANT}-app", digest, entries))  # type: ignore[arg-type]
        if len(waiting) >= IN_FLIGHT:
            await waiting.pop(0)
    for one in waiting:
        await one
    await client.goodbye()
    await client.close()
    return time.perf_counter() - begun


def show(**measured: object) -> None:
    print(json.dumps({"bench": "audit", **measured}), flush=True)


def pages(client: AuditClient, records: int) -> None:
    size = next(one["size"] for one in client.logs() if one["log"] == TENANT)
    middle = client.entry(TENANT, size // 2).entry.time
    ways: dict[str, Callable[[int], object]] = {
        "newest": lambda _: client.entries(TENANT, limit=50),
        "deep": lambda turn: client.entries(TENANT, limit=50, cursor=size - turn * (size // PAGES) - 1),
        "kind": lambda _: client.entries(TENANT, Filter(kinds=["seal"]), limit=50),
        "kind-and-key-oldest": lambda _: client.entries(
            TENANT, Filter(kinds=["stamp"], keys=["demo-tsu"]), newest=False, limit=50
        ),
        "time": lambda _: client.entries(TENANT, Filter(since=middle, until=middle + 1_000_000), limit=50),
        "text-page": lambda _: client.entries(TENANT, Filter(text="nowhere in it"), limit=50),
        "one-record": lambda turn: client.entry(TENANT, turn * (size // PAGES)),
        "counts": lambda _: client.counts(TENANT),
    }
    for name, way in ways.items():
        times = []
        for turn in range(PAGES):
            begun = time.perf_counter()
            way(turn)
            times.append((time.perf_counter() - begun) * 1e3)
        show(
            page=name,
            records=records,
            median_ms=round(statistics.median(times), 2),
            p95_ms=round(sorted(times)[len(times) * 95 // 100], 2),
        )


def export(box: RunningBox, client: AuditClient, form: str, wanted: Filter, label: str) -> None:
    name = client.export_start(TENANT, wanted, form)
    wait_until(lambda: client.export_progress(name).state != "running", 600, "the export")
    view = client.export_progress(name)
    assert view.state == "made", view.problem
    entries = view.end - view.first
    show(
        export=label,
        entries=entries,
        shown=view.shown,
        seconds=round(view.seconds, 2),
        entries_per_second=round(entries / view.seconds),
        bytes_per_entry=round(sum(view.sizes) / entries),
    )
    files = [named(box.home.audit_exports / file) for file in view.files]
    bundle = read_bundle(read_directory(box.home.trust), None)
    begun = time.perf_counter()
    report = verify(files, bundle, now_us=time.time_ns() // 1000)
    seconds = time.perf_counter() - begun
    assert report.indication.value == "TOTAL-PASSED", report
    show(verified=label, entries=entries, seconds=round(seconds, 2), entries_per_second=round(entries / seconds))
    for file in view.files:
        (box.home.audit_exports / file).unlink()


def named(path: Path) -> NamedBytes | NamedFile:
    with path.open("rb") as file:
        return NamedFile(path.name, lambda: path.open("rb"), path.stat().st_size, file.read(4_096))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a home to fill once and use again")
    options = parser.parse_args()
    root = options.keep or Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    box = RunningBox(root / "box", TENANT)
    if not box.home.settings.exists():
        box.provision()
    box.start()
    try:
        wait_until(box.home.audit_socket.exists, 30, "the audit process")
        with AuditClient(box.home.audit_socket, timeout=600) as client:
            missing = options.records - next(one["size"] for one in client.logs() if one["log"] == TENANT)
            if missing > 0:
                seconds = uvloop.run(fill(box, cipher_of(box), missing))
                show(filled=missing, seconds=round(seconds, 1))

            def settled() -> bool:
                log = next(one for one in client.logs() if one["log"] == TENANT)
                return bool(log["indexed"] == log["size"])

            begun = time.perf_counter()
            wait_until(settled, 600, "the index")
            show(index_lag_seconds=round(time.perf_counter() - begun, 1))
            wait_until(lambda: client.entry(TENANT, options.records - 1).tlog_proof is not None, 300, "a signed head")
            pages(client, options.records)
            for form in ("jsonl", "csv", "asice"):
                export(box, client, form, Filter(), form)
            export(box, client, "jsonl", Filter(kinds=["seal"]), "jsonl, one in a thousand")
    finally:
        box.stop()
        if options.keep is None:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
