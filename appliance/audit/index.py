"""Where in a log which kind of record stands: HOME/audit/index.sqlite, derived from the records and made anew at will.

A *class* is a log's kind, key and application together; each has its leaves in order, so that a page of a filter is a
few short walks whatever the size of the log. Times are kept for blocks of 256 leaves, lowest and highest: a record's
time is its signer's and may be a little out of the log's order. About 12 bytes a record.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from appliance.audit.filters import Filter

BLOCK = 256
DAY_US = 86_400_000_000
VERSION = 1
Head = tuple[int, str, str, str, int]
"""Leaf, application, kind, key, time in microseconds."""

_TABLES = (
    "CREATE TABLE logs (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL)",
    """CREATE TABLE classes (
        number INTEGER PRIMARY KEY, log INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        application TEXT NOT NULL, UNIQUE (log, kind, key, application))""",
    "CREATE TABLE places (class INTEGER NOT NULL, leaf INTEGER NOT NULL, PRIMARY KEY (class, leaf)) WITHOUT ROWID",
    """CREATE TABLE blocks (
        log INTEGER NOT NULL, block INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
        PRIMARY KEY (log, block)) WITHOUT ROWID""",
    """CREATE TABLE counts (
        class INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (class, day)) WITHOUT ROWID""",
)


class Index:
    """The index of all logs of a box. One process writes it; a damaged or older one is thrown away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError:
            for old in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                old.unlink(missing_ok=True)
            self._connection = self._open()
        self._logs: dict[str, int] = dict(self._connection.execute("SELECT name, number FROM logs"))
        self._classes: dict[tuple[int, str, str, str], int] = {
            (log, kind, key, application): number
            for number, log, kind, key, application in self._connection.execute("SELECT * FROM classes")
        }

    def close(self) -> None:
        self._connection.close()

    def size(self, log: str) -> int:
        """Leaves of a log that are in the index."""
        row = self._connection.execute("SELECT size FROM logs WHERE name = ?", (log,)).fetchone()
        return 0 if row is None else int(row[0])

    def add(self, log: str, size: int, heads: Sequence[Head]) -> None:
        """Heads of leaves [`self.size(log)`, size), as far as there are any, in order."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = self._log(log)
            places: list[tuple[int, int]] = []
            counts: dict[tuple[int, int], int] = {}
            blocks: dict[int, tuple[int, int]] = {}
            known = self._classes
            for leaf, application, kind, key, time in heads:
                place = known.get((number, kind, key, application))
                if place is None:
                    place = self._class(number, kind, key, application)
                places.append((place, leaf))
                day = (place, time // DAY_US)
                counts[day] = counts.get(day, 0) + 1
                block = leaf // BLOCK
                held = blocks.get(block)
                if held is None:
                    blocks[block] = (time, time)
                elif time < held[0] or time > held[1]:
                    blocks[block] = (min(time, held[0]), max(time, held[1]))
            connection.executemany("INSERT OR IGNORE INTO places VALUES (?,?)", places)
            connection.executemany(
                "INSERT INTO counts VALUES (?,?,?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(place, day, count) for (place, day), count in counts.items()],
            )
            connection.executemany(
                "INSERT INTO blocks VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET "
                "low = min(low, excluded.low), high = max(high, excluded.high)",
                [(number, block, low, high) for block, (low, high) in blocks.items()],
            )
            connection.execute("UPDATE logs SET size = ? WHERE number = ?", (size, number))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled it back already
                connection.execute("ROLLBACK")
            self._logs = dict(connection.execute("SELECT name, number FROM logs"))
            self._classes = {(r[1], r[2], r[3], r[4]): r[0] for r in connection.execute("SELECT * FROM classes")}
            raise

    def forget(self, log: str) -> None:
        """Throw away what is known of a log."""
        number = self._logs.get(log)
        mine = [place for owner, place in self._classes.items() if owner[0] == number]
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for place in mine:
            connection.execute("DELETE FROM places WHERE class = ?", (place,))
            connection.execute("DELETE FROM counts WHERE class = ?", (place,))
        connection.execute("DELETE FROM blocks WHERE log = ?", (number,))
        connection.execute("UPDATE logs SET size = 0 WHERE number = ?", (number,))
        connection.execute("COMMIT")

    def classes(self, log: str, wanted: Filter) -> list[int]:
        """The classes of a log that a filter takes."""
        number = self._logs.get(log)
        return [
            place
            for (owner, kind, key, application), place in self._classes.items()
            if owner == number and wanted.takes_head(application, kind, key)
        ]

    def names(self, log: str) -> dict[str, list[str]]:
        """The kinds, keys and applications that occur in a log."""
        number = self._logs.get(log)
        mine = [place for place in self._classes if place[0] == number]
        return {
            name: sorted({str(place[column]) for place in mine if place[column]})
            for name, column in (("kinds", 1), ("keys", 2), ("applications", 3))
        }

    def span(self, log: str, since: int | None, until: int | None) -> tuple[int, int]:
        """Leaves [first, end) outside of which no record's time is in [since, until), in whole blocks."""
        number, size = self._logs.get(log), self.size(log)
        first, end = 0, size
        if since is not None:
            row = self._connection.execute(
                "SELECT block FROM blocks WHERE log = ? AND high >= ? ORDER BY block LIMIT 1", (number, since)
            ).fetchone()
            first = size if row is None else row[0] * BLOCK
        if until is not None:
            row = self._connection.execute(
                "SELECT block FROM blocks WHERE log = ? AND low < ? ORDER BY block DESC LIMIT 1", (number, until)
            ).fetchone()
            end = 0 if row is None else min(size, (row[0] + 1) * BLOCK)
        return min(first, end), end

    def leaves(self, classes: Iterable[int], first: int, end: int, limit: int, *, newest: bool) -> list[int]:
        """The first `limit` leaves of these classes in [first, end), from that end of the log."""
        order = "DESC" if newest else "ASC"
        walks: list[Iterator[tuple[int]]] = [
            self._connection.execute(
                f"SELECT leaf FROM places WHERE class = ? AND leaf >= ? AND leaf < ? ORDER BY leaf {order} LIMIT ?",  # noqa: S608
                (place, first, end, limit),
            )
            for place in classes
        ]
        return [leaf for (leaf,) in islice(heapq.merge(*walks, reverse=newest), limit)]

    def count(self, classes: Iterable[int], first: int, limit: int) -> int:
        """How many leaves of these classes stand from `first` on; counted up to `limit` a class."""
        return sum(
            self._connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM places WHERE class = ? AND leaf >= ? LIMIT ?)",
                (place, first, limit),
            ).fetchone()[0]
            for place in classes
        )

    def days(self, log: str, since: int | None, until: int | None) -> list[tuple[int, str, int]]:
        """(day since the epoch, kind, records) of each day that [since, until) touches."""
        found: list[tuple[int, str, int]] = self._connection.execute(
            """SELECT day, kind, sum(count) FROM counts JOIN classes ON classes.number = counts.class
               WHERE classes.log = ? AND day >= ? AND day <= ? GROUP BY day, kind ORDER BY day, kind""",
            (
                self._logs.get(log),
                0 if since is None else since // DAY_US,
                1 << 40 if until is None else (until - 1) // DAY_US,
            ),
        ).fetchall()
        return found

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, isolation_level=None)
        # Nothing here is the only copy: a power cut may cost the last seconds, which are then read again.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -8192", "busy_timeout = 5000"):
            connection.execute(f"PRAGMA {pragma}")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != VERSION:
            with contextlib.closing(connection.cursor()) as cursor:
                if cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    connection.close()
                    raise sqlite3.DatabaseError("another version of the index")
                for table in _TABLES:
                    cursor.execute(table)
                cursor.execute(f"PRAGMA user_version = {VERSION}")
        return connection

    def _log(self, name: str) -> int:
        if name not in self._logs:
            made = self._connection.execute("INSERT INTO logs (name, size) VALUES (?, 0)", (name,))
            self._logs[name] = int(made.lastrowid or 0)
        return self._logs[name]

    def _class(self, log: int, kind: str, key: str, application: str) -> int:
        made = self._connection.execute(
            "INSERT INTO classes (log, kind, key, application) VALUES (?,?,?,?)", (log, kind, key, application)
        )
        self._classes[log, kind, key, application] = number = int(made.lastrowid or 0)
        return number
