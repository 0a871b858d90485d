"""The first rows of a new box: who may call, and every signature that provisioning made.

Provisioning signs before there is a recorder. So it keeps what it signed to itself, starts the recorder for a moment,
hands the register and one row a signature over, and only then lets the signed things out (control RECORD).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.box import process
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.recorder import CallCounter, RecorderClient
from appliance.recorder.admin import AdminClient

START_SECONDS = 20.0


@dataclass(frozen=True)
class SignedThing:
    """One C_Sign call of provisioning."""

    kind: Literal["certificate", "crl"]
    key: str
    subject: str
    body: bytes


@dataclass(frozen=True)
class EnrolledApplication:
    """A caller for the register. The digest is that of its certificate, or of what stands for one."""

    tenant: str
    name: str
    permissions: list[str]
    digest: bytes
    not_before: datetime.datetime
    not_after: datetime.datetime


def enrolled(tenant: str, name: str, certificate: x509.Certificate) -> EnrolledApplication:
    """An application with its first certificate, for everything of its tenant."""
    return EnrolledApplication(
        tenant,
        name,
        ["*"],
        certificate.fingerprint(hashes.SHA256()),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


class GenesisFailed(Exception):
    """The recorder did not take the first rows; the home is not usable."""


def record_genesis(
    home: Home,
    settings: BoxSettings,
    counter: CallCounter,
    signed: list[SignedThing],
    applications: list[EnrolledApplication],
) -> None:
    """Enrol tenants and applications and record every signature. Raises GenesisFailed if the counts do not balance."""
    if counter.signed != len(signed) + sum(counter.drops.values()):
        raise GenesisFailed(
            f"{counter.signed} signatures were made, {len(signed)} kept, dropped: {counter.drops} (RECORD)"
        )
    with _recorder(home, settings):
        with AdminClient(home.admin_socket) as admin:
            for tenant in settings.tenants:
                admin.enrol_tenant(tenant.name)
            for application in applications:
                admin.enrol_application(application.tenant, application.name, application.permissions)
                admin.enrol_certificate(
                    application.tenant,
                    application.name,
                    application.digest,
                    int(application.not_before.timestamp()),
                    int(application.not_after.timestamp()),
                )
        asyncio.run(_record(home, counter, signed))


async def _record(home: Home, counter: CallCounter, signed: list[SignedThing]) -> None:
    client = await RecorderClient.connect(home.recorder_socket, counter.run, counter.counts)
    now = time.time_ns() // 1000
    await asyncio.gather(
        *(client.housekeeping(thing.kind, thing.key, now, thing.subject, thing.body) for thing in signed)
    )
    await client.goodbye()
    await client.close()


@contextlib.contextmanager
def _recorder(home: Home, settings: BoxSettings) -> Iterator[None]:
    directory = home.recorder_socket.parent
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    command = (*process.interpreter(), "-m", "appliance.recorder", "--home", str(home.root))
    with subprocess.Popen(
        command, env=process.environment(home, settings), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
    ) as recorder:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not home.recorder_socket.exists() or not home.admin_socket.exists():
                if recorder.poll() is not None or time.monotonic() > deadline:
                    raise GenesisFailed(f"the recorder did not start: {_said(recorder)}")
                time.sleep(0.02)
            yield
        finally:
            if recorder.poll() is None:
                recorder.send_signal(signal.SIGTERM)
            recorder.communicate(timeout=START_SECONDS)


def _said(recorder: subprocess.Popen[bytes]) -> str:
    recorder.kill()
    _, errors = recorder.communicate()
    return errors.decode(errors="replace")[-2000:]
