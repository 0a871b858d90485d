"""The tables of the keymaster's journal and how they move forward, as appliance.store.schema does for records."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from appliance.store.schema import migrate

_VERSION_1 = (
    """CREATE TABLE proposals (
        number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, nonce TEXT NOT NULL UNIQUE, text BLOB NOT NULL,
        scopes TEXT NOT NULL, takes_away INTEGER NOT NULL, state TEXT NOT NULL, submitted INTEGER NOT NULL,
        changed INTEGER NOT NULL, reached INTEGER, attempt INTEGER NOT NULL DEFAULT 0, error TEXT)""",
    # One execution that gives power and one that takes it away may run at a time.
    "CREATE UNIQUE INDEX one_execution ON proposals (takes_away) WHERE state = 'executing'",
    "CREATE INDEX proposals_by_state ON proposals (state, number)",
    """CREATE TABLE statements (
        number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, proposal TEXT NOT NULL, verb TEXT NOT NULL,
        officer TEXT NOT NULL, text BLOB NOT NULL, received INTEGER NOT NULL)""",
    "CREATE INDEX statements_by_proposal ON statements (proposal, number)",
    """CREATE TABLE steps (
        proposal TEXT NOT NULL, step INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
        begun INTEGER NOT NULL, ended INTEGER, facts BLOB, outputs BLOB, error TEXT,
        PRIMARY KEY (proposal, step)) WITHOUT ROWID""",
    # What goes into a log: `leaf` is null until the recorder has it on disk. Nothing counts before that.
    """CREATE TABLE entries (
        number INTEGER PRIMARY KEY, record_id BLOB NOT NULL UNIQUE, proposal TEXT NOT NULL, event TEXT NOT NULL,
        log TEXT NOT NULL, time INTEGER NOT NULL, salt BLOB NOT NULL, record BLOB NOT NULL, artifact BLOB NOT NULL,
        leaf INTEGER, refused TEXT)""",
    "CREATE INDEX entries_waiting ON entries (number) WHERE leaf IS NULL",
    "CREATE INDEX entries_by_proposal ON entries (proposal, number)",
    """CREATE TABLE constitutions (
        version INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, text BLOB NOT NULL, made INTEGER NOT NULL)""",
    """CREATE TABLE invitations (
        code BLOB PRIMARY KEY, name TEXT NOT NULL, made INTEGER NOT NULL, expires INTEGER NOT NULL,
        used INTEGER) WITHOUT ROWID""",
    """CREATE TABLE candidates (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, credential BLOB NOT NULL, fingerprint TEXT NOT NULL,
        state TEXT NOT NULL, registered INTEGER NOT NULL, code BLOB, code_ends INTEGER, attempts INTEGER NOT NULL
        DEFAULT 0) WITHOUT ROWID""",
    """CREATE TABLE keys (
        number INTEGER PRIMARY KEY, token TEXT NOT NULL, cka_id BLOB NOT NULL, label TEXT NOT NULL,
        purpose TEXT NOT NULL, scheme TEXT NOT NULL, tenant TEXT, public_key BLOB NOT NULL, state TEXT NOT NULL,
        proposal TEXT, step INTEGER, made INTEGER NOT NULL, until INTEGER, signature_limit INTEGER,
        applications BLOB NOT NULL, for_backup INTEGER NOT NULL, restored INTEGER NOT NULL DEFAULT 0,
        certificates BLOB NOT NULL, compromised INTEGER, because TEXT, UNIQUE (token, cka_id))""",
    "CREATE INDEX keys_by_tenant ON keys (tenant, label)",
    """CREATE TABLE questions (
        number INTEGER PRIMARY KEY, proposal TEXT NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL,
        prompt TEXT NOT NULL, state TEXT NOT NULL, asked INTEGER NOT NULL, ended INTEGER)""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1,)


def open_journal(path: Path) -> sqlite3.Connection:
    """The one connection to the journal; the caller commits by hand. Makes and migrates the database. StoreTooNew."""
    connection = sqlite3.connect(path, isolation_level=None)
    path.chmod(0o600)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 10000",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    try:
        migrate(connection, MIGRATIONS)
    except BaseException:
        connection.close()
        raise
    return connection
