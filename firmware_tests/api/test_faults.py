"""Identity on open connections, workers that die, a recorder that comes back, and counts that balance."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import socket
import threading
import time

import msgspec
import pytest

from appliance.api.callers import public_certificate
from appliance.api.startup import ConfigurationFaults
from appliance.box.settings import write_settings
from appliance.client.retries import new_idempotency_key
from appliance.recorder.admin import AdminClient

DIGEST = hashlib.sha256(b"letter").hexdigest()
ASKED = {"digest": DIGEST}


class OpenConnection:
    """One kept-alive connection that asks the same again and again. A context manager."""

    def __enter__(self) -> OpenConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def __init__(self, box, number: int = 0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(box.socket("applications", number)))
        body = json.dumps(ASKED).encode()
        self.request = (
            f"POST /v1/stamps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"X-Cinnabar-Client-Certificate: {box.certificate('demo-app')}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def ask(self) -> tuple[int, dict[str, object]]:
        self.socket.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError
            answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self.socket.recv(65536)
        return int(head[9:12]), json.loads(body)


@pytest.mark.parametrize("what", ["certificate", "application", "tenant"])
def test_revocation_acts_on_open_connections(own_box, what: str) -> None:
    digest = hashlib.sha256(_der(own_box, "demo-app")).digest()
    names = {"certificate": ("demo", "demo-app", digest), "application": ("demo", "demo-app"), "tenant": ("demo",)}
    with OpenConnection(own_box) as connection, AdminClient(own_box.home.admin_socket) as admin:
        assert connection.ask()[0] == 200
        admin.set_state("suspended", *names[what])
        deadline = time.monotonic() + 5
        while (status := connection.ask()[0]) == 200:
            assert time.monotonic() < deadline
        assert status == 401
        admin.set_state("active", *names[what])
        while connection.ask()[0] != 200:
            assert time.monotonic() < deadline
        admin.set_state("revoked", *names[what])
        while connection.ask()[0] == 200:
            assert time.monotonic() < deadline


def _der(box, application: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = (box.home.clients / f"{application}.crt").read_bytes()
    return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)


def test_the_tsa_listener_is_opened_and_closed_by_the_register(own_box, stamp_query: bytes) -> None:
    headers = {"Content-Type": "application/timestamp-query"}

    def ask() -> int:
        reply = own_box.request("POST", "/tsa/demo-tsu-rsa", stamp_query, caller=None, listener="tsa", headers=headers)
        return reply.status

    with AdminClient(own_box.home.admin_socket) as admin:
        application, certificate = "demo-public", public_certificate("demo-tsu-rsa")
        with contextlib.suppress(Exception):  # provisioning may have enrolled it
            admin.enrol_application("demo", application, ["demo-tsu-rsa"])
            admin.enrol_certificate("demo", application, certificate, 0, 4_000_000_000)
        deadline = time.monotonic() + 5
        while ask() != 200:
            assert time.monotonic() < deadline


def test_a_killed_worker_loses_no_answer_and_a_job_goes_on_elsewhere(own_box) -> None:
    own_box.start_worker(1)
    digests = [hashlib.sha256(n.to_bytes(4, "big")).hexdigest() for n in range(3_000)]
    key = {"Idempotency-Key": new_idempotency_key()}
    job = own_box.request("POST", "/v1/seals/bulk", {"digests": digests}, headers=key).json()["job"]
    answered: list[str] = []
    stopping = threading.Event()

    def load() -> None:
        with contextlib.suppress(OSError), OpenConnection(own_box) as connection:
            while not stopping.is_set():
                status, stamp = connection.ask()
                if status == 200:
                    answered.append(str(stamp["record"]))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    own_box.stop("worker-0", signal.SIGKILL)
    stopping.set()
    for thread in threads:
        thread.join()
    assert answered
    for record in answered[-50:]:
        assert own_box.request("GET", f"/v1/records/{record}", number=1).status == 200
    deadline = time.monotonic() + 60
    while True:
        page = own_box.request("GET", f"/v1/jobs/{job}?count=0", number=1, headers={"Prefer": "wait=10"}).json()
        if page["state"] == "done":
            break
        assert time.monotonic() < deadline, page
    seen = set()
    first: int | None = 0
    while first is not None:
        page = own_box.request("GET", f"/v1/jobs/{job}?from={first}", number=1).json()
        for verdict in page["verdicts"]:
            assert verdict["status"] == "sealed"
            seen.add(verdict["record"])
        first = page["next"]
    assert len(seen) == len(digests)
    # A replay of the same request finds the same job.
    again = own_box.request("POST", "/v1/seals/bulk", {"digests": digests}, headers=key, number=1).json()
    assert again["job"] == job


def test_a_recorder_that_comes_back_is_found(own_box) -> None:
    key = {"Idempotency-Key": new_idempotency_key()}
    own_box.stop("recorder", signal.SIGKILL)
    result = {}

    def ask() -> None:
        result["reply"] = own_box.request("POST", "/v1/stamps", ASKED, headers=key)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    own_box.home.recorder_socket.unlink(missing_ok=True)
    own_box.start("recorder", "appliance.recorder", ready=own_box.home.recorder_socket)
    asking.join()
    first = result["reply"]
    assert first.status == 200, first.body
    assert own_box.request("POST", "/v1/stamps", ASKED, headers=key).body == first.body


def test_counts_balance_after_a_clean_stop(own_box) -> None:
    key = {"Idempotency-Key": new_idempotency_key()}
    for _ in range(3):
        own_box.request("POST", "/v1/stamps", ASKED, headers=key)
    own_box.request("POST", "/v1/seals", {**ASKED, "level": "B-T"})
    for path, asked in (("/v1/seals", ASKED), ("/v1/stamps", ASKED), ("/v1/stamps/bulk", {"digests": [DIGEST]})):
        assert own_box.request("POST", path, asked, headers={"Idempotency-Key": "nonsense"}).status == 400
        old = {"Idempotency-Key": "01890000-0000-7000-8000-000000000000"}
        assert own_box.request("POST", path, asked, headers=old).status == 400
    own_box.request("POST", "/v1/seals/bulk", {"digests": [DIGEST] * 10}, headers={"Prefer": "wait=10"})
    assert own_box.stop("worker-0") == 0
    with AdminClient(own_box.home.admin_socket) as admin:
        run = max(admin.query("runs", "clean"), key=lambda run: run["started"])
    assert run["signed"] == run["rows"] + sum(run["drops"].values())
    assert run["drops"]["replayed"] == 2


def test_every_fault_of_the_configuration_is_told_at_once(own_box) -> None:
    own_box.stop("worker-0")
    settings = own_box.settings
    broken = msgspec.structs.replace(
        settings,
        units=[
            msgspec.structs.replace(settings.units[0], default_policy="no policy"),
            msgspec.structs.replace(settings.units[1], key_uri="pkcs11:object=nothing"),
            *settings.units[2:],
        ],
        seal_keys=[msgspec.structs.replace(settings.seal_keys[0], certificate="nowhere.pem")],
    )
    write_settings(own_box.home.settings, broken)
    with pytest.raises(AssertionError) as raised:
        own_box.start_worker(0)
    own_box.processes.pop("worker-0").wait(20)
    said = str(raised.value) + (own_box.home.root / "worker-0.log").read_text()
    for fault in ("unit demo-tsu:", "unit demo-tsu-rsa:", "seal key demo-seal:"):
        assert fault in said
    assert ConfigurationFaults.code == "configuration-faults"
