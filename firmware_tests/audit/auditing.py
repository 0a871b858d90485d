"""A small box for tests of audits: SoftHSM, recorder, log follower and audit process, all real, and real records."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from appliance.api.bodies import Body, BodyCipher
from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.box.settings import AuditSettings, RecordSettings
from appliance.evidence import Indication, NamedBytes, Report, TrustBundle, verify
from appliance.evidence.bundle import LogEntry
from appliance.log.keys import read_log_keys
from appliance.record import Record, commitment, new_record_id
from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import new_run_id
from appliance.recorder.messages import Entry
from appliance.store import schema
from appliance.store.records import segments
from firmware_tests.evidence.material import World, make_world, microseconds
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, wait_for
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token, vault
from hsm.testing.softhsm import SoftHsm

COMMAND = 256


class AuditBox(Box):
    """Two tenants, alfa and bravo, each with a content key."""

    def __init__(self, root: Path, softhsm: SoftHsm) -> None:
        super().__init__(root, softhsm)
        token = self.settings.tokens[0]
        opened = open_token(Pkcs11Uri.parse(token.uri), PinFile(root / token.pin_file), LaneSettings())
        self.ciphers: dict[str, BodyCipher] = {}
        try:
            for tenant in self.settings.tenants:
                wrapped = vault.create_content_key(opened)
                (root / tenant.data_key).write_bytes(wrapped)
                self.ciphers[tenant.name] = BodyCipher(tenant.name, vault.open_content_key(opened, wrapped))
        finally:
            opened.close()
        self.audit: subprocess.Popen[bytes] | None = None

    def set(self, audit: AuditSettings | None = None, records: RecordSettings | None = None) -> None:
        """Change settings; processes read them at their start."""
        settings = self.settings
        self.settings = msgspec.structs.replace(
            settings, audit=audit or settings.audit, records=records or settings.records
        )
        self.write()

    def start_audit(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(FileNotFoundError):
            self.home.audit_socket.unlink()
        self.audit = process = self.start("appliance.audit")
        wait_for(lambda: self.home.audit_socket.exists() or process.poll() is not None, "the audit process is up")
        assert process.poll() is None, self.errors("appliance.audit")
        return process

    def client(self, person: str = "") -> AuditClient:
        return AuditClient(self.home.audit_socket, person)

    # Records

    def made(
        self, tenant: str, number: int, kind: str = "stamp", key: str = "tsu", artifact: bytes = b"artifact"
    ) -> Entry:
        """The entry of a record, as a worker makes it."""
        now = time.time_ns() // 1000
        digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
        record = Record(
            application="app", content_digest=digest, content_hash="sha256", key=key, kind=kind,
            policy="1.3.6.1.4.1.99999.1", serial=digest[:32], signature_digest=digest, signed_digest=digest,
            tenant=tenant, time=now,
        )  # fmt: skip
        salt, content, record_id = os.urandom(32), record.canonical(), new_record_id(now)
        body = self.ciphers[tenant].close(record_id, Body(salt, content, artifact))
        return Entry(record_id, kind, key, now, commitment(salt, content), body)

    def record(self, tenant: str, entries: list[Entry]) -> int:
        """Append entries; the leaf index of the first."""
        return asyncio.run(self._record(tenant, entries))

    async def _record(self, tenant: str, entries: list[Entry]) -> int:
        client = await RecorderClient.connect(self.home.recorder_socket, new_run_id(), lambda: (len(entries), {}))
        try:
            answer = await client.append(tenant, "app", self.certificate(tenant), entries)
            await client.goodbye()
            return answer.first_index
        finally:
            await client.close()

    async def fill(self, tenant: str, count: int) -> None:
        """Many stamps, every thousandth a seal."""
        signed = 0
        client = await RecorderClient.connect(self.home.recorder_socket, new_run_id(), lambda: (signed, {}))
        artifact = os.urandom(700)
        waiting: list[asyncio.Future[object]] = []
        for first in range(0, count, COMMAND):
            entries = [
                self.made(tenant, n, *(("seal", "seal") if n % 1000 == 999 else ("stamp", "tsu")), artifact)
                for n in range(first, min(count, first + COMMAND))
            ]
            signed += len(entries)
            waiting.append(client.append(tenant, "app", self.certificate(tenant), entries))  # type: ignore[arg-type]
            if len(waiting) > 6:
                await waiting.pop(0)
        for one in waiting:
            await one
        await client.goodbye()
        await client.close()

    def some(self, tenant: str, count: int, kind: str = "stamp", key: str = "tsu") -> int:
        """Append so many records; the leaf index of the first."""
        return self.record(tenant, [self.made(tenant, number, kind, key) for number in range(count)])

    def start_archiving(self) -> None:
        """Start the recorder again, with segments so small and so short-lived that records come to the archive."""
        self.stop(self.processes[0])
        self.set(records=RecordSettings(segment_bytes=20_000, keep_days=0))
        self.start_recorder()

    def wait_for_archive(self, number: int = 1) -> None:
        """Until so many segments are in the archive alone."""
        reader = schema.open_reader(self.home.records)
        wait_for(lambda: sum(one.state == "pruned" for one in segments(reader)) >= number, "segments are pruned", 40)
        reader.close()

    # Exports

    def export(
        self, client: AuditClient, tenant: str, form: str, wanted: Filter | None = None, *, covered: bool = True
    ) -> list[Path]:
        """Make an export, of everything that is there now; its files."""
        if covered:
            size = next(log["size"] for log in client.logs() if log["log"] == tenant)
            self.wait_for_size(BOX_ORIGIN if tenant == "@box" else origin_of(tenant), size)
        name = client.export_start(tenant, wanted, form)
        wait_for(lambda: client.export_progress(name).state != "running", "the export ends", 60)
        view = client.export_progress(name)
        assert view.state == "made", view.problem
        return [self.home.audit_exports / file for file in view.files]

    def trust(self, world: World) -> TrustBundle:
        """A bundle that names the logs of this box."""
        logs = tuple(
            LogEntry(origin=log.origin, key=str(key.verifier))
            for log in self.settings.logs
            for key in read_log_keys(self.directory(log.origin))
        )
        return world.trust(logs=logs)


_WORLD = make_world()


def world() -> World:
    return _WORLD


def verified(trust: TrustBundle, *files: Path | NamedBytes) -> Report:
    """The verifier's report on an export."""
    now = microseconds(datetime.now(UTC))
    named = [one if isinstance(one, NamedBytes) else NamedBytes(one.name, one.read_bytes()) for one in files]
    return verify(named, trust, now_us=now)


def passed(report: Report) -> bool:
    return report.indication is Indication.PASSED


@contextlib.contextmanager
def running(root: Path, softhsm: SoftHsm) -> Iterator[AuditBox]:
    """A box with recorder, follower and audit process up, and its tenants enrolled."""
    box = AuditBox(root, softhsm)
    try:
        box.start_recorder()
        box.enrol()
        box.start_follower()
        box.start_audit()
        yield box
    finally:
        box.close()
