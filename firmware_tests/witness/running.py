"""A real witness in a throwaway home: made and run by the commands a user runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from appliance.log.note import VerifierKey
from firmware_tests.running import CLI, cinnabar
from firmware_tests.witness.logs import TestLog

READY_SECONDS = 30.0


def log_table(log: TestLog, **more: str) -> str:
    lines = [f'{name} = "{value}"' for name, value in more.items()]
    return "\n".join(["[[logs]]", f'origin = "{log.origin}"', f'keys = [{{ key = "{log.verifier}" }}]', *lines, ""])


class RunningWitness:
    """Start and stop it as often as a test likes."""

    def __init__(self, home: Path, name: str = "witness.example/w1") -> None:
        self.home = home
        self.name = name
        self.output = home.parent / f"{home.name}.output"
        self.addresses: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        made = cinnabar("witness", "init", "--home", str(home), "--name", name)
        assert made.returncode == 0, made.stderr
        self.verifier = VerifierKey.parse(made.stdout.splitlines()[1])

    def configure(self, logs: Sequence[str], extra: str = "") -> None:
        self.settings.write_text(
            'format = "cinnabar-witness/1"\n'
            f'[[keys]]\nname = "{self.name}"\nfile = "witness.key"\n'
            '[submission]\nlisten = "127.0.0.1:0"\n[monitoring]\nlisten = "127.0.0.1:0"\n' + extra + "\n".join(logs)
        )

    @property
    def settings(self) -> Path:
        return self.home / "witness.toml"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return cinnabar("witness", arguments[0], "--home", str(self.home), *arguments[1:])

    def start(self, program: Sequence[str] | None = None, **options: object) -> None:
        """Start and wait until it listens. `program`: instead of the command line's, with faults in it."""
        command = [*(program or CLI), "witness", "run", "--home", str(self.home)]
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, **options)  # type: ignore[call-overload]
        deadline = time.monotonic() + READY_SECONDS
        while not self._bound():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def _bound(self) -> bool:
        lines = [line.split() for line in self.said().splitlines() if not line.startswith("{")]
        self.addresses = {line[0]: line[1] for line in lines if len(line) == 2 and ":" in line[1]}
        return {"submission", "monitoring"} <= self.addresses.keys()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self._process = None
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self._process = None

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def url(self, listener: str = "submission") -> str:
        return f"http://{self.addresses[listener]}"

    def add(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url()}/add-checkpoint", content=body, timeout=20, trust_env=False)

    def look(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url('monitoring')}{path}", headers=headers, timeout=20, trust_env=False)


def python_with(fault: str) -> list[str]:
    """The command line, run with some Python before it."""
    return [sys.executable, "-c", f"{fault}\nfrom appliance.client.cli import main\nmain()"]
