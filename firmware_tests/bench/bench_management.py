"""The management service: how long each of its pages takes, on a whole box whose tenant's log is large.

    python -m firmware_tests.bench.bench_management [--records 1000000]

One JSON line a page. The box runs as `cinnabar run` runs it, with its officers; the tenant's log is filled with stamps
as a worker makes them (record, salt, 700 bytes of token, encrypted), every thousandth a seal. Times are those of a
signed-in browser on the box itself: TLS, the front, the service and what it asks of keymaster, audit and workers.
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
from pathlib import Path

import hsm
from appliance.api.bodies import Body, BodyCipher
from appliance.box.pins import pin_path
from appliance.box.settings import read_settings
from appliance.record import Record, commitment, new_record_id
from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import new_run_id
from appliance.recorder.messages import Entry
from firmware_tests.mgmt_service.lettered import intake_run, kept_draft, letters_of_demo, policy_of_demo
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.running import wait_until
from hsm import vault

TENANT = "demo"
COMMAND = 256
TURNS = 40
PAUSE = 0.04
"""Seconds between two pages: the front lets nobody ask faster for long."""


def show(**measured: object) -> None:
    print(json.dumps({"bench": "management", **measured}), flush=True)


def cipher_of(box: ManagedBox) -> BodyCipher:
    """The tenant's content key, opened as its workers open it."""
    settings = read_settings(box.home.settings)
    for name, value in settings.environment.items():
        os.environ[name] = value.replace("{home}", str(box.home.root))
    tenant = next(one for one in settings.tenants if one.name == TENANT)
    token = next(one for one in settings.tokens if one.name == tenant.token)
    opened = hsm.open_token(hsm.Pkcs11Uri.parse(token.uri), hsm.PinFile(pin_path(box.home, token)), hsm.LaneSettings())
    try:
        return BodyCipher(TENANT, vault.open_content_key(opened, (box.home.root / tenant.data_key).read_bytes()))
    finally:
        opened.close()


def made(cipher: BodyCipher, number: int, artifact: bytes) -> Entry:
    now = time.time_ns() // 1000
    digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    kind, key = ("seal", f"{TENANT}-seal") if number % 1000 == 999 else ("stamp", f"{TENANT}-tsu")
    record = Record(
        application=f"{TENANT}-app", content_digest=digest, content_hash="sha256", key=key, kind=kind,
        signature_digest=digest, signed_digest=digest, tenant=TENANT, time=now,
    )  # fmt: skip
    salt, content, record_id = os.urandom(32), record.canonical(), new_record_id(now)
    body = cipher.close(record_id, Body(salt, content, artifact))
    return Entry(record_id, kind, key, now, commitment(salt, content), body)


async def fill(box: ManagedBox, cipher: BodyCipher, count: int) -> None:
    with box.running.admin() as admin:
        certificate = next(
            bytes(row["certificate"]) for row in admin.query("register") if row["application"] == f"{TENANT}-app"
        )
    signed = 0
    client = await RecorderClient.connect(box.home.recorder_socket, new_run_id(), lambda: (signed, {}))
    artifact = os.urandom(700)
    waiting: list[asyncio.Future[object]] = []
    for first in range(0, count, COMMAND):
        entries = [made(cipher, number, artifact) for number in range(first, min(count, first + COMMAND))]
        signed += len(entries)
        waiting.append(client.append(TENANT, f"{TENANT}-app", certificate, entries))  # type: ignore[arg-type]
        if len(waiting) > 6:
            await waiting.pop(0)
    for one in waiting:
        await one
    await client.goodbye()
    await client.close()


