"""What a witness remembers, in a SQLite database (WAL, synchronous=FULL): it is on disk before a cosignature leaves.

A database was chosen over a file that is appended to: many heads go in one transaction and one fsync, a torn write is
SQLite's to mend, and `cinnabar witness show` reads beside the running witness. docs/decisions/0021 has the rest.

`init` makes it, and nothing else does: a witness that finds none has lost it, and starts none by itself.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from appliance.files import sync_directory, sync_file
from appliance.witness.errors import LOST, StateUnusable
from appliance.witness.judging import Head

FILE: Final = "witness.sqlite"
_APPLICATION_ID: Final = 0x43_57_49_54  # "CWIT"
_FORMAT: Final = 1
_BUSY_MS: Final = 5_000

Cause = Literal["fork", "state-lost"]
"""Why a log is refused until a person decides."""

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE heads (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL, note BLOB NOT NULL,
    cosigned INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE days (
    origin TEXT, day INTEGER, size INTEGER NOT NULL, cosigned INTEGER NOT NULL, PRIMARY KEY (origin, day)
) WITHOUT ROWID;
CREATE TABLE refused (origin TEXT PRIMARY KEY, cause TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE forks (
    number INTEGER PRIMARY KEY, origin TEXT NOT NULL, found INTEGER NOT NULL, evidence BLOB NOT NULL,
    decided INTEGER, reason TEXT
);
CREATE TABLE entered (
    number INTEGER PRIMARY KEY, origin TEXT NOT NULL, size INTEGER, time INTEGER NOT NULL, reason TEXT NOT NULL
);
"""


class Cosigned(NamedTuple):
    """A head that is about to be cosigned."""

    origin: str
    head: Head


class ForkFound(NamedTuple):
    """A log has two histories: it is refused from here on."""

    origin: str
    evidence: bytes
    time: int


class LossFound(NamedTuple):
    """The state is older than our own cosignatures of a log: it is refused from here on."""

    origin: str
    time: int


class Entered(NamedTuple):
    """A person has decided: the log goes on from this head; from none, where it is a new one."""

    origin: str
    head: Head | None
    time: int
    reason: str


class KeysInUse(NamedTuple):
    """The verifier keys that this witness cosigns with, for those who look at its files."""

    keys: tuple[str, ...]


Change = Cosigned | ForkFound | LossFound | Entered | KeysInUse


@dataclass(frozen=True)
class Fork:
    number: int
    origin: str
    found: int
    evidence: bytes
    decided: int | None
    reason: str | None


@dataclass(frozen=True)
class Decision:
    """What a person entered."""

    origin: str
    size: int | None
    """Of the head that the log goes on from; None: it is a new log."""
    time: int
    reason: str


@dataclass(frozen=True)
class Remembered:
    """All that stands in the state about heads."""

    heads: dict[str, Head]
    refused: dict[str, tuple[Cause, int]]
    new: frozenset[str]
    """Logs that a person has entered as new ones."""
    after_loss: bool
    """The state was made after one was lost: no log begins by itself."""


