"""The database's tables and how they move forward from version to version.

`PRAGMA user_version` holds the version. `MIGRATIONS[n]` moves a database from version n to n + 1; each runs in one
transaction with the change of the number, so that a crash leaves one version or the other. A database newer than this
program is refused, never guessed at. Rows of records and of idempotency keys stand in tables of their own per segment
and per hour (see appliance.store.records and appliance.store.keys); those are made as time goes on.
"""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

from appliance.errors import CinnabarError

BOX = "@box"
"""The application that makes what the box does by itself; no other can be called so."""

_VERSION_1 = (
    # A tenant's tree size is not stored: it is the end of its last run of leaves.
    """CREATE TABLE tenants (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL)""",
    """CREATE TABLE applications (
        number INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, name TEXT NOT NULL,
        permissions BLOB NOT NULL, state TEXT NOT NULL, UNIQUE (tenant, name))""",
    """CREATE TABLE certificates (
        digest BLOB PRIMARY KEY, application INTEGER NOT NULL REFERENCES applications,
        not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, state TEXT NOT NULL,
        changed INTEGER NOT NULL) WITHOUT ROWID""",
    # One row per transaction and tenant: `count` leaves from `position`'s index on, 32 bytes each in `commitments`,
    # whose records have consecutive sequence numbers from `sequence` on. position = tenant << 40 | first leaf index.
    """CREATE TABLE leaves (
        position INTEGER PRIMARY KEY, count INTEGER NOT NULL, sequence INTEGER NOT NULL, commitments BLOB NOT NULL)""",
    """CREATE TABLE segments (
        number INTEGER PRIMARY KEY, state TEXT NOT NULL, opened INTEGER NOT NULL, sealed INTEGER,
        first_sequence INTEGER NOT NULL, last_sequence INTEGER, size INTEGER NOT NULL DEFAULT 0,
        first_id BLOB, last_id BLOB, file TEXT, digest BLOB)""",
    "CREATE TABLE key_hours (hour INTEGER PRIMARY KEY)",
    """CREATE TABLE housekeeping (
        number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, time INTEGER NOT NULL,
        subject TEXT NOT NULL, body BLOB NOT NULL, run TEXT NOT NULL)""",
    "CREATE INDEX housekeeping_by_subject ON housekeeping (kind, subject, number)",
    """CREATE TABLE heads (
        origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL,
        row INTEGER NOT NULL REFERENCES housekeeping)""",
    "CREATE TABLE marks (unit TEXT PRIMARY KEY, time INTEGER NOT NULL)",
    """CREATE TABLE runs (
        run TEXT PRIMARY KEY, user INTEGER NOT NULL, process INTEGER NOT NULL, started INTEGER NOT NULL,
        ended INTEGER, state TEXT NOT NULL, signed INTEGER NOT NULL, rows INTEGER NOT NULL, drops BLOB NOT NULL)""",
    "CREATE INDEX runs_by_state ON runs (state, started)",
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY, job_id BLOB NOT NULL UNIQUE, tenant INTEGER NOT NULL REFERENCES tenants,
        application INTEGER NOT NULL REFERENCES applications, kind TEXT NOT NULL, items INTEGER NOT NULL,
        progress INTEGER NOT NULL, created INTEGER NOT NULL, finished INTEGER, request BLOB NOT NULL)""",
    "CREATE INDEX jobs_unfinished ON jobs (tenant, number) WHERE finished IS NULL",
    "CREATE INDEX jobs_finished ON jobs (finished) WHERE finished IS NOT NULL",
    "CREATE INDEX jobs_by_application ON jobs (application, number)",
    """CREATE TABLE slices (
        job INTEGER NOT NULL REFERENCES jobs, start INTEGER NOT NULL, items INTEGER NOT NULL,
        first_index INTEGER NOT NULL, entries INTEGER NOT NULL, verdicts BLOB NOT NULL,
        PRIMARY KEY (job, start)) WITHOUT ROWID""",
)

_VERSION_2 = (
    # A key without a row is active, without end or limit, for all that the register permits.
    """CREATE TABLE key_states (
        tenant INTEGER NOT NULL REFERENCES tenants, key TEXT NOT NULL, state TEXT NOT NULL, until INTEGER,
        most INTEGER, applications BLOB NOT NULL, since INTEGER, changed INTEGER NOT NULL,
        PRIMARY KEY (tenant, key)) WITHOUT ROWID""",
    """CREATE TABLE quotas (
        tenant INTEGER PRIMARY KEY REFERENCES tenants, signatures INTEGER, stamps INTEGER, bytes INTEGER)""",
    """CREATE TABLE usage (
        tenant INTEGER NOT NULL REFERENCES tenants, day INTEGER NOT NULL, key TEXT NOT NULL,
        signatures INTEGER NOT NULL, stamps INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (tenant, day, key)) WITHOUT ROWID""",
    """CREATE TABLE revocations (
        digest BLOB PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, state TEXT NOT NULL, reason TEXT NOT NULL,
        changed INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE flags (name TEXT PRIMARY KEY, changed INTEGER NOT NULL) WITHOUT ROWID",
)

