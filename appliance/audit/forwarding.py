"""Forwarding of log entries to a syslog receiver over TLS, from a durable cursor: a receiver can hang, fill up or die,
and the box goes on; when it is back, it gets everything since what it is known to have.

Syslog has no receipts. So each batch has a TLS session of its own, which ends as RFC 5425, section 4.4 says: we send a
close_notify and wait until the receiver has closed too. A receiver that closes without a reset has read everything
(a kernel resets a connection whose data nobody read). Only then does the cursor move. An outage may double messages,
never lose one: log and index in each say which it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import Any

import msgspec
import structlog

from appliance.audit.errors import RecordDamaged
from appliance.audit.filters import Filter
from appliance.audit.opening import CLEAR_KINDS
from appliance.audit.room import AuditedLog, AuditRoom
from appliance.audit.source import StoredRow
from appliance.audit.syslog import message
from appliance.box.audit_word import AuditWord
from appliance.box.settings import AuditSettings
from appliance.box.words import write_word
from appliance.errors import CinnabarError
from appliance.files import write_file

BATCH = 2_000
TIMEOUT_S = 10.0
PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
_COUNTED = 1_000_000

log = structlog.get_logger("audit")


class Forwarder:
    """Forwards, and writes the audit process's word."""

    def __init__(self, room: AuditRoom) -> None:
        self._room = room
        self._settings: AuditSettings = room.settings.audit
        self._file = room.home.audit / "syslog.json"
        self._cursors = self._read()
        self._failing = ""
        self._sent = 0

    def status(self) -> dict[str, Any]:
        return {
            "receiver": self._settings.syslog,
            "failing": self._failing,
            "sent": self._sent,
            "backlog": self.backlog(),
            "forced": self._settings.forced,
        }

    async def run(self) -> None:
        """For ever."""
        words = asyncio.create_task(self._tell(), name="audit-word")
        try:
            if self._settings.syslog is None:
                await words
            pause = PAUSE_S
            while True:
                try:
                    sent, failing = await self._round()
                    pause = PAUSE_S
                except OSError as error:
                    sent, failing = 0, f"{type(error).__name__}: {error}"
                    pause = min(pause * 2, LONGEST_PAUSE_S)
                if failing and failing != self._failing:
                    log.warning("syslog-failing", detail=failing)
                self._failing = failing
                if not sent:
                    await asyncio.sleep(pause)
        finally:
            words.cancel()

    async def _tell(self) -> None:
        while True:
            receiver = "off" if self._settings.syslog is None else "failing" if self._failing else "ready"
            with contextlib.suppress(OSError):
                write_word(
                    self._room.home.audit_word,
                    AuditWord(backlog=self.backlog(), receiver=receiver, time=time.time()),
                    0o644,
                )
            await asyncio.sleep(PAUSE_S)

    def backlog(self) -> int:
        """Entries that wait, as far as the index knows."""
        if self._settings.syslog is None:
            return 0
        return sum(
            self._room.index.count(self._classes(name), self._cursors.get(name, 0), _COUNTED)
            for name in list(self._room.logs)
        )

    def _classes(self, name: str) -> list[int]:
        wanted = Filter() if self._settings.records else Filter(kinds=sorted(CLEAR_KINDS))
        return self._room.index.classes(name, wanted)

    async def _round(self) -> tuple[int, str]:
        """One batch of each log that has something: how many were confirmed, and why a log could not be read, if one
        could not. The others go on. Raises OSError where the receiver takes nothing."""
        sent, failing = 0, ""
        for audited in list(self._room.logs.values()):
            start = self._cursors.get(audited.name, 0)
            end = self._room.index.size(audited.name)
            leaves = self._room.index.leaves(self._classes(audited.name), start, end, BATCH, newest=False)
            if not leaves:
                continue
            try:
                rows = await self._rows(audited, leaves)
            except CinnabarError as error:
                failing = failing or f"{audited.name}: {type(error).__name__}: {error}"
                continue
            data = b"".join(
                message(row, audited.name, self._room.settings.box_id, self._room.settings.name, _content(audited, row))
                for row in rows
            )
            await asyncio.get_running_loop().run_in_executor(None, self._send, data)
            self._cursors[audited.name] = leaves[-1] + 1
            write_file(self._file, msgspec.json.encode(self._cursors), 0o600)
            sent += len(rows)
        self._sent += sent
        return sent, failing

    async def _rows(self, audited: AuditedLog, leaves: list[int]) -> list[StoredRow]:
        found = {row.leaf: row for row in await self._room.source.picked(audited.name, leaves)}
        for leaf in leaves:
            if leaf not in found:  # in the archive by now: the outage was long
                async for rows in self._room.source.stream(audited.name, leaf, leaf + 1):
                    found[leaf] = StoredRow(*rows[0])
        return [found[leaf] for leaf in leaves]

    def _send(self, data: bytes) -> None:
        """In a thread. Returns once the receiver has read everything; raises OSError."""
        settings = self._settings
        host, _, port = (settings.syslog or "").rpartition(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        root = self._room.home.root
        context.load_verify_locations(None if settings.syslog_ca is None else root / settings.syslog_ca)
        if settings.syslog_certificate is not None and settings.syslog_key is not None:
            context.load_cert_chain(root / settings.syslog_certificate, root / settings.syslog_key)
        with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S) as raw:
            raw.settimeout(TIMEOUT_S)
            with context.wrap_socket(raw, server_hostname=settings.syslog_name or host.strip("[]")) as link:
                view = memoryview(data)
                for at in range(0, len(view), 65_536):
                    link.sendall(view[at : at + 65_536])
                _close(link)

    def _read(self) -> dict[str, int]:
        """The cursors; without them everything is sent again."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}


def _close(link: ssl.SSLSocket) -> None:
    """End the session and see the receiver end it. Raises OSError where it does not, or resets the connection."""
    try:
        link.unwrap().recv(1)
    except ssl.SSLEOFError:
        return  # closed without a close_notify, but in order: a reset would say so


def _content(audited: AuditedLog, row: StoredRow) -> bytes | None:
    """What is told of a record: administrative ones whole, signing records without their content (control CHANNEL)."""
    if row.kind not in CLEAR_KINDS:
        return None
    try:
        return audited.opener.open(row.leaf, row.record_id, row.kind, row.commitment, row.body)[1]
    except RecordDamaged:
        return b'{"damaged":true}'
