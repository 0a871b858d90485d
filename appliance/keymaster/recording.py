"""What ceremonies leave in the logs: kept in the journal first, then sent until the recorder has it, exactly once.

An entry's record id follows from the proposal, the event and the log. So the log itself remembers what was done: a
keymaster whose journal was put back to an older state finds the id taken by another entry, and stops (QUORUM).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from appliance.ceremonies import Proposal, encode, instant, proposal_digest
from appliance.ceremonies.constitution import TENANT
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import CinnabarError
from appliance.keymaster.errors import JournalContradicted
from appliance.keymaster.journal import EntryRow, Journal
from appliance.record import SALT_BYTES
from appliance.recorder.admin import AdminClient
from appliance.recorder.errors import ReadOnly, RecorderUnavailable, RecordIdTaken
from appliance.recorder.messages import BOX_LOG

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
PATIENCE_S = 10.0

log = structlog.get_logger("keymaster")
Answer = TypeVar("Answer")


class AdminLink:
    """The recorder's admin socket for an asyncio loop: one call at a time in a thread, connected again when lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: AdminClient | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    async def call(self, function: Callable[[AdminClient], Answer], patience: float = PATIENCE_S) -> Answer:
        """`function` with a connected client, tried again with back-off for `patience` seconds while the recorder does
        not answer. So it must be safe to do twice. Raises RecorderUnavailable and what the recorder refuses."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        delay = FIRST_DELAY_S
        while True:
            try:
                async with self._lock:
                    return await asyncio.to_thread(self._once, function)
            except RecorderUnavailable:
                if loop.time() + delay > deadline:
                    raise
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    def _once(self, function: Callable[[AdminClient], Answer]) -> Answer:
        client, self._client = self._client or AdminClient(self._path), None
        try:
            answer = function(client)
        except RecorderUnavailable:
            client.close()
            raise
        except BaseException:
            self._keep(client)
            raise
        self._keep(client)
        return answer

    def _keep(self, client: AdminClient) -> None:
        """For the next call; a call that outlived `close` leaves nothing open."""
        if self._closed:
            client.close()
        else:
            self._client = client

    def close(self) -> None:
        self._closed = True
        if self._client is not None:
            self._client.close()
            self._client = None


class Recording:
    """Puts events of ceremonies on record."""

    def __init__(self, journal: Journal, admin: AdminLink, tenants: Callable[[], Iterable[str]]) -> None:
        self._journal = journal
        self._admin = admin
        self._tenants = tenants
        self._sending = asyncio.Lock()

    def logs(self, proposal: Proposal) -> list[str]:
        """The logs that a proposal's events stand in: those of its scopes."""
        return sorted({self.log_of(part.scope) for part in proposal.quorum})

    def log_of(self, scope: str) -> str:
        """Tenant or BOX_LOG. A scope whose tenant has no log yet is spoken of in the box's."""
        tenant = scope.removeprefix(TENANT)
        return tenant if scope.startswith(TENANT) and tenant in self._tenants() else BOX_LOG

    def keep(
        self, proposal: Proposal, key: str, record: CeremonyRecord, artifact: bytes = b"", *, digest: str | None = None
    ) -> None:
        """Into the journal, for every log of the proposal. `key` names the event among those of the proposal.

        An event that is kept already stays as it is."""
        digest = digest or proposal_digest(proposal)
        made_ms = int(instant(proposal.made).timestamp()) * 1000
        known = {entry.log for entry in self._journal.entries(digest) if entry.event == key}
        for name in self.logs(proposal) if not known else sorted(known):
            self.keep_in(name, digest, made_ms, key, record, artifact)

    def keep_in(
        self, name: str, subject: str, made_ms: int, key: str, record: CeremonyRecord, artifact: bytes = b""
    ) -> None:
        """Into the journal, for one log. `subject`: a digest that the event is about."""
        whole = encode(
            msgspec.structs.replace(record, artifact=hashlib.sha256(artifact).hexdigest() if artifact else "")
        )
        record_id = entry_id(subject, key, name, made_ms)
        self._journal.add_entry(record_id, subject, key, name, record.time, os.urandom(SALT_BYTES), whole, artifact)

    async def send(self, subject: str | None = None, patience: float = PATIENCE_S) -> None:
        """Send what waits (of one subject), in order; it is in the logs when this returns.

        Raises RecorderUnavailable, ReadOnly, JournalContradicted."""
        async with self._sending:
            for entry in self._journal.entries_waiting(subject):
                await self._send_one(entry, patience)

    async def _send_one(self, entry: EntryRow, patience: float) -> None:
        try:
            leaf = await self._admin.call(
                lambda admin: admin.ceremony_entry(
                    entry.log, entry.record_id, entry.event, entry.time, entry.salt, entry.record, entry.artifact
                ),
                patience,
            )
        except RecordIdTaken:
            why = f"the log {entry.log} has another entry of {entry.event}"
            self._journal.entry_refused(entry.record_id, why)
            log.error("journal-contradicted", control="QUORUM", proposal=entry.proposal, event_key=entry.event)
            raise JournalContradicted(why) from None
        except (RecorderUnavailable, ReadOnly):
            raise
        except CinnabarError as error:
            self._journal.entry_refused(entry.record_id, str(error))
            raise
        self._journal.entry_on_record(entry.record_id, leaf)

    def on_record(self, subject: str) -> set[str]:
        """Keys of the events of a subject that are in every log they belong to."""
        entries = self._journal.entries(subject)
        missing = {entry.event for entry in entries if entry.leaf is None}
        return {entry.event for entry in entries} - missing


def entry_id(subject: str, key: str, name: str, made_ms: int) -> bytes:
    """The record id of an event: 6 bytes of time, then 16 of a digest, as appliance.record.new_record_id's in form."""
    mixed = hashlib.sha256(b"cinnabar ceremony entry v1\0" + "\0".join((subject, key, name)).encode()).digest()
    return made_ms.to_bytes(6, "big") + mixed[:16]