_VERSION_3 = (
    # Letters (see appliance.store.letters). A shelf is a kind and a state of a tenant's letters.
    """CREATE TABLE shelves (
        number INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, kind TEXT NOT NULL, state TEXT NOT NULL,
        count INTEGER NOT NULL CHECK (count >= 0), UNIQUE (tenant, kind, state))""",
    # Numbers are given in order of arrival over all tenants, so that rows are added at the end; nobody is told them.
    """CREATE TABLE letters (
        number INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, letter BLOB NOT NULL, shelf INTEGER NOT NULL,
        events INTEGER NOT NULL, balance INTEGER NOT NULL CHECK (balance >= 0), changed INTEGER NOT NULL,
        latest INTEGER NOT NULL, anchor INTEGER NOT NULL, head BLOB NOT NULL, view BLOB NOT NULL)""",
    # An id is one letter's on the whole box: it is the code on its page, by which anybody checks it.
    "CREATE UNIQUE INDEX letters_by_id ON letters (letter)",
    "CREATE INDEX letters_by_shelf ON letters (shelf)",
    # In order of arrival. letters.latest: sequence of a letter's newest event; previous: of the one before an event;
    # anchor: of the newest one before it whose number is a multiple of appliance.store.letters.ANCHORS, 0 without.
    """CREATE TABLE letter_events (
        sequence INTEGER PRIMARY KEY, letter INTEGER NOT NULL, number INTEGER NOT NULL, previous INTEGER NOT NULL,
        anchor INTEGER NOT NULL, record_id BLOB NOT NULL)""",
    "CREATE TABLE federations (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # scope: a tenant's number, or a federation's below zero. holder: the letter's number while it is the only one that
    # uses anything of it; else 0, and what each one uses stands in claim_uses.
    """CREATE TABLE claims (
        scope INTEGER NOT NULL, key BLOB NOT NULL, used INTEGER NOT NULL, capacity INTEGER NOT NULL,
        holder INTEGER NOT NULL, CHECK (used > 0 AND used <= capacity), PRIMARY KEY (scope, key)) WITHOUT ROWID""",
    """CREATE TABLE claim_uses (
        scope INTEGER NOT NULL, key BLOB NOT NULL, letter INTEGER NOT NULL, used INTEGER NOT NULL CHECK (used > 0),
        PRIMARY KEY (scope, key, letter)) WITHOUT ROWID""",
    """CREATE TABLE tallies (
        tenant INTEGER NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0),
        PRIMARY KEY (tenant, name)) WITHOUT ROWID""",
)

_VERSION_4 = (
    # Drafts of letters' events that wait for approvals. expires: microseconds.
    """CREATE TABLE drafts (
        tenant INTEGER NOT NULL REFERENCES tenants, draft BLOB NOT NULL, revision INTEGER NOT NULL,
        expires INTEGER NOT NULL, content BLOB NOT NULL, PRIMARY KEY (tenant, draft))""",
)

