"""The small tables: register, housekeeping and heads, marks, runs, jobs. SQL only; the rules are the recorder's."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from appliance.store.schema import BOX

_strings = msgspec.msgpack.Decoder(list[str])
_blobs = msgspec.msgpack.Decoder(list[bytes])
_verdicts = msgspec.msgpack.Decoder(list[tuple[int, int, bytes, str, str]])
_counts = msgspec.msgpack.Decoder(dict[str, int])


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def unpack_strings(data: bytes) -> list[str]:
    return _strings.decode(data)


def unpack_blobs(data: bytes) -> list[bytes]:
    return _blobs.decode(data)


def unpack_verdicts(data: bytes) -> list[tuple[int, int, bytes, str, str]]:
    """(row's number in its file, status, letter, code, detail) of a page of an intake run."""
    return _verdicts.decode(data)


def unpack_counts(data: bytes) -> dict[str, int]:
    return _counts.decode(data)


# Register


def read_tenants(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """(number, name, state) of every tenant, the box's own log among them."""
    return connection.execute("SELECT number, name, state FROM tenants ORDER BY number").fetchall()


def tenant_number(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT number FROM tenants WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def application_number(connection: sqlite3.Connection, tenant: int, name: str) -> int | None:
    row = connection.execute("SELECT number FROM applications WHERE tenant = ? AND name = ?", (tenant, name)).fetchone()
    return None if row is None else row[0]


def application_name(connection: sqlite3.Connection, number: int) -> str | None:
    row = connection.execute("SELECT name FROM applications WHERE number = ?", (number,)).fetchone()
    return None if row is None else row[0]


def read_certificates(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Every certificate with its application and tenant, in the order of appliance.recorder.register.Certificate."""
    rows = connection.execute(
        """SELECT c.digest, c.state, c.not_before, c.not_after, a.number, a.name, a.state, a.permissions,
                  t.number, t.name, t.state
           FROM certificates c JOIN applications a ON a.number = c.application JOIN tenants t ON t.number = a.tenant"""
    )
    return [(*row[:7], tuple(unpack_strings(row[7])), *row[8:]) for row in rows]


def read_applications(connection: sqlite3.Connection) -> list[tuple[str, str, list[str], str]]:
    """(tenant, name, permissions, state) of every application but the box itself."""
    rows = connection.execute(
        """SELECT t.name, a.name, a.permissions, a.state FROM applications a JOIN tenants t ON t.number = a.tenant
           WHERE a.name <> ? ORDER BY t.name, a.name""",
        (BOX,),
    )
    return [(tenant, name, unpack_strings(permissions), state) for tenant, name, permissions, state in rows]


def add_box(connection: sqlite3.Connection, tenant: int) -> None:
    """The box itself becomes an application of a tenant."""
    connection.execute(
        "INSERT INTO applications (tenant, name, permissions, state) VALUES (?,?,?,'active')",
        (tenant, BOX, pack(["*"])),
    )


def read_boxes(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """(tenant, its number, the application's number) of the box itself, where it is active."""
    return connection.execute(
        """SELECT t.name, t.number, a.number FROM applications a JOIN tenants t ON t.number = a.tenant
           WHERE a.name = ? AND a.state = 'active' AND t.state = 'active'""",
        (BOX,),
    ).fetchall()


def read_revoked(connection: sqlite3.Connection) -> list[tuple[bytes, int]]:
    """Digest and time of revocation, microseconds since the epoch, of every revoked certificate."""
    return connection.execute(
        "SELECT digest, changed FROM certificates WHERE state = 'revoked' ORDER BY digest"
    ).fetchall()


# Housekeeping and heads


def add_housekeeping(
    connection: sqlite3.Connection, kind: str, key: str, time: int, subject: str, body: bytes, run: str
) -> int:
    cursor = connection.execute(
        "INSERT INTO housekeeping (kind, key, time, subject, body, run) VALUES (?,?,?,?,?,?)",
        (kind, key, time, subject, body, run),
    )
    return int(cursor.lastrowid or 0)


def find_housekeeping(
    connection: sqlite3.Connection, kind: str, key: str, time: int, subject: str, body: bytes, run: str
) -> int | None:
    """The number of an equal row among the last hundred of its kind and subject."""
    row = connection.execute(
        """SELECT number FROM (SELECT * FROM housekeeping WHERE kind = ? AND subject = ? ORDER BY number DESC LIMIT 100)
           WHERE key = ? AND time = ? AND body = ? AND run = ?""",
        (kind, subject, key, time, body, run),
    ).fetchone()
    return None if row is None else row[0]


def read_housekeeping(
    connection: sqlite3.Connection, kind: str, subject: str, after: int, limit: int
) -> list[tuple[int, str, int, bytes]]:
    """(number, key, time, body) of rows numbered above `after`, in order."""
    return connection.execute(
        """SELECT number, key, time, body FROM housekeeping
           WHERE kind = ? AND subject = ? AND number > ? ORDER BY number LIMIT ?""",
        (kind, subject, after, limit),
    ).fetchall()


def read_housekeeping_after(
    connection: sqlite3.Connection, after: int, limit: int
) -> list[tuple[int, str, str, int, str, bytes]]:
    """(number, kind, key, time, subject, body) of rows of every kind numbered above `after`, in order."""
    return connection.execute(
        """SELECT number, kind, key, time, subject, body FROM housekeeping
           WHERE number > ? ORDER BY number LIMIT ?""",
        (after, limit),
    ).fetchall()


def housekeeping_ends(connection: sqlite3.Connection, kind: str, subject: str) -> tuple[int, int] | None:
    """The numbers of the first and the last row of a kind about a subject."""
    first, last = connection.execute(
        "SELECT min(number), max(number) FROM housekeeping WHERE kind = ? AND subject = ?", (kind, subject)
    ).fetchone()
    return None if first is None else (first, last)


def housekeeping_from(connection: sqlite3.Connection, kind: str, subject: str, number: int) -> tuple[int, bytes]:
    """(number, body) of the first row from that number on; there must be one."""
    row: tuple[int, bytes] = connection.execute(
        """SELECT number, body FROM housekeeping
           WHERE kind = ? AND subject = ? AND number >= ? ORDER BY number LIMIT 1""",
        (kind, subject, number),
    ).fetchone()
    return row


def newest_housekeeping(connection: sqlite3.Connection, kind: str, subject: str, time: int) -> bytes | None:
    """The body of the newest row of a kind about a subject whose time is `time` or before."""
    row = connection.execute(
        """SELECT body FROM housekeeping
           WHERE kind = ? AND subject = ? AND time <= ? ORDER BY number DESC LIMIT 1""",
        (kind, subject, time),
    ).fetchone()
    return None if row is None else row[0]


def read_head(connection: sqlite3.Connection, origin: str) -> tuple[int, bytes, int, bytes] | None:
    """(size, root, time, note) of the newest recorded checkpoint of a log."""
    row: tuple[int, bytes, int, bytes] | None = connection.execute(
        """SELECT heads.size, heads.root, heads.time, housekeeping.body
           FROM heads JOIN housekeeping ON housekeeping.number = heads.row WHERE origin = ?""",
        (origin,),
    ).fetchone()
    return row


def write_head(connection: sqlite3.Connection, origin: str, size: int, root: bytes, time: int, row: int) -> None:
    connection.execute("INSERT OR REPLACE INTO heads VALUES (?,?,?,?,?)", (origin, size, root, time, row))


# Marks


def raise_marks(connection: sqlite3.Connection, marks: dict[str, int]) -> None:
    connection.executemany(
        "INSERT INTO marks VALUES (?,?) ON CONFLICT (unit) DO UPDATE SET time = max(time, excluded.time)",
        marks.items(),
    )


def read_marks(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT unit, time FROM marks").fetchall())


# Runs


class RunRow(NamedTuple):
    """One life of a process. `state`: open, clean, lost, unbalanced. `drops` as encoded."""

    run: str
    user: int
    process: int
    started: int
    ended: int | None
    state: str
    signed: int
    rows: int
    drops: bytes


def read_run(connection: sqlite3.Connection, run: str) -> RunRow | None:
    row = connection.execute("SELECT * FROM runs WHERE run = ?", (run,)).fetchone()
    return None if row is None else RunRow(*row)


def read_runs(connection: sqlite3.Connection, state: str | None, limit: int) -> list[RunRow]:
    """Runs, the newest first."""
    if state is None:
        rows = connection.execute("SELECT * FROM runs ORDER BY started DESC LIMIT ?", (limit,))
    else:
        rows = connection.execute("SELECT * FROM runs WHERE state = ? ORDER BY started DESC LIMIT ?", (state, limit))
    return [RunRow(*row) for row in rows]


def totals(connection: sqlite3.Connection) -> dict[str, int]:
    """Signatures, rows and drops over all runs."""
    signed, kept = connection.execute("SELECT coalesce(sum(signed), 0), coalesce(sum(rows), 0) FROM runs").fetchone()
    drops = sum(sum(unpack_counts(row[0]).values()) for row in connection.execute("SELECT drops FROM runs"))
    return {"drops": drops, "rows": kept, "signatures": signed}


def run_states(connection: sqlite3.Connection) -> dict[str, int]:
    """How many runs there are of each state."""
    return dict(connection.execute("SELECT state, count(*) FROM runs GROUP BY state").fetchall())


def write_run(connection: sqlite3.Connection, row: RunRow) -> None:
    connection.execute("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?)", row)


# Jobs


class JobRow(NamedTuple):
    number: int
    job_id: bytes
    tenant: int
    application: int
    kind: str
    items: int
    progress: int
    created: int
    finished: int | None
    request: bytes


_JOB = "number, job_id, tenant, application, kind, items, progress, created, finished, request"


def add_job(
    connection: sqlite3.Connection,
    job_id: bytes,
    tenant: int,
    application: int,
    kind: str,
    items: int,
    created: int,
    request: bytes,
) -> None:
    connection.execute(
        """INSERT INTO jobs (job_id, tenant, application, kind, items, progress, created, finished, request)
           VALUES (?,?,?,?,?,0,?,?,?)""",
        (job_id, tenant, application, kind, items, created, created if items == 0 else None, request),
    )


def find_job(connection: sqlite3.Connection, job_id: bytes) -> JobRow | None:
    row = connection.execute(f"SELECT {_JOB} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()  # noqa: S608
    return None if row is None else JobRow(*row)


def unfinished_jobs(connection: sqlite3.Connection, tenant: int) -> list[tuple[int, bytes, int]]:
    """(number, job id, application) of a tenant's unfinished jobs, oldest first."""
    return connection.execute(
        "SELECT number, job_id, application FROM jobs WHERE tenant = ? AND finished IS NULL ORDER BY number", (tenant,)
    ).fetchall()


def count_unfinished(connection: sqlite3.Connection, tenant: int, application: int) -> int:
    """How many jobs of an application are not finished."""
    count: int = connection.execute(
        "SELECT count(*) FROM jobs WHERE tenant = ? AND application = ? AND finished IS NULL", (tenant, application)
    ).fetchone()[0]
    return count


def unfinished_work(connection: sqlite3.Connection) -> tuple[int, int]:
    """(jobs, items) that are not finished, of all tenants."""
    row: tuple[int, int] = connection.execute(
        "SELECT count(*), coalesce(sum(items - progress), 0) FROM jobs WHERE finished IS NULL"
    ).fetchone()
    return row


def list_jobs(connection: sqlite3.Connection, application: int, before: int, limit: int) -> list[JobRow]:
    """An application's jobs, the newest first, numbered below `before`."""
    rows = connection.execute(
        f"SELECT {_JOB} FROM jobs WHERE application = ? AND number < ? ORDER BY number DESC LIMIT ?",  # noqa: S608
        (application, before, limit),
    )
    return [JobRow(*row) for row in rows]


def move_job(connection: sqlite3.Connection, number: int, progress: int, finished: int | None) -> None:
    connection.execute("UPDATE jobs SET progress = ?, finished = ? WHERE number = ?", (progress, finished, number))


def add_slice(
    connection: sqlite3.Connection, job: int, start: int, items: int, first_index: int, entries: int, verdicts: bytes
) -> None:
    connection.execute("INSERT INTO slices VALUES (?,?,?,?,?,?)", (job, start, items, first_index, entries, verdicts))


def find_slice(connection: sqlite3.Connection, job: int, start: int) -> tuple[int, int, int, bytes] | None:
    """(items, first index, entries, verdicts) of the slice that begins at `start`."""
    row: tuple[int, int, int, bytes] | None = connection.execute(
        "SELECT items, first_index, entries, verdicts FROM slices WHERE job = ? AND start = ?", (job, start)
    ).fetchone()
    return row


def read_slices(
    connection: sqlite3.Connection, job: int, first: int, end: int
) -> list[tuple[int, int, int, int, bytes]]:
    """(start, items, first index, entries, verdicts) of the slices that touch items [first, end)."""
    return connection.execute(
        """SELECT start, items, first_index, entries, verdicts FROM slices
           WHERE job = ? AND start >= coalesce((SELECT max(start) FROM slices WHERE job = ? AND start <= ?), 0)
             AND start < ? ORDER BY start""",
        (job, job, first, end),
    ).fetchall()


def expire_job(connection: sqlite3.Connection, finished_before: int) -> bool:
    """Forget one finished job, its request and its verdicts; its records stay. False when there is none."""
    row = connection.execute("SELECT number FROM jobs WHERE finished < ? LIMIT 1", (finished_before,)).fetchone()
    if row is None:
        return False
    connection.execute("DELETE FROM slices WHERE job = ?", row)
    connection.execute("DELETE FROM jobs WHERE number = ?", row)
    return True
