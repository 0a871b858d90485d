"""A witness that is not ours: a small server of C2SP tlog-witness, with every bad habit.

It is written from the specification's text: its own parser of requests, its own check of consistency (by the paths of
RFC 9162, section 2.1.4.2, where the product goes by ranges), its own spelling of cosignatures.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware_tests.ports import HeldPort

EM_DASH = "—"


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2."""
    if old == 0:
        return not path
    if old == new:
        return not path and old_root == new_root
    if old & (old - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    fold_old = fold_new = path[0]

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    for step in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            fold_old, fold_new = node(step, fold_old), node(step, fold_new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            fold_new = node(fold_new, step)
        first, last = first >> 1, last >> 1
    return last == 0 and fold_old == old_root and fold_new == new_root


@contextlib.contextmanager
def three_witnesses(tls: Path | None = None) -> Iterator[list[Witness]]:
    """witness-0.example to witness-2.example; `tls`: as firmware_tests.cosigner.tls makes it."""
    made = [Witness(f"witness-{number}.example", tls) for number in range(3)]
    try:
        yield made
    finally:
        for witness in made:
            witness.stop()


class Witness:
    """`habits` are consumed one a request; then it behaves: hang, drop, drip, huge, garbage, status:N, size:N, forged,
    other-key, other-text, elsewhere, plain-409, slow:SECONDS, late-time."""

    def __init__(self, name: str, tls: Path | None = None, *, lasting: str = "") -> None:
        """`tls`: a directory with tls.crt and tls.key. `lasting`: a habit that it never loses."""
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self.habits: list[str] = []
        self.lasting = lasting
        self.logs: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[int, int, int]] = []
        """(old, number of hashes, size) as they came."""
        self.answered: list[int] = []
        """Statuses, as they were given."""
        self.clock = time.time
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.hurry = threading.Event()
        witness = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                witness.connections.add(self.connection)

            def do_POST(self) -> None:
                witness.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self.handler, self.tls = Handler, tls
        self.server: ThreadingHTTPServer | None = None
        self._held = HeldPort()  # while the server is stopped, nobody else gets its port, and nobody answers there
        self.port = self._held.number
        self.start()

    def start(self) -> None:
        """Also again, at the same address."""
        self.hurry.clear()
        self.server = _Server(("127.0.0.1", self.port), self.handler)
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls / "tls.crt", self.tls / "tls.key")
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.hurry.set()
            self.server.shutdown()
            self.server.server_close()
            self.server = None
            while self.connections:
                with contextlib.suppress(OSError):
                    self.connections.pop().shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def vkey(self) -> str:
        public = b"\x04" + self.key.public_key().public_bytes_raw()
        return f"{self.name}+{self._key_id.hex()}+{base64.b64encode(public).decode()}"

    @property
    def _key_id(self) -> bytes:
        public = b"\x04" + self.key.public_key().public_bytes_raw()
        return hashlib.sha256(self.name.encode() + b"\n" + public).digest()[:4]

    def watch(self, origin: str, *vkeys: str) -> None:
        """Its operator enters a log."""
        keys = {}
        for vkey in vkeys:
            name, key_id, encoded = vkey.split("+", 2)
            keys[name, bytes.fromhex(key_id)] = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
        with self.lock:
            kept = self.logs.get(origin, {"size": 0, "root": hashlib.sha256(b"").digest()})
            self.logs[origin] = kept | {"keys": keys}

    def size(self, origin: str) -> int:
        with self.lock:
            return int(self.logs[origin]["size"])

    def line(self, text: bytes, seconds: int | None = None, key: Ed25519PrivateKey | None = None) -> bytes:
        at = int(self.clock()) if seconds is None else seconds
        signature = (key or self.key).sign(b"cosignature/v1\ntime %d\n" % at + text)
        blob = base64.b64encode(self._key_id + at.to_bytes(8, "big") + signature)
        return f"{EM_DASH} {self.name} {blob.decode()}\n".encode()

    # Requests

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        assert request.path == "/add-checkpoint"
        with self.lock:
            habit = self.habits.pop(0) if self.habits else self.lasting
        if habit.startswith("slow:"):
            self.hurry.wait(float(habit.partition(":")[2]))
            habit = ""
        if habit in {"hang", "drop"}:
            if habit == "hang":
                self.hurry.wait(30)
            request.connection.close()
            return
        if habit == "drip":
            self._drip(request)
            return
        with self.lock:
            status, kind, said = self._answer(body, habit)
            self.answered.append(status)
        with contextlib.suppress(OSError):
            request.send_response(status)
            for name, value in (
                ("content-type", kind), ("content-length", str(len(said))),
                *([("location", f"{self.url}/elsewhere")] if status == 307 else []),
            ):  # fmt: skip
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(said)

    def _drip(self, request: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):
            request.send_response(200)
            request.end_headers()
            while not self.hurry.wait(0.05):
                request.wfile.write(b" ")

    def _answer(self, body: bytes, habit: str) -> tuple[int, str, bytes]:
        if habit.startswith("status:"):
            return int(habit[7:]), "text/plain", b"no"
        if habit.startswith("size:"):
            return 409, "text/x.tlog.size", b"%s\n" % habit[5:].encode()
        if habit == "plain-409":
            return 409, "text/plain", b"no\n"
        if habit == "elsewhere":
            return 307, "text/plain", b""
        if habit == "huge":
            return 200, "text/plain", self.line(b"x") * 1000
        if habit == "garbage":
            return 200, "text/plain", b"\xff\xfe<html>"
        head, _, note = body.partition(b"\n\n")
        first, *lines = head.decode().split("\n")
        assert first.startswith("old ")
        assert body.count(b"\n\n") == 2
        old, path = int(first[4:]), [base64.b64decode(line, validate=True) for line in lines]
        assert len(path) <= 63
        text, _, signatures = note.rpartition(b"\n\n")
        text += b"\n"
        origin, size, root = text.decode().split("\n")[:3]
        self.requests.append((old, len(path), int(size)))
        if habit == "forged":
            return 200, "text/plain", self.line(text, key=Ed25519PrivateKey.generate())
        if habit == "other-text":
            return 200, "text/plain", self.line(b"another\n" + text)
        log = self.logs.get(origin)
        if log is None:
            return 404, "text/plain", b"unknown\n"
        if not self._signed(log, text, signatures):
            return 403, "text/plain", b"no key of this log\n"
        if old > int(size):
            return 400, "text/plain", b"old\n"
        if old != log["size"]:
            return 409, "text/x.tlog.size", b"%d\n" % log["size"]
        if not consistent(old, log["root"], int(size), base64.b64decode(root), path):
            return (409 if old == int(size) else 422), "text/plain", b"inconsistent\n"
        log["size"], log["root"] = int(size), base64.b64decode(root)
        log["note"] = note
        if habit == "other-key":
            stranger = f"{EM_DASH} stranger.example {base64.b64encode(bytes(76)).decode()}\n".encode()
            return 200, "text/plain", stranger + self.line(text)
        if habit == "late-time":
            return 200, "text/plain", self.line(text, 2**62)
        return 200, "text/plain; charset=utf-8", self.line(text)

    @staticmethod
    def _signed(log: dict[str, Any], text: bytes, signatures: bytes) -> bool:
        for line in signatures.decode().splitlines():
            dash, name, encoded = line.split(" ")
            assert dash == EM_DASH
            blob = base64.b64decode(encoded, validate=True)
            key = log["keys"].get((name, blob[:4]))
            if key is not None:
                try:
                    key.verify(blob[4:], text)
                except InvalidSignature:
                    return False
                return True
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Whoever goes away in the middle is what some tests are about."""