_INTAKES = (
    # Intake runs (see appliance.store.intakes). Times in microseconds; cursor opaque, request and fault encrypted.
    """CREATE TABLE intakes (
        number INTEGER PRIMARY KEY, intake BLOB NOT NULL UNIQUE, tenant INTEGER NOT NULL REFERENCES tenants,
        application INTEGER NOT NULL REFERENCES applications, kind TEXT NOT NULL, event TEXT NOT NULL,
        checks INTEGER NOT NULL, state TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,
        finished INTEGER, size INTEGER NOT NULL, received INTEGER NOT NULL, rows INTEGER NOT NULL,
        decided INTEGER NOT NULL, accepted INTEGER NOT NULL, duplicate INTEGER NOT NULL, refused INTEGER NOT NULL,
        cursor BLOB NOT NULL, request BLOB NOT NULL, fault BLOB NOT NULL, work INTEGER NOT NULL)""",
    "CREATE INDEX intakes_by_tenant ON intakes (tenant, number)",
    "CREATE INDEX intakes_with_work ON intakes (tenant, number) WHERE work = 1",
    "CREATE INDEX intakes_finished ON intakes (finished) WHERE finished IS NOT NULL",
    """CREATE TABLE intake_parts (
        intake INTEGER NOT NULL REFERENCES intakes, start INTEGER NOT NULL, length INTEGER NOT NULL,
        digest BLOB NOT NULL, PRIMARY KEY (intake, start)) WITHOUT ROWID""",
    """CREATE TABLE intake_pages (
        intake INTEGER NOT NULL REFERENCES intakes, start INTEGER NOT NULL, rows INTEGER NOT NULL,
        refused INTEGER NOT NULL, token BLOB NOT NULL, verdicts BLOB NOT NULL, told BLOB NOT NULL,
        PRIMARY KEY (intake, start))""",
    # scope: a tenant's number; of a run that only checks, its own number below zero. For ever, but for those.
    """CREATE TABLE intake_keys (
        scope INTEGER NOT NULL, key BLOB NOT NULL, letter BLOB NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (scope, key)) WITHOUT ROWID""",
)

_LETTER_LIMITS = (
    # Limits and tariffs in force, stopped kinds, notices, metered events (see appliance.store.limits). Times in
    # microseconds. tallies.label: whom a count is of, encrypted by the tenant.
    "ALTER TABLE tallies ADD COLUMN label BLOB NOT NULL DEFAULT x''",
    """CREATE TABLE letter_terms (
        tenant INTEGER NOT NULL REFERENCES tenants, form TEXT NOT NULL, version INTEGER NOT NULL,
        since INTEGER NOT NULL, document BLOB NOT NULL, ceremony TEXT NOT NULL,
        PRIMARY KEY (tenant, form, version)) WITHOUT ROWID""",
    """CREATE TABLE stopped (
        tenant INTEGER NOT NULL REFERENCES tenants, kind TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (tenant, kind)) WITHOUT ROWID""",
    """CREATE TABLE notices (
        number INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, time INTEGER NOT NULL,
        what TEXT NOT NULL, subject TEXT NOT NULL, threshold INTEGER NOT NULL, used INTEGER NOT NULL,
        most INTEGER NOT NULL)""",
    "CREATE INDEX notices_by_tenant ON notices (tenant, number)",
    """CREATE TABLE metered (
        tenant INTEGER NOT NULL, month TEXT NOT NULL, kind TEXT NOT NULL, event TEXT NOT NULL,
        application TEXT NOT NULL, whom TEXT NOT NULL, currency TEXT NOT NULL, tariff INTEGER NOT NULL,
        day TEXT NOT NULL, count INTEGER NOT NULL, amount INTEGER NOT NULL, fee INTEGER NOT NULL, label BLOB NOT NULL,
        PRIMARY KEY (tenant, month, kind, event, application, whom, currency, tariff, day)) WITHOUT ROWID""",
    """CREATE TABLE billed (
        tenant INTEGER NOT NULL, month TEXT NOT NULL, kind TEXT NOT NULL, event TEXT NOT NULL,
        application TEXT NOT NULL, whom TEXT NOT NULL, currency TEXT NOT NULL, tariff INTEGER NOT NULL,
        count INTEGER NOT NULL, amount INTEGER NOT NULL, fee INTEGER NOT NULL,
        PRIMARY KEY (tenant, month, kind, event, application, whom, currency, tariff)) WITHOUT ROWID""",
)

