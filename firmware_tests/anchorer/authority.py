"""Time-stamping authorities over HTTP for tests: `openssl ts` behind a socket, with every bad habit on request."""

from __future__ import annotations

import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID

from firmware_tests.evidence.material import Holder, certify, crl, time_stamper, token

OPENSSL_POLICY = "1.2.3.4.1"
_SETTINGS = f"""
[tsa]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = {OPENSSL_POLICY}
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
DAY = timedelta(days=1)


class OutsideAuthority:
    """A CA, its unit and its list, on a free port. `habit`: how it answers from now on. `responder`: its unit's
    certificate names an OCSP responder (`openssl ocsp`), and no list."""

    def __init__(self, directory: Path, name: str = "Outside", *, responder: bool = False) -> None:
        now = datetime.now(UTC)
        self.ca: Holder = certify(f"{name} CA", ca=True, not_before=now - 9 * DAY, not_after=now + 99 * DAY)
        span = {"not_before": now - 8 * DAY, "not_after": now + 90 * DAY}
        self._directory = directory
        self.asked = 0
        self.habit = ""
        self.authorization: str | None = None
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if self.path == "/ocsp":
                    authority._told(self, self.rfile.read(int(self.headers["content-length"])))
                    return
                authority.asked += 1
                authority.authorization = self.headers["authorization"]
                authority._answer(self, self.rfile.read(int(self.headers["content-length"])))

            def do_GET(self) -> None:
                self.send_response(404 if authority.habit == "no list" else 200)
                self.end_headers()
                self.wfile.write(b"" if authority.habit == "no list" else authority.list)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tsa"
        self.list_url = f"http://127.0.0.1:{self._server.server_address[1]}/ca.crl"
        names = x509.DistributionPoint([x509.UniformResourceIdentifier(self.list_url)], None, None, None)
        at = x509.UniformResourceIdentifier(f"http://127.0.0.1:{self._server.server_address[1]}/ocsp")
        told_by = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, at)])
        where = told_by if responder else x509.CRLDistributionPoints([names])
        self.unit = time_stamper(f"{name} unit", self.ca, extra=[(where, False)], **span)
        self.another = time_stamper(f"{name} other unit", self.ca, **span)
        self.revoked_since: datetime | None = None
        self.told = 0
        for place, holder in (("ca", self.ca), ("other", self.another)):
            (directory / f"{place}.pem").write_bytes(holder.certificate.public_bytes(Encoding.PEM))
            pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (directory / f"{place}.key").write_bytes(pem)
        self.list = crl(self.ca, issued=now - DAY, until=now + 30 * DAY)
        (directory / "tsa.pem").write_bytes(self.unit.certificate.public_bytes(Encoding.PEM))
        private = self.unit.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / "tsa.key").write_bytes(private)
        (directory / "tsa.cnf").write_text(_SETTINGS)
        (directory / "serial").write_text("01\n")
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.habit = "closing"
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, query: bytes) -> bytes:
        with self._lock:
            (self._directory / "query").write_bytes(query)
            command = ("openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query")
            subprocess.run(
                (*command, "-out", "reply"), cwd=self._directory, check=True, capture_output=True, timeout=60
            )
            return (self._directory / "reply").read_bytes()

    def _told(self, request: BaseHTTPRequestHandler, query: bytes) -> None:
        """What `openssl ocsp` answers."""
        self.told += 1
        lines: list[str] = []
        with self._lock:
            since = self.revoked_since
            state = ("V", "") if since is None else ("R", f"{since:%y%m%d%H%M%SZ},keyCompromise")
            for holder, name in ((self.unit, "unit"), (self.another, "other")):
                serial = holder.certificate.serial_number.to_bytes(20, "big").hex().upper()
                until = f"{holder.certificate.not_valid_after_utc:%y%m%d%H%M%SZ}"
                lines.append("\t".join((state[0], until, state[1], serial, "unknown", f"/CN={name}")) + "\n")
            (self._directory / "index.txt").write_text("".join(lines))
            (self._directory / "question").write_bytes(query)
            if self.habit == "told of another":
                self._openssl("-issuer", "ca.pem", "-cert", "other.pem", "-no_nonce", "-reqout", "question")
            by = "other" if self.habit == "told by a unit" else "ca"
            signed = ("-index", "index.txt", "-CA", "ca.pem", "-rsigner", f"{by}.pem", "-rkey", f"{by}.key")
            self._openssl(*signed, "-ndays", "7", "-reqin", "question", "-respout", "answer")
            answer = (self._directory / "answer").read_bytes()
        request.send_response(404 if self.habit == "nobody tells" else 200)
        request.end_headers()
        request.wfile.write(b"<html>" if self.habit == "told nonsense" else answer)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ("openssl", "ocsp", *arguments), cwd=self._directory, check=True, capture_output=True, timeout=60
        )

    def _answer(self, request: BaseHTTPRequestHandler, query: bytes) -> None:
        habit = self.habit
        if habit == "hang":
            deadline = time.monotonic() + 30
            while self.habit == "hang" and time.monotonic() < deadline:
                time.sleep(0.05)
            return
        if habit == "status 500":
            request.send_response(500)
            request.end_headers()
            return
        if habit == "redirect":
            request.send_response(302)
            request.send_header("location", self.url)
            request.end_headers()
            return
        body = self._body(habit, query)
        request.send_response(200)
        request.send_header("content-type", "application/timestamp-reply")
        request.end_headers()
        try:
            if habit == "endless":
                while self.habit == "endless":
                    request.wfile.write(bytes(65_536))
            request.wfile.write(body[:100] if habit == "truncated" else body)
        except OSError:
            pass

    def _body(self, habit: str, query: bytes) -> bytes:
        if habit == "another request":
            other = subprocess.run(
                ("openssl", "ts", "-query", "-digest", "ab" * 32, "-sha256", "-cert"),
                check=True, capture_output=True, timeout=60,
            ).stdout  # fmt: skip
            return self._reply(other)
        if habit == "rejection":
            return bytes.fromhex("30053003020102")
        if habit == "token of a stranger":
            stranger = time_stamper("Stranger", certify("Stranger CA", ca=True))
            return token(stranger, b"x", datetime.now(UTC))
        if habit == "garbage":
            return b"<html>"
        return self._reply(query)
