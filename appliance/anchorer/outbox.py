"""The anchorer's outbox: every anchor on every ledger, durable before the next step (SQLite, synchronous=FULL).

One anchor a head and ledger: a head is never anchored a second time on the same ledger, also when an older copy of this
file was put back, as far as that copy knows of it. What such a copy has forgotten was sent stands in the ledger; the
same bytes are sent again, which ledgers take once, and later heads are anchored under new numbers.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.anchorer.ledger import Progress, Work
from appliance.anchors import Judgement, State, check_transition, write_receipt
from appliance.anchors.states import OPEN
from appliance.errors import NotFound

FILE: Final = "outbox.sqlite"
"""Below the anchorer's directory."""
MEMORY_BYTES: Final = 1024 * 1024
"""Largest memory of a ledger for one anchor."""
CAUSE_CHARACTERS: Final = 300
STEPS_KEPT: Final = 100
"""States of one anchor that stay on record: the first, and the newest of the others."""

_OPEN_STATES: Final = ", ".join(f"'{state}'" for state in State if state in OPEN)
_OPEN: Final = f"(state IS NULL OR state IN ({_OPEN_STATES}))"
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS anchors (
    ledger TEXT NOT NULL,
    number INTEGER NOT NULL,
    checkpoint BLOB NOT NULL,
    commitment BLOB NOT NULL,
    size INTEGER NOT NULL,
    records INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    state TEXT,
    since_us INTEGER NOT NULL,
    cause TEXT NOT NULL,
    memory BLOB NOT NULL,
    superseded_by INTEGER,
    receipt BLOB,
    strength TEXT,
    time_us INTEGER,
    no_later_us INTEGER,
    place TEXT,
    PRIMARY KEY (ledger, number),
    UNIQUE (ledger, commitment)
);
CREATE TABLE IF NOT EXISTS steps (
    ledger TEXT NOT NULL,
    number INTEGER NOT NULL,
    step INTEGER NOT NULL,
    state TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (ledger, number, step)
);
CREATE INDEX IF NOT EXISTS open_anchors ON anchors (ledger, number)
    WHERE {_OPEN};
CREATE INDEX IF NOT EXISTS final_anchors ON anchors (ledger, size) WHERE state = 'final';
"""
_COLUMNS: Final = (
    "ledger, number, checkpoint, commitment, size, records, due_us, state, since_us, cause, memory, superseded_by, "
    "strength, time_us, no_later_us, place"
)


def _origin(checkpoint: bytes) -> str:
    """The first line of a checkpoint (C2SP tlog-checkpoint)."""
    return checkpoint.partition(b"\n")[0].decode(errors="replace")


@dataclass(frozen=True)
class Head:
    """A head of the box's log, as it may be anchored."""

    checkpoint: bytes
    """The signed note."""
    commitment: bytes
    size: int
    """Leaves of the box's log."""
    records: int
    """Records under all logs of the box together; 0 where no ledger asks for them."""

    @property
    def origin(self) -> str:
        """Of the log that it is of: the box's, or the one before it under another hash."""
        return _origin(self.checkpoint)


@dataclass(frozen=True)
class Anchor:
    """An anchor as the outbox holds it. Times in microseconds since the epoch."""

    ledger: str
    number: int
    checkpoint: bytes
    commitment: bytes
    size: int
    records: int
    due_us: int
    """When it became due."""
    state: State | None
    """None: due."""
    since_us: int
    """Since when it is in that state."""
    cause: str
    memory: bytes
    superseded_by: int | None
    """Number of the later anchor that covers it."""
    strength: str | None
    """Of a final one: proven or attested."""
    time_us: int | None
    no_later_us: int | None
    place: str | None

    @property
    def origin(self) -> str:
        """Of the log of its head."""
        return _origin(self.checkpoint)

    def work(self) -> Work:
        """What its ledger is given."""
        return Work(self.number, self.checkpoint, self.commitment, self.state, self.memory)


@dataclass(frozen=True)
class Step:
    """An anchor came to a state, at a time (microseconds). The cause is that of its last look in that state."""

    state: State
    time_us: int
    cause: str


