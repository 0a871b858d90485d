"""A recorder process in a home, and what tests submit to it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from appliance.box.home import Home
from appliance.box.settings import (
    BoxSettings,
    LimitSettings,
    LogKeySettings,
    LogSettings,
    RecordSettings,
)
from appliance.record import new_record_id
from appliance.recorder.admin import AdminClient
from appliance.recorder.messages import Entry

CERTIFICATE = hashlib.sha256(b"acme/app").digest()
SECOND = hashlib.sha256(b"acme/app, second").digest()
OTHER = hashlib.sha256(b"acme/other").digest()
FOREIGN = hashlib.sha256(b"globex/app").digest()
FOREVER = 1 << 40
ACME_LOG = "log.test/acme"
BOX_ORIGIN = "log.test/box"


def settings(limits: LimitSettings | None = None, records: RecordSettings | None = None) -> BoxSettings:
    def log(origin: str, tenant: str | None) -> LogSettings:
        return LogSettings(origin=origin, tenant=tenant, keys=[LogKeySettings(key_uri="x", token="t", name=origin)])

    return BoxSettings(
        box_id="0" * 32,
        name="test",
        rehearsal=True,
        tokens=[],
        tenants=[],
        units=[],
        seal_keys=[],
        logs=[log(BOX_ORIGIN, None), log(ACME_LOG, "acme")],
        authorities=[],
        limits=limits or LimitSettings(),
        records=records or RecordSettings(),
    )


def entry(content: bytes | None = None, key: str = "tsu", body: bytes = b"x" * 64) -> Entry:
    now = time.time_ns() // 1000
    digest = hashlib.sha256(os.urandom(16) if content is None else content).digest()
    return Entry(new_record_id(now), "stamp", key, now, digest, body)


def uuid7(milliseconds: int | None = None) -> bytes:
    now = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    tail = bytearray(os.urandom(10))
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return now.to_bytes(6, "big") + bytes(tail)


class Recorder:
    """A recorder process over a home."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.home.admin_socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance.recorder", "--home", str(self.home.root)], stdout=subprocess.DEVNULL
        )
        for _ in range(400):
            if self.home.admin_socket.exists():
                with contextlib.suppress(Exception), AdminClient(self.home.admin_socket) as admin:
                    admin.query("status")
                    return
            assert self.process.poll() is None, "the recorder ended"
            time.sleep(0.025)
        raise AssertionError("the recorder did not start")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code

    def kill(self) -> None:
        """End it however it stands, if it does."""
        if self.process is not None:
            self.end(signal.SIGKILL)

    def admin(self) -> AdminClient:
        return AdminClient(self.home.admin_socket)

    def enrol(self) -> None:
        with self.admin() as admin:
            for tenant in ("acme", "globex"):
                admin.enrol_tenant(tenant)
                admin.enrol_application(tenant, "app", ["*"])
            admin.enrol_application("acme", "other", ["tsu"])
            admin.enrol_certificate("acme", "app", CERTIFICATE, 0, FOREVER)
            admin.enrol_certificate("acme", "app", SECOND, 0, FOREVER)
            admin.enrol_certificate("acme", "other", OTHER, 0, FOREVER)
            admin.enrol_certificate("globex", "app", FOREIGN, 0, FOREVER)
