"""A small box for the tests of logs and backups: SoftHSM log keys, the real recorder and the real follower."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.box.home import Home
from appliance.box.settings import (
    BoxSettings,
    LogKeySettings,
    LogSettings,
    TenantSettings,
    TokenSettings,
    write_settings,
)
from appliance.log import LogReader, log_directory
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import NotYetIncluded
from appliance.log.exports import export_file
from appliance.log.note import parse_note
from appliance.record import new_record_id
from appliance.recorder.admin import AdminClient
from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import new_run_id
from appliance.recorder.messages import Entry
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm

BOX_ORIGIN = "log.example/rehearsal/box"


def origin_of(tenant: str) -> str:
    return f"log.example/rehearsal/{tenant}"


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20, more: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what} {more()}"
        time.sleep(0.02)


class Box:
    """A home with two tenants, whose processes the test starts and kills."""

    def __init__(self, root: Path, softhsm: SoftHsm, tenants: tuple[str, ...] = ("alfa", "bravo")) -> None:
        self.home = Home(root)
        self.tenants = tenants
        root.mkdir(parents=True)
        self.home.secrets.mkdir(mode=0o700)
        throwaway = softhsm.token()
        pin = throwaway.pin_file(self.home.secrets)
        token = throwaway.open()
        self.key_uris: dict[str, str] = {}
        for name in ("box", *tenants, "alfa-2"):
            self.key_uris[name] = f"pkcs11:object={name}-log"
            generate_key_pair(token, f"{name}-log", "ed25519")
        token.close()
        self._token_files = {path: path.read_bytes() for path in softhsm.directory.glob("*/token.object")}
        self.settings = BoxSettings(
            box_id="00" * 16,
            name="test",
            rehearsal=True,
            environment={"SOFTHSM2_CONF": str(softhsm.configuration)},
            tokens=[TokenSettings(name="box", uri=str(throwaway.uri), pin_file=str(pin.relative_to(root)))],
            tenants=[TenantSettings(name=name, token="box", data_key=f"secrets/{name}.key") for name in tenants],
            units=[],
            seal_keys=[],
            authorities=[],
            logs=[self._log("box", None), *(self._log(name, name) for name in tenants)],
            checkpoint_interval_ms=50,
            box_leaf_interval_s=1,
        )
        self.write()
        self.processes: list[subprocess.Popen[bytes]] = []

    def _log(self, name: str, tenant: str | None) -> LogSettings:
        origin = BOX_ORIGIN if tenant is None else origin_of(tenant)
        return LogSettings(
            origin=origin,
            tenant=tenant,
            keys=[LogKeySettings(key_uri=self.key_uris[name], token="box", name=origin)],
        )

    def change_keys(self, tenant: str, keys: list[LogKeySettings]) -> None:
        logs = [msgspec.structs.replace(log, keys=keys) if log.tenant == tenant else log for log in self.settings.logs]
        self.settings = msgspec.structs.replace(self.settings, logs=logs)
        self.write()

    def write(self) -> None:
        write_settings(self.home.settings, self.settings)

    # Processes

    def start(self, module: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self.settings.environment}
        log = (self.home.root / f"{module}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--home", str(self.home.root)], env=environment, stderr=log
            )
        self.processes.append(process)
        return process

    def start_recorder(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(FileNotFoundError):
            self.home.recorder_socket.unlink()
        process = self.start("appliance.recorder")
        wait_for(lambda: self._answers() or process.poll() is not None, "the recorder is up")
        assert process.poll() is None, self.errors("appliance.recorder")
        return process

    def _answers(self) -> bool:
        try:
            with AdminClient(self.home.admin_socket) as admin:
                admin.query("status")
        except Exception:  # noqa: BLE001 - whatever it is, it is not up yet
            return False
        return True

    def start_follower(self) -> subprocess.Popen[bytes]:
        # SoftHSM truncates token.object at every login and writes it anew: a process killed between the two leaves the
        # token empty. That is the soft token's fault and not the log's, so the file is put back.
        for path, content in self._token_files.items():
            if path.stat().st_size == 0:
                path.write_bytes(content)
        return self.start("appliance.log")

    def errors(self, module: str = "appliance.log") -> str:
        path = self.home.root / f"{module}.log"
        return path.read_text() if path.exists() else ""

    def stop(self, process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(20)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(20)

    # Register and records

    def certificate(self, tenant: str) -> bytes:
        return hashlib.sha256(f"certificate of {tenant}".encode()).digest()

    def enrol(self) -> None:
        with AdminClient(self.home.admin_socket) as admin:
            for tenant in self.tenants:
                admin.enrol_tenant(tenant)
                admin.enrol_application(tenant, "app", ["*"])
                admin.enrol_certificate(tenant, "app", self.certificate(tenant), 0, 1 << 40)

    def append(self, tenant: str, count: int, batch: int = 1_000) -> int:
        """Append records; returns the leaf index of the first."""
        return asyncio.run(self._append(tenant, count, batch))

    async def _append(self, tenant: str, count: int, batch: int) -> int:
        first = None
        run, signed = new_run_id(), 0
        client = await RecorderClient.connect(self.home.recorder_socket, run, lambda: (signed, {}))
        try:
            for start in range(0, count, batch):
                entries = [
                    Entry(new_record_id(), "stamp", "key", time.time_ns() // 1000, os.urandom(32), b"body")
                    for _ in range(min(batch, count - start))
                ]
                signed += len(entries)
                answer = await client.append(tenant, "app", self.certificate(tenant), entries)
                first = answer.first_index if first is None else first
            await client.goodbye()
        finally:
            await client.close()
        assert first is not None
        return first

    def leaves(self, log: str) -> list[bytes]:
        """All entries of a log as the recorder has them."""
        with AdminClient(self.home.admin_socket) as admin:
            packed = b""
            while more := admin.query("read_leaves", log, len(packed) // 32, 65_536):
                packed += more
        return [packed[at : at + 32] for at in range(0, len(packed), 32)]

    # Logs

    def directory(self, origin: str) -> Path:
        return log_directory(self.home.logs, origin)

    def reader(self, origin: str) -> LogReader:
        return LogReader(self.directory(origin))

    def checkpoint(self, origin: str) -> Checkpoint:
        try:
            return Checkpoint.parse(parse_note(self.reader(origin).checkpoint()).text)
        except NotYetIncluded:
            return Checkpoint(origin, 0, b"")

    def grown_and_restored(self, count: int, tmp_path: Path) -> dict[str, Path]:
        """Entries of alfa under signed heads; then the box stopped, locked as after a restore, and its exported
        checkpoints taken away: where they are now, by origin."""
        follower = self.start_follower()
        self.append("alfa", count)
        self.wait_for_size(origin_of("alfa"), count)
        wait_for(lambda: self.checkpoint(BOX_ORIGIN).size > 0, "a head of the box's log")
        self.stop(follower)
        kept = {}
        for number, origin in enumerate((BOX_ORIGIN, origin_of("alfa"), origin_of("bravo"))):
            path = export_file(self.home.exports / "checkpoints", origin)
            if path.exists():
                kept[origin] = tmp_path / f"{number}.checkpoint"
                kept[origin].write_bytes(path.read_bytes())
                path.unlink()
        self.home.history_lock.write_text("restored\n")
        return kept

    def wait_for_size(self, origin: str, size: int) -> Checkpoint:
        wait_for(
            lambda: self.checkpoint(origin).size >= size, f"{origin} has a head of {size}: {self.errors()[-2000:]}"
        )
        return self.checkpoint(origin)


@contextlib.contextmanager
def running_box(root: Path, softhsm: SoftHsm) -> Iterator[Box]:
    """A box with its recorder up and its tenants enrolled."""
    box = Box(root, softhsm)
    try:
        box.start_recorder()
        box.enrol()
        yield box
    finally:
        box.close()