class Outbox:
    """The file, for one process."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk has rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def newest(self, ledger: str) -> Anchor | None:
        """The anchor of the ledger with the highest number."""
        return self._one("ledger = ? ORDER BY number DESC LIMIT 1", ledger)

    def open_anchors(self, ledger: str) -> list[Anchor]:
        """Those that are still worked on, oldest first."""
        return self._all(f"ledger = ? AND {_OPEN} ORDER BY number", ledger)

    def anchors(self, ledger: str, before: int | None, limit: int) -> list[Anchor]:
        """Newest first, with numbers below `before`."""
        if before is None:
            return self._all("ledger = ? ORDER BY number DESC LIMIT ?", ledger, limit)
        return self._all("ledger = ? AND number < ? ORDER BY number DESC LIMIT ?", ledger, before, limit)

    def anchor(self, ledger: str, number: int) -> Anchor:
        """Raises NotFound."""
        found = self._one("ledger = ? AND number = ?", ledger, number)
        if found is None:
            raise NotFound(f"{ledger} has no anchor {number}")
        return found

    def covering(self, ledger: str, size: int, origin: str | None = None) -> Anchor | None:
        """The first final anchor of the ledger whose head has at least so many leaves: it covers what they cover.
        `origin`: of which log, where the box's was renewed."""
        line = b"" if origin is None else origin.encode() + b"\n"
        return self._one(
            "ledger = ? AND state = 'final' AND size >= ? AND substr(checkpoint, 1, ?) = ? ORDER BY size LIMIT 1",
            ledger, size, len(line), line,
        )  # fmt: skip

    def ledgers(self) -> list[str]:
        """Every ledger that anything was ever anchored on."""
        return [name for (name,) in self._connection.execute("SELECT DISTINCT ledger FROM anchors ORDER BY ledger")]

    def last_final(self, ledger: str) -> Anchor | None:
        return self._one("ledger = ? AND state = 'final' ORDER BY number DESC LIMIT 1", ledger)

    def receipt(self, ledger: str, number: int) -> bytes:
        """The encoded receipt of a final anchor. Raises NotFound."""
        row = self._connection.execute(
            "SELECT receipt FROM anchors WHERE ledger = ? AND number = ?", (ledger, number)
        ).fetchone()
        if row is None or row[0] is None:
            raise NotFound(f"{ledger} has no receipt of an anchor {number}")
        receipt: bytes = row[0]
        return receipt

    def steps(self, ledger: str, number: int) -> list[Step]:
        """The states that an anchor came to, in order."""
        rows = self._connection.execute(
            "SELECT state, time_us, cause FROM steps WHERE ledger = ? AND number = ? ORDER BY step", (ledger, number)
        )
        return [Step(State(state), time_us, cause) for state, time_us, cause in rows]

    def make_due(self, ledger: str, head: Head, cause: str, now_us: int) -> Anchor:
        """The anchor of this head: the one that there is; or the one that is due and of which its ledger has made
        nothing yet, which then is for this head; or a new one."""
        with self._transaction():
            known = self._one("ledger = ? AND commitment = ?", ledger, head.commitment)
            if known is not None:
                return known
            newest = self.newest(ledger)
            number = 1 if newest is None else newest.number + 1
            if newest is not None and newest.state is None and not newest.memory:
                number = newest.number
                self._connection.execute("DELETE FROM anchors WHERE ledger = ? AND number = ?", (ledger, number))
            self._connection.execute(
                "INSERT INTO anchors (ledger, number, checkpoint, commitment, size, records, due_us, since_us, cause,"
                " memory) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, x'')",
                (ledger, number, head.checkpoint, head.commitment, head.size, head.records, now_us, now_us, cause),
            )
        return self.anchor(ledger, number)

    def store(self, anchor: Anchor, progress: Progress, now_us: int, judgement: Judgement | None = None) -> None:
        """What a step of this anchor came to, with the judgement of its receipt where it is final; then all before it
        that are not final are superseded. Raises ImpossibleTransition, and sqlite3.Error where it is not on disk."""
        check_transition(anchor.state, progress.state)
        cause = progress.cause[:CAUSE_CHARACTERS]
        moved = progress.state is not anchor.state
        with self._transaction():
            where = (anchor.ledger, anchor.number)
            self._connection.execute(
                "UPDATE anchors SET state = ?, since_us = ?, cause = ?, memory = ? WHERE ledger = ? AND number = ?",
                (progress.state, now_us if moved else anchor.since_us, cause, progress.memory, *where),
            )
            if progress.state is not None and moved:
                self._step(*where, progress.state, now_us, cause)
            elif cause != anchor.cause:
                self._connection.execute(
                    "UPDATE steps SET cause = ?1 WHERE ledger = ?2 AND number = ?3 AND step ="
                    " (SELECT MAX(step) FROM steps WHERE ledger = ?2 AND number = ?3)",
                    (cause, *where),
                )
            if judgement is not None and progress.receipt is not None:
                self._connection.execute(
                    "UPDATE anchors SET receipt = ?, strength = ?, time_us = ?, no_later_us = ?, place = ?"
                    " WHERE ledger = ? AND number = ?",
                    (
                        write_receipt(progress.receipt),
                        judgement.strength,
                        judgement.time_us,
                        judgement.no_later_us,
                        judgement.place,
                        *where,
                    ),
                )
            if progress.state is State.FINAL:
                self._supersede(anchor, now_us)

    def _supersede(self, final: Anchor, now_us: int) -> None:
        older = self._all(
            "ledger = ? AND number < ? AND size <= ? AND (state IS NULL OR state NOT IN ('final', 'superseded'))",
            final.ledger,
            final.number,
            final.size,
        )
        for anchor in [one for one in older if one.origin == final.origin]:
            cause = f"anchor {final.number} is final and covers it"
            self._connection.execute(
                "UPDATE anchors SET state = 'superseded', since_us = ?, cause = ?, superseded_by = ?"
                " WHERE ledger = ? AND number = ?",
                (now_us, cause, final.number, anchor.ledger, anchor.number),
            )
            self._step(anchor.ledger, anchor.number, State.SUPERSEDED, now_us, cause)

    def _step(self, ledger: str, number: int, state: State, now_us: int, cause: str) -> None:
        where = (ledger, number)
        self._connection.execute(
            "INSERT INTO steps SELECT ?, ?, COALESCE(MAX(step) + 1, 0), ?, ?, ? FROM steps"
            " WHERE ledger = ? AND number = ?",
            (*where, state, now_us, cause, *where),
        )
        # A chain, or a node, that takes a block back and gives it again without end fills no disk.
        self._connection.execute(
            "DELETE FROM steps WHERE ledger = ?1 AND number = ?2 AND step > 0 AND step <="
            " (SELECT MAX(step) FROM steps WHERE ledger = ?1 AND number = ?2) - ?3",
            (*where, STEPS_KEPT - 1),
        )

    def _all(self, where: str, *values: Any) -> list[Anchor]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM anchors WHERE {where}", values)  # noqa: S608 - fixed texts
        return [_anchor(row) for row in rows]

    def _one(self, where: str, *values: Any) -> Anchor | None:
        found = self._all(where, *values)
        return found[0] if found else None


def _anchor(row: Sequence[Any]) -> Anchor:
    members = list(row)
    members[7] = None if row[7] is None else State(row[7])
    return Anchor(*members)
