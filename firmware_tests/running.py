"""A real box in a throwaway home: provisioned, run by the command a user runs, stopped cleanly."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx

from appliance.box.home import Home
from appliance.recorder.admin import AdminClient

READY_SECONDS = 60.0
STOP_SECONDS = 40.0
CLI = (str(Path(sys.executable).parent / "cinnabar"),)


def cinnabar(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        (*CLI, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **(environment or {})},
    )


class RunningBox:
    """A box under a home; start and stop it as often as a test likes."""

    def __init__(self, root: Path, *tenants: str) -> None:
        self.home = Home(root)
        self.tenants = tenants or ("demo",)
        self.output = root.parent / f"{root.name}.output"
        self._process: subprocess.Popen[bytes] | None = None

    def provision(self, *options: str) -> None:
        made = cinnabar(
            "provision", "--home", str(self.home.root), *(f"--tenant={name}" for name in self.tenants), *options
        )
        assert made.returncode == 0, made.stderr

    def start(self, *options: str, management: str = "off") -> None:
        """Start and wait until it is up. `management`: the address of officers' pages, such as 127.0.0.1:0."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                (
                    *CLI,
                    "run",
                    "--home",
                    str(self.home.root),
                    "--api",
                    "127.0.0.1:0",
                    "--management",
                    management,
                    *options,
                ),
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.home.addresses.exists():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop as Ctrl-C does; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(STOP_SECONDS)
        self._process = None
        self.home.addresses.unlink(missing_ok=True)
        return status

    def kill(self) -> None:
        """The whole box dies at once, as in a power cut: kill -9 of the supervisor takes its children with it."""
        assert self._process is not None
        pids = self.processes().values()
        self._process.kill()
        self._process.wait()
        self._process = None
        self.home.addresses.unlink(missing_ok=True)
        deadline = time.monotonic() + 10
        while any(_alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "a part outlived its supervisor"
            time.sleep(0.02)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def supervisor(self) -> int:
        """Its process number."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-8000:]

    def processes(self) -> dict[str, int]:
        return json.loads(self.home.processes.read_text())

    def address(self, listener: str = "applications") -> str:
        address: str = json.loads(self.home.addresses.read_text())[listener]
        return address

    @property
    def url(self) -> str:
        return f"https://{self.address()}"

    def credentials(self, tenant: str | None = None) -> tuple[Path, Path]:
        """Certificate and key of a tenant's first application."""
        name = f"{tenant or self.tenants[0]}-app"
        return self.home.clients / f"{name}.crt", self.home.clients / f"{name}.key"

    def tls(self, tenant: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.home.trust / "box-ca.pem"))
        certificate, key = self.credentials(tenant)
        context.load_cert_chain(certificate, key)
        return context

    def http(self, tenant: str | None = None, **options: object) -> httpx.Client:
        """A plain HTTP client with the tenant's certificate: what any application in any language would use."""
        return httpx.Client(base_url=self.url, verify=self.tls(tenant), timeout=30, **options)  # type: ignore[arg-type]

    def admin(self) -> AdminClient:
        return AdminClient(self.home.admin_socket)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 20.0, what: str = "the condition") -> None:  # type: ignore[no-untyped-def]
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} s"
        time.sleep(0.05)
