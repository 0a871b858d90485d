"""The service's own database, HOME/management/management.sqlite: sign-in passkeys, sessions, links, readers.

Nothing in it gives power over the box. What must not be stolen from it stands there as SHA-256 only.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

FILE = "management.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    seated INTEGER NOT NULL DEFAULT 0  -- was an officer or a reader; who was and no longer is, is out
) STRICT;
CREATE TABLE IF NOT EXISTS passkeys (
    id TEXT PRIMARY KEY,               -- credential id, base64url
    person TEXT NOT NULL REFERENCES people (id),
    label TEXT NOT NULL,
    public_key BLOB NOT NULL,          -- COSE
    sign_count INTEGER NOT NULL,
    made INTEGER NOT NULL,
    used INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS links (
    code BLOB PRIMARY KEY,             -- SHA-256
    person TEXT NOT NULL REFERENCES people (id),
    made INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS link_reach (
    code BLOB PRIMARY KEY REFERENCES links (code) ON DELETE CASCADE,
    reach TEXT NOT NULL                -- JSON, see people.Reach; no row: made at the box, good everywhere
) STRICT;
CREATE TABLE IF NOT EXISTS passkey_reach (
    passkey TEXT PRIMARY KEY REFERENCES passkeys (id) ON DELETE CASCADE,
    reach TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS invited (
    person TEXT NOT NULL REFERENCES people (id),
    scope TEXT NOT NULL,               -- whose officers see her as a candidate, and may make her another link
    made INTEGER NOT NULL,
    PRIMARY KEY (person, scope)
) STRICT;
CREATE TABLE IF NOT EXISTS challenges (
    id BLOB PRIMARY KEY,               -- SHA-256 of the visitor's cookie
    challenge BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    id BLOB PRIMARY KEY,               -- SHA-256 of the cookie
    person TEXT NOT NULL REFERENCES people (id),
    passkey TEXT NOT NULL REFERENCES passkeys (id) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    made INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    proved INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_person ON sessions (person);
CREATE TABLE IF NOT EXISTS readers (
    person TEXT NOT NULL REFERENCES people (id),
    role TEXT NOT NULL CHECK (role IN ('auditor', 'supervisor', 'overseer')),
    scope TEXT NOT NULL,
    named_by TEXT NOT NULL,
    made INTEGER NOT NULL,
    PRIMARY KEY (person, role, scope)
) STRICT;
CREATE TABLE IF NOT EXISTS visits (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    person TEXT NOT NULL,
    event TEXT NOT NULL,
    address TEXT NOT NULL,
    passkey TEXT NOT NULL              -- its label
) STRICT;
CREATE INDEX IF NOT EXISTS visits_by_person ON visits (person, number);
CREATE TABLE IF NOT EXISTS browsers (
    id BLOB PRIMARY KEY,               -- SHA-256 of the cookie of a browser that someone has signed in with
    seen INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS buckets (
    key TEXT PRIMARY KEY,
    level REAL NOT NULL,
    at REAL NOT NULL
) STRICT;
"""


class Storage:
    """Connections to the database, one a thread."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._local = threading.local()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.transaction() as database:
            older = database.execute("SELECT sql FROM sqlite_master WHERE name = 'readers'").fetchone()
            if older is not None and "'overseer'" not in older["sql"]:  # of a box that knew no overseers yet
                database.execute("ALTER TABLE readers RENAME TO readers_before")
            # executescript would commit; each statement alone keeps the transaction.
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    database.execute(statement)
            if older is not None and "'overseer'" not in older["sql"]:
                database.execute("INSERT INTO readers SELECT * FROM readers_before")
                database.execute("DROP TABLE readers_before")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def one(self, query: str, *arguments: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection().execute(query, arguments).fetchone()
        return row

    def all(self, query: str, *arguments: object) -> list[sqlite3.Row]:
        return self._connection().execute(query, arguments).fetchall()

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
