"""What tests submit of letters."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from appliance.recorder import RecorderClient, messages, new_run_id
from appliance.recorder.administration import EnrolApplication, EnrolCertificate, EnrolTenant
from appliance.recorder.messages import Answer, Claim, Committed, Effect, Entry, LetterStep, Replayed
from appliance.recorder.writer import Writer, WriterSettings
from appliance.store import letters
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN, FOREVER, Recorder, entry

CERTIFICATES = {"acme": CERTIFICATE, "globex": FOREIGN}
KEY = hashlib.sha256(b"invoice 1").digest()


def event(body: bytes = b"x" * 64) -> Entry:
    """The record of an event."""
    made = entry(key="seal", body=body)
    return Entry(made.record_id, "letter", made.key, made.time, made.commitment, made.body)


def head(letter: bytes, number: int) -> bytes:
    """The head that a test's letter has after so many events."""
    return hashlib.sha256(letter + number.to_bytes(4, "big")).digest() if number else b""


def step(letter: bytes, number: int, place: int = 0, state: str = "issued", kind: str = "voucher") -> LetterStep:
    """The letter's event of that number, recorded by the command's entry at `place`."""
    view = b"view %d" % number
    return LetterStep(letter, head(letter, number - 1), head(letter, number), number, place, kind, state, view)


def claim(letter: bytes, amount: int = 1, capacity: int = 1, scope: str = "", key: bytes = KEY) -> Claim:
    return Claim(scope, key, letter, amount, capacity)


def letter_id() -> bytes:
    return os.urandom(16)


Append = Callable[..., Awaitable[Committed | Replayed]]


class Who(NamedTuple):
    """A tenant's application."""

    tenant: str
    application: str
    certificate: bytes


ACME = Who("acme", "app", CERTIFICATE)


def enrolled(recorder: Recorder) -> Who:
    """A tenant of a running recorder that nobody has used yet."""
    who = Who(f"tenant-{os.urandom(8).hex()}", "app", os.urandom(32))
    with recorder.admin() as admin:
        admin.enrol_tenant(who.tenant)
        admin.enrol_application(who.tenant, who.application, ["*"])
        admin.enrol_certificate(*who, 0, FOREVER)
    return who


def applying(client: RecorderClient, who: Who) -> Append:
    """Appends one event with its effects."""

    async def apply(*effects: Effect, entries: Sequence[Entry] | None = None) -> Committed | Replayed:
        return await client.append(*who, list(entries or [event()]), effects=list(effects))

    return apply


def with_client(recorder: Recorder, main: Callable[[RecorderClient], Awaitable[None]]) -> None:
    """Run a test's body with a client of the recorder."""

    async def run() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))
        try:
            await main(client)
        finally:
            await client.close()

    asyncio.run(run())


class Bench:
    """A writer of its own, in this process, with tenants acme and globex."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.writer = Writer(directory, WriterSettings(24 * 3_600_000, {}))
        self.run = self.writer.find_run("0" * 32, 0, 0)
        for tenant, certificate in (("acme", CERTIFICATE), ("globex", FOREIGN)):
            for change in (
                EnrolTenant(1, tenant),
                EnrolApplication(1, tenant, "app", ["*"]),
                EnrolCertificate(1, tenant, "app", certificate, 0, FOREVER),
            ):
                assert isinstance(self.writer.administer(change, 0), Committed)

    def restart(self) -> None:
        self.writer.close()
        self.writer = Writer(self.directory, self.writer.settings)

    def transact(self, commands: Sequence[tuple[str, Sequence[Effect]]]) -> list[Answer]:
        """Each tenant's event with its effects, all in one transaction."""
        work = [
            messages.Append(n, t, "app", CERTIFICATES[t], [event()], effects=list(e))
            for n, (t, e) in enumerate(commands)
        ]
        return self.writer.transact([(self.run, command) for command in work])

    def append(self, entries: list[Entry], effects: list[Effect], *, careful: bool = False) -> Answer:
        command = messages.Append(1, "acme", "app", CERTIFICATE, entries, effects=effects)
        return self.writer.transact([(self.run, command)], careful=careful)[0]

    def one(self, *effects: Effect, tenant: str = "acme") -> Answer:
        return self.transact([(tenant, effects)])[0]

    def must(self, *effects: Effect, tenant: str = "acme") -> None:
        answer = self.one(*effects, tenant=tenant)
        assert isinstance(answer, Committed), answer

    def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows of records, leaves and letters."""
        return {
            table: self.writer.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
            for table in (*LETTER_TABLES, "records_1", "leaves", "usage")
        }

    def balance(self, letter: bytes) -> int:
        found = self.writer.connection.execute("SELECT balance FROM letters WHERE letter = ?", (letter,)).fetchone()
        return int(found[0])

    def tally(self, name: str) -> int:
        found = self.writer.connection.execute("SELECT amount FROM tallies WHERE name = ?", (name,)).fetchone()
        return 0 if found is None else int(found[0])


LETTER_TABLES = ("shelves", "letters", "letter_events", "federations", "claims", "claim_uses", "tallies")


def check_letters(connection: sqlite3.Connection) -> None:
    """What must hold of the tables whatever happened: every event has its record and every record of an event its
    event, shelves count what stands on them, and what is claimed is what letters use."""
    ask = connection.execute
    assert ask("PRAGMA integrity_check").fetchall() == [("ok",)]
    events = ask("SELECT letter, count(*), max(number) FROM letter_events GROUP BY letter ORDER BY letter").fetchall()
    assert events == ask("SELECT number, events, events FROM letters ORDER BY number").fetchall()
    recorded = set(ask("SELECT record_id FROM records_1 WHERE kind = 'letter'").fetchall())
    assert recorded == set(ask("SELECT record_id FROM letter_events").fetchall())
    for tenant, one, count in ask("SELECT tenant, letter, events FROM letters").fetchall():
        found = letters.find_letter(connection, tenant, one)
        assert found is not None
        chained = [number for number, _ in letters.read_events(connection, found, 0, count)]
        assert chained == list(range(1, count + 1))
    standing = ask("SELECT shelf, count(*) FROM letters GROUP BY shelf ORDER BY shelf").fetchall()
    assert standing == ask("SELECT number, count FROM shelves WHERE count > 0 ORDER BY number").fetchall()
    used = ask("SELECT scope, key, sum(used) FROM claim_uses GROUP BY scope, key ORDER BY scope, key").fetchall()
    assert used == ask("SELECT scope, key, used FROM claims WHERE holder = 0 ORDER BY scope, key").fetchall()
