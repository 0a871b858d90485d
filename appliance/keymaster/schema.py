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

_VERSION_2 = (
    # How a key was activated, so that it comes back as it was; when a rotation takes it out of use.
    "ALTER TABLE keys ADD COLUMN activation BLOB",
    "ALTER TABLE keys ADD COLUMN ends INTEGER",
    # Every object of every token as the keymaster knows it; `origin`: founding, or the proposal that explains it.
    """CREATE TABLE objects (
        token TEXT NOT NULL, fingerprint BLOB NOT NULL, described BLOB NOT NULL, origin TEXT NOT NULL, step INTEGER,
        since INTEGER NOT NULL, PRIMARY KEY (token, fingerprint)) WITHOUT ROWID""",
    # `unexplained`: what was found that nobody can explain, JSON; the token is stopped while it stands.
    """CREATE TABLE ledger (
        token TEXT PRIMARY KEY, taken INTEGER NOT NULL, origin TEXT NOT NULL, compared INTEGER, unexplained BLOB,
        found INTEGER) WITHOUT ROWID""",
    # What an executor is about to make in a token under a label, kept until it is in `objects` or the ceremony ended.
    """CREATE TABLE expected (
        token TEXT NOT NULL, label TEXT NOT NULL, proposal TEXT NOT NULL, step INTEGER NOT NULL,
        PRIMARY KEY (token, label, proposal, step)) WITHOUT ROWID""",
)

_VERSION_3 = (
    # Under which rules certificates are issued unattended; `proposal` decided the present ones.
    """CREATE TABLE profiles (
        name TEXT PRIMARY KEY, authority TEXT NOT NULL, tenant TEXT NOT NULL, use TEXT NOT NULL, pattern TEXT NOT NULL,
        days INTEGER NOT NULL, most INTEGER NOT NULL, until INTEGER NOT NULL, proposal TEXT NOT NULL) WITHOUT ROWID""",
    # `secret`: SHA-256 of the one-time secret, null until it was shown; `key`: SHA-256 of the public key that used it.
    """CREATE TABLE authorisations (
        id TEXT PRIMARY KEY, profile TEXT NOT NULL, tenant TEXT NOT NULL, application TEXT NOT NULL,
        proposal TEXT NOT NULL, made INTEGER NOT NULL, until INTEGER NOT NULL, secret BLOB, used INTEGER, key BLOB)
        WITHOUT ROWID""",
    # `predecessor`: the certificate that this one renews, once; `certificate`: null until the signature is on record.
    """CREATE TABLE enrolments (
        number INTEGER PRIMARY KEY, authorisation TEXT NOT NULL, predecessor BLOB UNIQUE, key BLOB NOT NULL,
        digest BLOB UNIQUE, certificate BLOB, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL)""",
    "CREATE INDEX enrolments_by_authorisation ON enrolments (authorisation)",
)

# Executions of different scopes may run together: the rule stands in appliance.keymaster.execution.
_VERSION_4 = ("DROP INDEX one_execution",)

_VERSION_5 = (
    # When a key came into its state: what was approved before does not bring it back. Null: before this version.
    "ALTER TABLE keys ADD COLUMN changed INTEGER",
    # How long a recovery has waited in public, microseconds, by a clock that nobody sets.
    "ALTER TABLE proposals ADD COLUMN waited INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)


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