class Store:
    """One database. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def create(cls, directory: Path, identity: str, *, after_loss: bool) -> Store:
        """A new, empty state. Raises StateUnusable where there is one."""
        path = directory / FILE
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise StateUnusable(f"{path} is there already") from None
        store = cls(_connect(path), path)
        with store._transaction() as connection:
            for statement in filter(str.strip, _SCHEMA.split(";\n")):
                connection.execute(statement)
            rows = {"format": _FORMAT, "identity": identity, "sequence": 0, "after_loss": int(after_loss)}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        for place in (directory, directory.parent):
            sync_directory(place)
        return store

    @classmethod
    def open(cls, directory: Path, *, read_only: bool = False) -> Store:
        """The state that stands there. Raises StateUnusable."""
        path = directory / FILE
        if not path.exists():
            raise StateUnusable(f"{path} is not there. {LOST}")
        with contextlib.ExitStack() as opened:
            try:
                store = cls(_connect(path, read_only=read_only), path)
                opened.callback(store.close)
                store._check(whole=not read_only)
            except sqlite3.Error as error:
                raise StateUnusable(f"{path} cannot be read: {error}") from None
            opened.pop_all()
        return store

    def _check(self, *, whole: bool) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION_ID or self._meta("format") != _FORMAT:
            raise StateUnusable(f"{self.path} is not a witness's state")
        if whole:
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StateUnusable(f"{self.path} is damaged: {found}")

    def close(self) -> None:
        self._connection.close()

    @property
    def identity(self) -> str:
        """Of this witness's state, random; its copy has the same."""
        return str(self._meta("identity"))

    @property
    def sequence(self) -> int:
        """How many transactions it has seen."""
        return int(str(self._meta("sequence")))

    @property
    def keys(self) -> tuple[str, ...]:
        """The verifier keys of its last start; none before the first."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'keys'").fetchone()
        return () if row is None else tuple(str(row[0]).split("\n"))

    def apply(self, changes: Sequence[Change]) -> None:
        """Make changes durable, all or none. Raises sqlite3.Error."""
        with self._transaction() as connection:
            for change in changes:
                _apply(connection, change)
            connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'sequence'")

    def remembered(self) -> Remembered:
        """Raises StateUnusable."""
        try:
            heads = {
                origin: Head(size, root, time, note)
                for origin, size, root, time, note in self._connection.execute(
                    "SELECT origin, size, root, time, note FROM heads"
                )
            }
            refused = self.refused()
            new = {origin for (origin,) in self._connection.execute("SELECT origin FROM entered WHERE size IS NULL")}
            return Remembered(heads, refused, frozenset(new), bool(self._meta("after_loss")))
        except sqlite3.Error as error:
            raise StateUnusable(f"{self.path} cannot be read: {error}") from None

    def refused(self) -> dict[str, tuple[Cause, int]]:
        """Why each log that is refused is, and since when. Raises sqlite3.Error."""
        rows = self._connection.execute("SELECT origin, cause, since FROM refused")
        return {origin: (cause, since) for origin, cause, since in rows}

    def forks(self) -> list[Fork]:
        """Every fork ever found, oldest first."""
        rows = self._connection.execute(
            "SELECT number, origin, found, evidence, decided, reason FROM forks ORDER BY number"
        )
        return [Fork(*row) for row in rows]

    def decisions(self) -> list[Decision]:
        """Everything that persons ever entered, oldest first."""
        rows = self._connection.execute("SELECT origin, size, time, reason FROM entered ORDER BY number")
        return [Decision(*row) for row in rows]

    def cosigned(self) -> dict[str, int]:
        """How often a head of each log was cosigned."""
        return dict(self._connection.execute("SELECT origin, cosigned FROM heads"))

    def days(self, origin: str, most: int) -> list[tuple[int, int, int]]:
        """Day (since the epoch), size at its end, and how often a head was cosigned; newest first."""
        return list(
            self._connection.execute(
                "SELECT day, size, cosigned FROM days WHERE origin = ? ORDER BY day DESC LIMIT ?", (origin, most)
            )
        )

    def copy_to(self, directory: Path) -> Store:
        """Make the state in another directory equal to this one, replacing what stands there."""
        path = directory / FILE
        scratch = path.with_name(f"{FILE}.new")
        scratch.unlink(missing_ok=True)
        target = sqlite3.connect(scratch)
        try:
            self._connection.backup(target)
        finally:
            target.close()
        scratch.chmod(0o600)
        sync_file(scratch)
        for name in (f"{FILE}-wal", f"{FILE}-shm"):
            (directory / name).unlink(missing_ok=True)
        scratch.rename(path)
        sync_directory(directory)
        return Store.open(directory)

    def _meta(self, name: str) -> object:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise StateUnusable(f"{self.path} says nothing of its {name}")
        value: object = row[0]
        return value

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise


_SECONDS_A_DAY: Final = 86_400


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    match change:
        case Cosigned(origin, head):
            _put_head(connection, origin, head, 1)
            connection.execute(
                "INSERT INTO days VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE "
                "SET size = excluded.size, cosigned = cosigned + 1",
                (origin, head.time // _SECONDS_A_DAY, head.size),
            )
        case ForkFound(origin, evidence, time):
            connection.execute("INSERT INTO forks (origin, found, evidence) VALUES (?, ?, ?)", (origin, time, evidence))
            _refuse(connection, origin, "fork", time)
        case KeysInUse(keys):
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('keys', ?)", ("\n".join(keys),))
        case LossFound(origin, time):
            _refuse(connection, origin, "state-lost", time)
        case Entered(origin, entered, time, reason):
            if entered is not None:
                _put_head(connection, origin, entered, 0)
            connection.execute("DELETE FROM refused WHERE origin = ?", (origin,))
            connection.execute(
                "UPDATE forks SET decided = ?, reason = ? WHERE origin = ? AND decided IS NULL", (time, reason, origin)
            )
            connection.execute(
                "INSERT INTO entered (origin, size, time, reason) VALUES (?, ?, ?, ?)",
                (origin, None if entered is None else entered.size, time, reason),
            )


def _put_head(connection: sqlite3.Connection, origin: str, head: Head, cosigned: int) -> None:
    connection.execute(
        "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET size = excluded.size, "
        "root = excluded.root, time = excluded.time, note = excluded.note, cosigned = cosigned + excluded.cosigned",
        (origin, head.size, head.root, head.time, head.note, cosigned),
    )


def _refuse(connection: sqlite3.Connection, origin: str, cause: Cause, since: int) -> None:
    connection.execute("INSERT INTO refused VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (origin, cause, since))


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    # One thread at a time uses it: the starting one, then the committing one.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    return connection
