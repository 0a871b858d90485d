"""One tenant's load does not stop another's work (control CHANNEL)."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time

from appliance.recorder.admin import AdminClient


def test_a_small_job_passes_anothers_large_ones(own_box) -> None:
    for n in range(4):
        digests = [hashlib.sha256(b"%d %d" % (n, m)).hexdigest() for m in range(10_000)]
        assert own_box.request("POST", "/v1/seals/bulk", {"digests": digests}).status == 202
    started = time.monotonic()
    small = {"digests": [hashlib.sha256(b"small").hexdigest()]}
    reply = own_box.request("POST", "/v1/seals/bulk", small, caller="other-app", headers={"Prefer": "wait=20"})
    taken = time.monotonic() - started
    assert reply.json()["state"] == "done"
    assert taken < 2.5, taken


def test_reads_of_a_large_record_are_bounded_and_stamps_go_on(own_box, stamp_query: bytes) -> None:
    content = os.urandom(20 << 20)
    document = {"document": base64.b64encode(content).decode(), "form": "enveloping"}
    record = own_box.request("POST", "/v1/seals", document).json()["record"]
    replies = []

    def read() -> None:
        replies.append(own_box.request("GET", f"/v1/records/{record}"))

    readers = [threading.Thread(target=read) for _ in range(16)]
    for reader in readers:
        reader.start()
    slowest = 0.0
    media = {"Content-Type": "application/timestamp-query"}
    while any(reader.is_alive() for reader in readers):
        started = time.monotonic()
        assert own_box.request("POST", "/v1/stamps", stamp_query, caller="other-app", headers=media).status == 200
        slowest = max(slowest, time.monotonic() - started)
    for reader in readers:
        reader.join()
    assert slowest < 1.0, slowest
    whole = [reply for reply in replies if reply.status == 200]
    assert whole
    assert all(content in base64.b64decode(reply.json()["artifact"]) for reply in whole)
    refused = [reply for reply in replies if reply.status != 200]
    assert refused
    for reply in refused:
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert str(reply.json()["type"]).endswith("busy")
    assert own_box.request("GET", f"/v1/records/{record}").status == 200
    for caller in ("other-app",):
        theirs = own_box.request("GET", f"/v1/records/{record}", caller=caller)
        unknown = own_box.request("GET", f"/v1/records/{'00' * 22}", caller=caller)
        assert (theirs.status, theirs.body) == (unknown.status, unknown.body)


def test_the_rest_of_a_job_is_refused_once_its_certificate_is_revoked(own_box) -> None:
    digests = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(10_000)]
    job = bytes.fromhex(str(own_box.request("POST", "/v1/seals/bulk", {"digests": digests}).json()["job"]))
    with AdminClient(own_box.home.admin_socket) as admin:
        (mine,) = [
            row for row in admin.query("register") if row["tenant"] == "demo" and "demo-app" in row["application"]
        ]
        admin.enrol_certificate("demo", mine["application"], bytes(32), 0, 1 << 40)
        admin.set_state("revoked", "demo", mine["application"], mine["certificate"])
        deadline = time.monotonic() + 20
        while admin.query("job", "demo", mine["application"], job)["finished"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        last = admin.query("job_verdicts", "demo", mine["application"], job, 9_999, 1)[-1]
    assert last[2] == 0
    assert b"not-authorised" in last[3][-1]
