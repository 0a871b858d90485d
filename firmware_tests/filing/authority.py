"""An authority that is not ours: a TLS server with a CA of its own, openssl's signatures, and every bad habit.

It files each number once, and answers the same number with the same receipt, as authorities with such numbers do.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from firmware_tests.gateway.partner import b64u, der_to_raw, openssl, raw_to_der, un64u, verify


def ticket_of(number: str) -> str:
    return f"T-{number[:20]}"


class Authority:
    """`habits` are consumed one a request: hang, drop, cut, forged, other, busy, refuse, garbage, huge, zipped, drip,
    elsewhere, later; then it behaves. `later` takes the filing: its receipt is there for whoever asks with the ticket,
    once `asked_habits` (not-yet, unknown, and those above) are consumed."""

    def __init__(self, directory: Path, host: str = "localhost") -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._certificates(host)
        self.habits: list[str] = []
        self.asked_habits: list[str] = []
        self.asked: list[str] = []
        """Tickets, as they were asked with."""
        self.left = threading.Event()
        """Set when whoever is dripped at has gone."""
        self.hurry = threading.Event()
        """Until it is set, what drips goes on dripping."""
        self.requests: list[tuple[str, dict[str, Any], bytes]] = []
        """(number, payload, message) as they came."""
        self.faults: dict[str, list[dict[str, Any]]] = {}
        """By batch: what a filing is returned for, the first time."""
        self.receipts: dict[str, bytes] = {}
        self._lock = threading.Lock()
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                authority.answer(self)

            def do_GET(self) -> None:
                authority.answer_later(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"{host}:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hurry.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def _certificates(self, host: str) -> None:
        at = self.directory
        for name in ("ca", "tls", "receipts", "forger"):
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", at / f"{name}.key")
        openssl("req", "-x509", "-new", "-key", at / "ca.key", "-subj", "/CN=authority ca", "-days", "2",
                "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign",
                "-out", at / "ca.crt")  # fmt: skip
        openssl("req", "-x509", "-new", "-key", at / "receipts.key", "-subj", "/CN=receipts", "-days", "2",
                "-out", at / "receipts.crt")  # fmt: skip
        openssl("req", "-new", "-key", at / "tls.key", "-subj", f"/CN={host}", "-out", at / "tls.csr")
        (at / "tls.ext").write_text(f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", at / "tls.csr", "-CA", at / "ca.crt", "-CAkey", at / "ca.key", "-days", "2",
                "-CAcreateserial", "-extfile", at / "tls.ext", "-out", at / "tls.crt")  # fmt: skip

    def adapter(self, **changed: Any) -> str:
        """The adapter's file; `changed`: id, version, kind, state, interface, key, path, timeout_s, later."""
        told = {"id": "fund", "version": 1, "interface": "3.1", "key": "demo-seal", "path": "v31",
                "kind": "outbound-filing", "timeout_s": 1, "later": False} | changed  # fmt: skip
        later = ""
        if told["later"]:
            later = f"""
[later]
ticket = "ticket"
url = "https://{self.host}/{told["path"]}/receipts/"
event = "take"
states = ["pending", "late"]
until = "answer_by"
days = 10
first_s = 1
most_s = 1

[refusal]
statuses = [404, 422]
event = "refuse"
"""
        ca, certificate = ((self.directory / f"{name}.crt").read_text() for name in ("ca", "receipts"))
        columns = '{ row = "line", said = "message" }'
        return f'''
format = "cinnabar-adapter/1"
id = "{told["id"]}"
version = {told["version"]}
title = {{ en = "National Guarantee Fund", zh = "国家融资担保基金" }}
kind = "{told["kind"]}"
state = "submitted"
when = {{ interface = "{told["interface"]}" }}
key = "{told["key"]}"
number = "requestNo"

[message]
batchNo = "batch"
orgName = "authority.name"
amount = "total.amount"
rows = "rows_filed"
fileDigest = "content"
interfaceVersion = {{ text = "{told["path"]}" }}

[authority]
url = "https://{self.host}/{told["path"]}/filings"
sign = "ES256"
ca = """
{ca}"""
certificate = """
{certificate}"""

[receipt]
registry = "authority"
request = "requestNo"
number = "receiptNo"
outcome = "status"
outcomes = [
  {{ value = "ACCEPTED", event = "accept" }},
  {{ value = "RETURNED", event = "return", data.faults = {{ member = "errors", columns = {columns} }} }},
]
{later}
[retry]
first_s = 1
most_s = 2
timeout_s = {told["timeout_s"]}
'''

    def filed(self, batch: str) -> list[dict[str, Any]]:
        """What came of a batch, in order, each number once."""
        with self._lock:
            return list({number: one for number, one, _ in self.requests if one["batchNo"] == batch}.values())

    def came(self, batch: str) -> int:
        with self._lock:
            return sum(one["batchNo"] == batch for _, one, _ in self.requests)

    def message(self, batch: str) -> bytes:
        with self._lock:
            return next(message for _, one, message in self.requests if one["batchNo"] == batch)

    def verify(self, message: bytes, certificate: bytes) -> dict[str, Any]:
        """A filing, held to the tenant's certificate by openssl."""
        head, payload, signature = message.decode().split(".")
        header = json.loads(un64u(head))
        assert header["x5t#S256"] == b64u(hashlib.sha256(certificate).digest())
        verify(certificate, header["alg"], raw_to_der(un64u(signature)), f"{head}.{payload}".encode(), self.directory)
        return dict(json.loads(un64u(payload)))

    def receipt(self, payload: dict[str, Any], key: str = "receipts") -> bytes:
        batch = payload["batchNo"]
        faults = self.faults.pop(batch, None)
        members = {"requestNo": payload["requestNo"], "receiptNo": f"R-{payload['requestNo'][:12]}",
                   "status": "ACCEPTED" if faults is None else "RETURNED", "errors": faults or []}  # fmt: skip
        text = f"{b64u(json.dumps({'alg': 'ES256'}).encode())}.{b64u(json.dumps(members).encode())}"
        path = self.directory / f"text-{threading.get_ident()}"
        path.write_text(text)
        signature = openssl("dgst", "-sha256", "-sign", self.directory / f"{key}.key", path)
        return f"{text}.{b64u(der_to_raw(signature, 32))}".encode()

    def answer_later(self, request: BaseHTTPRequestHandler) -> None:
        ticket = request.path.rpartition("/")[2]
        with self._lock:
            self.asked.append(ticket)
            habit = self.asked_habits.pop(0) if self.asked_habits else ""
            found = [(number, one) for number, one, _ in self.requests if ticket == ticket_of(number)]
        if not found or habit == "unknown":
            self._say(request, 404)
            return
        assert request.headers["idempotency-key"] == found[0][0]
        self._behave(request, "later" if habit == "not-yet" else habit, found[0][1])

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        message = request.rfile.read(int(request.headers["content-length"]))
        payload = json.loads(un64u(message.decode().split(".")[1]))
        number = payload["requestNo"]
        assert request.headers["idempotency-key"] == number
        assert request.headers["accept-encoding"] == "identity"
        with self._lock:
            self.requests.append((number, payload, message))
            habit = self.habits.pop(0) if self.habits else ""
            if number not in self.receipts and habit not in {"busy", "hang", "refuse", "elsewhere"}:
                self.receipts[number] = self.receipt(payload)
        self._behave(request, habit, payload)

    def _behave(self, request: BaseHTTPRequestHandler, habit: str, payload: dict[str, Any]) -> None:
        good = self.receipts.get(payload["requestNo"], b"")
        if habit == "hang":
            time.sleep(2)
            return
        if habit == "drop":
            request.connection.close()
            return
        if habit == "forged":
            good = self.receipt(payload, "forger")
        if habit == "other":
            good = self.receipt(payload | {"requestNo": "00" * 32})
        if habit == "garbage":
            good = base64.b64encode(b"<html>") * 3
        if habit == "zipped":
            good = gzip.compress(bytes(16 << 20), mtime=0)
        if habit == "huge":
            good = bytes((1 << 20) + 1)
        if habit == "later":
            good = json.dumps({"ticket": ticket_of(payload["requestNo"])}).encode()
        if habit == "drip":
            self._drip(request, good)
            return
        more = {"zipped": ("content-encoding", "gzip"), "elsewhere": ("location", f"https://{self.host}/elsewhere")}
        status = {"busy": 503, "refuse": 422, "elsewhere": 307, "later": 202}.get(habit, 200)
        length = len(good) + (100 if habit == "cut" else 0)
        self._say(request, status, good, length, *([more[habit]] if habit in more else []))

    def _say(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        said: bytes = b"",
        length: int = 0,
        *headers: tuple[str, str],
    ) -> None:
        request.send_response(status)
        for name, value in (*headers, ("content-length", str(length))):
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):
            request.wfile.write(said)

    def _drip(self, request: BaseHTTPRequestHandler, good: bytes) -> None:
        """A space now and then, for as long as nobody hurries; then the receipt."""
        request.send_response(200)
        request.end_headers()
        try:
            while not self.hurry.wait(0.2):
                request.wfile.write(b" ")
            request.wfile.write(good)
        except OSError:
            self.left.set()