_DUE_AND_FOUND = (
    # Microseconds; 0: none. letters.due: from when an event may happen that waits for a time; letters.automatic: from
    # when the box itself has one to make. letter_finds: letters by keyed
    # hashes under which their kind lets them be found (see appliance.recorder.messages.Find).
    "ALTER TABLE letters ADD COLUMN due INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE letters ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX letters_due ON letters (tenant, due) WHERE due > 0",
    "CREATE INDEX letters_automatic ON letters (tenant, automatic) WHERE automatic > 0",
    """CREATE TABLE letter_finds (
        tenant INTEGER NOT NULL, key BLOB NOT NULL, letter INTEGER NOT NULL,
        PRIMARY KEY (tenant, key, letter)) WITHOUT ROWID""",
    # The box itself, as an application of each tenant: no certificate has this digest (appliance.recorder.register).
    """INSERT INTO applications (tenant, name, permissions, state)
       SELECT number, '@box', x'91a12a', 'active' FROM tenants WHERE number > 0""",
)

_PARTNER_MESSAGES = (
    # Messages of partners, while their nonces are remembered. expires: microseconds.
    """CREATE TABLE partner_messages (
        number INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, partner TEXT NOT NULL,
        nonce BLOB NOT NULL, digest BLOB NOT NULL, record_id BLOB NOT NULL, expires INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX partner_messages_by_nonce ON partner_messages (tenant, partner, nonce)",
    "CREATE INDEX partner_messages_by_expiry ON partner_messages (expires)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _LETTER_LIMITS, _INTAKES, _DUE_AND_FOUND,
    _PARTNER_MESSAGES,
)  # fmt: skip


class StoreTooNew(CinnabarError):
    """The database was written by a later version of this program."""

    code = "store-too-new"
    title = "The database is newer than this program"


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> int:
    """Bring the database to the newest version; returns the version it had. Raises StoreTooNew."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > len(migrations):
        raise StoreTooNew(f"the database has version {found}, this program knows {len(migrations)}")
    for version in range(found, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return found


def open_writer(directory: Path) -> sqlite3.Connection:
    """The writing connection of DIRECTORY/records.sqlite; the caller commits by hand. Makes and migrates the database.

    synchronous=FULL: a commit returns after fdatasync of the write-ahead log (control RECORD).
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(
        directory / "records.sqlite", isolation_level=None, cached_statements=512, check_same_thread=False
    )
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "locking_mode = NORMAL",
        "wal_autocheckpoint = 0",  # the keeper does it, off the writer's path
        "journal_size_limit = 67108864",
        "cache_size = -65536",  # holds the index of a million letters by id
        "secure_delete = OFF",  # contents are encrypted; overwriting freed pages would double the cost of pruning
        "foreign_keys = ON",
        "busy_timeout = 10000",
    ):
        connection.execute(f"PRAGMA {pragma}")
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_checkpointer(directory: Path) -> sqlite3.Connection:
    """A connection that copies the write-ahead log into the database beside the writer, and writes nothing itself."""
    connection = sqlite3.connect(directory / "records.sqlite", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def must_be_plain(database: Path) -> None:
    """A pipe in the place of a database, or of what stands beside it, would be waited for without end, and a link lead
    elsewhere. They are looked at and not opened: to close one would let go of every lock that this process has on it.
    Raises sqlite3.DatabaseError."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        one = database.with_name(f"{database.name}{suffix}")
        with contextlib.suppress(FileNotFoundError, PermissionError):  # SQLite says so
            if not stat.S_ISREG(one.lstat().st_mode):
                raise sqlite3.DatabaseError(f"{one} is no plain file")


def open_reader(directory: Path) -> sqlite3.Connection:
    """A read-only connection; it never makes the writer wait. Raises sqlite3.Error."""
    path = directory / "records.sqlite"
    must_be_plain(path)
    connection = sqlite3.connect(
        f"file:{path}?mode=ro",
        uri=True,
        isolation_level=None,
        cached_statements=512,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -8192")
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection
