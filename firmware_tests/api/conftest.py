"""A small box for the API's tests: provisioned on SoftHSM, its processes real, the front left out.

`box` is shared by a test session and only read or added to; `own_box` is one that a test may break.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from appliance.box import process
from appliance.box.home import Home
from appliance.box.settings import BoxSettings, read_settings
from appliance.box.states import State, StatePage, StateReport

START_SECONDS = 30.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a unix socket, by the standard library."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class SmallBox:
    """A box in a home, without supervisor and front."""

    home: Home
    settings: BoxSettings
    state: StatePage
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, module: str, *more: str, ready: Path | None = None) -> None:
        environment = process.environment(self.home, self.settings)
        errors = (self.home.root / f"{name}.log").open("ab")
        command = [sys.executable, "-P", "-m", module, "--home", str(self.home.root), *more]
        self.processes[name] = subprocess.Popen(command, env=environment, stderr=errors, stdout=errors)
        errors.close()
        deadline = time.monotonic() + START_SECONDS
        while ready is not None and not ready.exists():
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.home.root / f"{name}.log").read_text()[-4000:])
            time.sleep(0.01)

    def start_all(self) -> None:
        self.start("clock", "appliance.clock", ready=self.home.clock_page)
        self.start("recorder", "appliance.recorder", ready=self.home.recorder_socket)
        self.start("log", "appliance.log")
        self.start("documents", "appliance.documents", ready=self.home.documents_socket)
        self.start_worker(0)

    def start_worker(self, number: int) -> None:
        self.socket("applications", number).unlink(missing_ok=True)
        self.start(
            f"worker-{number}",
            "appliance.api",
            "--worker",
            str(number),
            ready=self.socket("applications", number),
        )

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        ended = self.processes.pop(name)
        ended.send_signal(how)
        return ended.wait(20)

    def stop_all(self) -> None:
        for name in list(reversed(self.processes)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(name)

    def socket(self, listener: str = "applications", number: int = 0) -> Path:
        return self.home.worker_socket(number, listener)

    def certificate(self, application: str) -> str:
        """The header value as nginx writes it ($ssl_client_escaped_cert)."""
        pem = (self.home.clients / f"{application}.crt").read_text()
        first, end, _ = pem.partition("-----END CERTIFICATE-----")  # the front passes the leaf, not its chain
        return quote(f"{first}{end}\n", safe="")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, object] | None = None,
        *,
        caller: str | None = "demo-app",
        listener: str = "applications",
        number: int = 0,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own."""
        sent = dict(headers or {})
        if caller is not None:
            sent["X-Cinnabar-Client-Certificate"] = self.certificate(caller)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = UnixConnection(self.socket(listener, number))
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def set_state(self, state: State) -> None:
        self.state.write(StateReport(state.label, {}, int(time.time())))


def _provision(root: Path) -> SmallBox:
    # In a process of its own: provisioning opens tokens, and this process must stay free of them.
    source = (
        "import sys; from pathlib import Path; from provisioning.rehearsal import provision; "
        "provision(Path(sys.argv[1]), tenants=('demo', 'other'), workers=2)"
    )
    subprocess.run([sys.executable, "-P", "-c", source, str(root)], check=True, capture_output=True, timeout=120)
    home = Home(root)
    for directory in (home.run, home.marks, home.counters):
        directory.mkdir(parents=True, exist_ok=True)
    home.clock_page.parent.mkdir(parents=True, exist_ok=True)
    box = SmallBox(home, read_settings(home.settings), StatePage.create(home.state_page))
    box.set_state(State.OPERATIONAL)
    return box


@contextlib.contextmanager
def _running(root: Path) -> Iterator[SmallBox]:
    box = _provision(root)
    try:
        box.start_all()
        yield box
    finally:
        box.stop_all()


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallBox]:
    with _running(tmp_path_factory.mktemp("box")) as running:
        yield running


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[SmallBox]:
    with _running(tmp_path / "home") as running:
        yield running


@pytest.fixture(scope="session")
def stamp_query() -> bytes:
    """A TimeStampReq by openssl: SHA-256, a nonce, certReq."""
    made = subprocess.run(
        ["openssl", "ts", "-query", "-data", os.devnull, "-sha256", "-cert"], check=True, capture_output=True
    )
    return made.stdout