def pages(box: ManagedBox, ann: Visitor, size: int) -> None:
    policy_of_demo(box)
    letters, draft, run = letters_of_demo(box), kept_draft(box).draft, intake_run(box)
    evidence = f"/letters/{TENANT}/{letters.bond}/evidence"
    wait_until(lambda: ann.get(evidence).status_code == 200, 60, "a head over the letter")
    export = ann.post(f"/api/v1/audit/{TENANT}/exports", json={"form": "csv", "kind": "seal"}).json()["next"]
    wait_until(lambda: ann.get(f"/api/v1{export}").json()["state"] != "running", 600, "the export")
    digest = ann.submit({"action": "set-quota", "name": TENANT, "quota": {}}, title="Measured")
    middle = ann.get(f"/api/v1/audit/{TENANT}/entries/{size // 2}").json()["time"]
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle))
    audit = f"/audit/{TENANT}"
    paths = {
        name: [path]
        for name, path in {
            "overview": "/", "ceremonies": "/ceremonies", "ceremony": f"/ceremonies/{digest}",
            "templates": "/ceremonies/new", "form": "/ceremonies/new/seal-key", "keys": "/keys",
            "key": f"/keys/{TENANT}/{TENANT}-seal", "tenants": "/tenants", "tenant": f"/tenants/{TENANT}",
            "officers": "/officers", "supervision": "/supervision", "settings": "/settings", "updates": "/updates",
            "sign-ins": "/sign-ins", "me": "/me", "logs": "/audit", "audit, newest": audit,
            "audit, kind": f"{audit}?kind=seal", "audit, oldest of a key": f"{audit}?key={TENANT}-tsu&oldest=on",
            "audit, time": f"{audit}?since={at}", "audit, text in a time": f"{audit}?since={at}&text=content",
            "counts": f"{audit}/counts", "exports": f"{audit}/exports", "export": export,
            "kinds": f"/kinds/{TENANT}", "kind": f"/kinds/{TENANT}/bid-bond",
            "picture of a kind": f"/kinds/{TENANT}/bid-bond/picture", "letters": f"/letters/{TENANT}",
            "letter": f"/letters/{TENANT}/{letters.bond}", "evidence of a letter": evidence,
            "letters to approve": "/approvals", "letter to approve": f"/approvals/{TENANT}/{draft}",
            "counts and limits": f"/usage/{TENANT}", "intake runs": f"/intakes/{TENANT}",
            "intake run": f"/intakes/{TENANT}/{run}",
            "seals and stamps": f"/records/{TENANT}", "seals alone": f"/records/{TENANT}?kind=seal",
        }.items()
    }  # fmt: skip
    step = max(1, size // TURNS)
    paths["audit, deep"] = [f"{audit}?cursor={cursor}" for cursor in range(size, 0, -step)]
    paths["one entry"] = [f"{audit}/entries/{number}" for number in range(0, size, step)]
    paths["audit, text that is nowhere"] = [f"{audit}?text=nowhere-in-it"]
    for name, addresses in paths.items():
        times = []
        for turn in range(TURNS):
            time.sleep(PAUSE)
            begun = time.perf_counter()
            answer = ann.get(addresses[turn % len(addresses)])
            times.append((time.perf_counter() - begun) * 1e3)
            assert answer.status_code == 200, (name, answer.text[:500])
        times.sort()
        p95 = times[int(TURNS * 0.95)]
        show(page=name, records=size, median_ms=round(statistics.median(times), 1), p95_ms=round(p95, 1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    box = ManagedBox(root / "home")
    try:
        box.start()
        box.found()
        begun = time.perf_counter()
        asyncio.run(fill(box, cipher_of(box), options.records))
        show(filled=options.records, seconds=round(time.perf_counter() - begun, 1))
        ann = box.signed_in("ann")

        def indexed() -> bool:
            page = ann.get(f"/api/v1/audit/{TENANT}?kind=ceremony").json()
            return bool(page["indexed"] == page["size"])

        wait_until(indexed, 900, "the index")
        size = ann.get(f"/api/v1/audit/{TENANT}?kind=ceremony").json()["size"]
        wait_until(
            lambda: ann.get(f"/api/v1/audit/{TENANT}/entries/{size - 1}").json()["proof"] is not None, 600, "a head"
        )
        ann.sign_in()
        pages(box, ann, size)
    finally:
        box.stop()
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
