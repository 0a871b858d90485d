"""The keymaster's journal: what was proposed, said and done, durable before it is answered. SQL only, no rules.

Times are microseconds since the epoch. The rules of the steps stand in appliance.keymaster.engine.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from appliance.keymaster.schema import open_journal

State = Literal["open", "approved", "executing", "executed", "failed", "rejected", "expired"]
ENDED: frozenset[str] = frozenset({"executed", "rejected", "expired"})


class ProposalRow(NamedTuple):
    """`reached`: when it was first approved; `attempt`: how often its execution was begun; `waited`: for how many
    microseconds a recovery has been seen to wait since `reached`."""

    number: int
    digest: str
    nonce: str
    text: bytes
    scopes: str
    takes_away: int
    state: State
    submitted: int
    changed: int
    reached: int | None
    attempt: int
    error: str | None
    waited: int


class StatementRow(NamedTuple):
    number: int
    digest: str
    proposal: str
    verb: str
    officer: str
    text: bytes
    received: int


class StepRow(NamedTuple):
    """`state`: begun, done, failed. `facts`: JSON; `outputs`: msgpack {name: bytes}."""

    proposal: str
    step: int
    state: str
    attempt: int
    begun: int
    ended: int | None
    facts: bytes | None
    outputs: bytes | None
    error: str | None


class EntryRow(NamedTuple):
    """What goes, or went, into a log. `leaf`: its index there once it is on record."""

    number: int
    record_id: bytes
    proposal: str
    event: str
    log: str
    time: int
    salt: bytes
    record: bytes
    artifact: bytes
    leaf: int | None
    refused: str | None


class ConstitutionRow(NamedTuple):
    """`text`: the version file, see appliance.keymaster.chain."""

    version: int
    digest: str
    text: bytes
    made: int


class Journal:
    """The journal, for one process. Every change is one transaction, on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.connection = open_journal(path)

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside, or nothing. Inside another one it is part of that."""
        if self.connection.in_transaction:
            yield self.connection
            return
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    # Proposals

    def add_proposal(
        self, digest: str, nonce: str, text: bytes, scopes: list[str], takes_away: bool, now_us: int
    ) -> None:
        """Raises sqlite3.IntegrityError when the digest or the nonce is known."""
        with self.transaction() as connection:
            connection.execute(
                """INSERT INTO proposals (digest, nonce, text, scopes, takes_away, state, submitted, changed)
                   VALUES (?,?,?,?,?,'open',?,?)""",
                (digest, nonce, text, " ".join(scopes), int(takes_away), now_us, now_us),
            )

    def proposal(self, digest: str) -> ProposalRow | None:
        row = self.connection.execute("SELECT * FROM proposals WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else ProposalRow(*row)

    def proposals(self, states: tuple[str, ...] = (), limit: int = 1_000) -> list[ProposalRow]:
        """The newest first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = self.connection.execute(
            f"SELECT * FROM proposals {where} ORDER BY number DESC LIMIT ?",  # noqa: S608 - question marks only
            (*states, limit),
        )
        return [ProposalRow(*row) for row in rows]

    def begun_words(self, after_us: int) -> list[ProposalRow]:
        """What took away on one officer's word, and was begun or ended after a time; the newest first."""
        rows = self.connection.execute(
            "SELECT * FROM proposals WHERE takes_away = 1 AND attempt > 0 AND changed > ? ORDER BY changed DESC",
            (after_us,),
        )
        return [ProposalRow(*row) for row in rows]

    def set_state(self, digest: str, state: State, now_us: int, *, error: str | None = None) -> None:
        with self.transaction() as connection:
            connection.execute(
                "UPDATE proposals SET state = ?, changed = ?, error = ? WHERE digest = ?",
                (state, now_us, error, digest),
            )

    def set_reached(self, digest: str, at_us: int | None) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE proposals SET reached = ?, waited = 0 WHERE digest = ?", (at_us, digest))

    def add_waited(self, digest: str, us: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE proposals SET waited = waited + ? WHERE digest = ?", (us, digest))

    def begin_attempt(self, digest: str, now_us: int) -> int:
        """Mark the execution as begun; its number."""
        with self.transaction() as connection:
            connection.execute(
                """UPDATE proposals SET state = 'executing', attempt = attempt + 1, changed = ?, error = NULL
                   WHERE digest = ?""",
                (now_us, digest),
            )
            attempt: int = connection.execute("SELECT attempt FROM proposals WHERE digest = ?", (digest,)).fetchone()[0]
            return attempt

    # Statements

    def add_statement(self, digest: str, proposal: str, verb: str, officer: str, text: bytes, received: int) -> None:
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO statements (digest, proposal, verb, officer, text, received) VALUES (?,?,?,?,?,?)",
                (digest, proposal, verb, officer, text, received),
            )

    def statements(self, proposal: str) -> list[StatementRow]:
        """In the order in which they came."""
        rows = self.connection.execute("SELECT * FROM statements WHERE proposal = ? ORDER BY number", (proposal,))
        return [StatementRow(*row) for row in rows]

    # Steps

    def begin_step(self, proposal: str, step: int, attempt: int, now_us: int) -> None:
        with self.transaction() as connection:
            connection.execute(
                """INSERT INTO steps (proposal, step, state, attempt, begun) VALUES (?,?,'begun',?,?)
                   ON CONFLICT (proposal, step) DO UPDATE SET state = 'begun', attempt = excluded.attempt,
                   begun = excluded.begun, ended = NULL, error = NULL""",
                (proposal, step, attempt, now_us),
            )

    def end_step(
        self, proposal: str, step: int, now_us: int, *, facts: bytes, outputs: dict[str, bytes], error: str | None
    ) -> None:
        with self.transaction() as connection:
            connection.execute(
                """UPDATE steps SET state = ?, ended = ?, facts = ?, outputs = ?, error = ?
                   WHERE proposal = ? AND step = ?""",
                (
                    "done" if error is None else "failed",
                    now_us,
                    facts,
                    msgspec.msgpack.encode(outputs),
                    error,
                    proposal,
                    step,
                ),
            )

    def steps(self, proposal: str) -> list[StepRow]:
        rows = self.connection.execute("SELECT * FROM steps WHERE proposal = ? ORDER BY step", (proposal,))
        return [StepRow(*row) for row in rows]

    # Entries of logs

    def add_entry(
        self,
        record_id: bytes,
        proposal: str,
        event: str,
        log: str,
        now_us: int,
        salt: bytes,
        record: bytes,
        artifact: bytes,
    ) -> None:
        """Kept for the log; an entry of that id that is there already stays as it is."""
        with self.transaction() as connection:
            connection.execute(
                """INSERT INTO entries (record_id, proposal, event, log, time, salt, record, artifact)
                   VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (record_id) DO NOTHING""",
                (record_id, proposal, event, log, now_us, salt, record, artifact),
            )

    def entries_waiting(self, proposal: str | None = None) -> list[EntryRow]:
        """Those that are not on record yet, in order."""
        where, values = ("", ()) if proposal is None else ("AND proposal = ?", (proposal,))
        rows = self.connection.execute(
            f"SELECT * FROM entries WHERE leaf IS NULL AND refused IS NULL {where} ORDER BY number",  # noqa: S608
            values,
        )
        return [EntryRow(*row) for row in rows]

    def entries(self, proposal: str) -> list[EntryRow]:
        rows = self.connection.execute("SELECT * FROM entries WHERE proposal = ? ORDER BY number", (proposal,))
        return [EntryRow(*row) for row in rows]

    def entry_on_record(self, record_id: bytes, leaf: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE entries SET leaf = ? WHERE record_id = ?", (leaf, record_id))

    def entry_refused(self, record_id: bytes, why: str) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE entries SET refused = ? WHERE record_id = ?", (why, record_id))

    # Constitutions

    def add_constitution(self, version: int, digest: str, text: bytes, now_us: int) -> None:
        """Raises sqlite3.IntegrityError when there is another one of that version."""
        with self.transaction() as connection:
            known = connection.execute("SELECT digest FROM constitutions WHERE version = ?", (version,)).fetchone()
            if known is not None and known[0] == digest:
                return
            connection.execute("INSERT INTO constitutions VALUES (?,?,?,?)", (version, digest, text, now_us))

    def drop_constitution(self, version: int) -> None:
        """Forget a version that never took effect."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM constitutions WHERE version = ?", (version,))

    def constitutions(self) -> list[ConstitutionRow]:
        rows = self.connection.execute("SELECT * FROM constitutions ORDER BY version")
        return [ConstitutionRow(*row) for row in rows]

    # Questions to the console

    def ask(self, proposal: str, step: int, kind: str, prompt: str, now_us: int) -> int:
        with self.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO questions (proposal, step, kind, prompt, state, asked) VALUES (?,?,?,?,'asked',?)",
                (proposal, step, kind, prompt, now_us),
            )
            return int(cursor.lastrowid or 0)

    def end_question(self, number: int, state: str, now_us: int) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE questions SET state = ?, ended = ? WHERE number = ?", (state, now_us, number))

    def questions(self, proposal: str) -> list[dict[str, Any]]:
        rows = self.connection.execute(
            "SELECT number, step, kind, prompt, state, asked, ended FROM questions WHERE proposal = ? ORDER BY number",
            (proposal,),
        )
        names = ("number", "step", "kind", "prompt", "state", "asked", "ended")
        return [dict(zip(names, row, strict=True)) for row in rows]
