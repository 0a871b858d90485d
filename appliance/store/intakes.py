"""Intake runs, as the recorder keeps them. SQL only; the rules are appliance.recorder.intakes'.

A run is one file of rows. Its pages hold the verdicts, a slice of rows each; its keys say which rows were accepted, by
this run or by any run of the tenant's before.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class IntakeRow(NamedTuple):
    """A run as it stands."""

    number: int
    intake: bytes
    tenant: int
    application: int
    kind: str
    event: str
    checks: int
    """1: it only checks, and makes nothing."""
    state: str
    created: int
    changed: int
    finished: int | None
    """Microseconds since the epoch."""
    size: int
    received: int
    """Bytes of the file that are meant to come, and that have come."""
    rows: int
    """Rows of the file; 0 until it was read through."""
    decided: int
    accepted: int
    duplicate: int
    refused: int
    cursor: bytes
    """Where the reading stands: opaque."""
    request: bytes
    fault: bytes
    """Encrypted by the tenant."""
    work: int
    """1: a worker has something to do for it."""


class PageRow(NamedTuple):
    """Verdicts on a slice of rows, from the row `start` of the run on."""

    start: int
    rows: int
    refused: int
    token: bytes
    verdicts: bytes
    told: bytes


_COLUMNS = ", ".join(IntakeRow._fields)
_PAGE = ", ".join(PageRow._fields)


def add_intake(
    connection: sqlite3.Connection, intake: bytes, tenant: int, application: int, kind: str, event: str, checks: bool,
    now: int, size: int, request: bytes,
) -> None:  # fmt: skip
    connection.execute(
        """INSERT INTO intakes (intake, tenant, application, kind, event, checks, state, created, changed, size,
           received, rows, decided, accepted, duplicate, refused, cursor, request, fault, work)
           VALUES (?,?,?,?,?,?,'receiving',?,?,?,0,0,0,0,0,0,x'',?,x'',0)""",
        (intake, tenant, application, kind, event, int(checks), now, now, size, request),
    )


def find_intake(connection: sqlite3.Connection, intake: bytes) -> IntakeRow | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM intakes WHERE intake = ?", (intake,)).fetchone()  # noqa: S608
    return None if row is None else IntakeRow(*row)


def read_intakes(connection: sqlite3.Connection, tenant: int, before: int, limit: int) -> list[IntakeRow]:
    """Runs of a tenant, the newest first, numbered below `before`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM intakes WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?",  # noqa: S608
        (tenant, before, limit),
    )
    return [IntakeRow(*row) for row in rows]


def intakes_with_work(connection: sqlite3.Connection, tenant: int) -> list[IntakeRow]:
    """Runs of a tenant for which a worker has something to do, the oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM intakes WHERE tenant = ? AND work = 1 ORDER BY number",  # noqa: S608
        (tenant,),
    )
    return [IntakeRow(*row) for row in rows]


def count_unfinished(connection: sqlite3.Connection, tenant: int, application: int) -> int:
    """How many runs of an application are not finished."""
    row = connection.execute(
        "SELECT count(*) FROM intakes WHERE tenant = ? AND application = ? AND finished IS NULL", (tenant, application)
    ).fetchone()
    return int(row[0])


def sum_sizes(connection: sqlite3.Connection, tenant: int) -> int:
    """Bytes of a tenant's files that are still to come, or not swept yet."""
    row = connection.execute(
        "SELECT coalesce(sum(size), 0) FROM intakes WHERE tenant = ? AND (finished IS NULL OR work = 1)", (tenant,)
    ).fetchone()
    return int(row[0])


def end_unfinished(connection: sqlite3.Connection, changed_before: int, now: int) -> None:
    """Fail runs that wait for somebody since a time; a worker sweeps their files."""
    connection.execute(
        """UPDATE intakes SET state = 'failed', fault = x'', changed = ?, finished = ?, work = 1
           WHERE finished IS NULL AND state IN ('receiving', 'stopped') AND changed < ?""",
        (now, now, changed_before),
    )


def write_intake(connection: sqlite3.Connection, row: IntakeRow) -> None:
    """What may change of a run."""
    connection.execute(
        """UPDATE intakes SET state = ?, changed = ?, finished = ?, received = ?, rows = ?, decided = ?, accepted = ?,
           duplicate = ?, refused = ?, cursor = ?, fault = ?, work = ? WHERE number = ?""",
        (
            row.state, row.changed, row.finished, row.received, row.rows, row.decided, row.accepted, row.duplicate,
            row.refused, row.cursor, row.fault, row.work, row.number,
        ),
    )  # fmt: skip


# Parts of the file


def add_part(connection: sqlite3.Connection, intake: int, start: int, length: int, digest: bytes) -> None:
    connection.execute("INSERT INTO intake_parts VALUES (?,?,?,?)", (intake, start, length, digest))


def read_parts(connection: sqlite3.Connection, intake: int) -> list[tuple[int, int, bytes]]:
    """(start, length, digest of the stored document) of the parts, in order."""
    return connection.execute(
        "SELECT start, length, digest FROM intake_parts WHERE intake = ? ORDER BY start", (intake,)
    ).fetchall()


def read_named(connection: sqlite3.Connection, after: tuple[int, int], limit: int) -> list[tuple[int, int, bytes]]:
    """(number of the run, start, digest) of all runs' parts after (number, start), in order."""
    return connection.execute(
        "SELECT intake, start, digest FROM intake_parts WHERE (intake, start) > (?, ?) ORDER BY intake, start LIMIT ?",
        (*after, limit),
    ).fetchall()


def drop_parts(connection: sqlite3.Connection, intake: int) -> None:
    connection.execute("DELETE FROM intake_parts WHERE intake = ?", (intake,))


# Verdicts


def add_page(connection: sqlite3.Connection, intake: int, page: PageRow) -> None:
    connection.execute(f"INSERT INTO intake_pages (intake, {_PAGE}) VALUES (?,?,?,?,?,?,?)", (intake, *page))  # noqa: S608


def find_page(connection: sqlite3.Connection, intake: int, start: int) -> PageRow | None:
    row = connection.execute(
        f"SELECT {_PAGE} FROM intake_pages WHERE intake = ? AND start = ?",  # noqa: S608
        (intake, start),
    ).fetchone()
    return None if row is None else PageRow(*row)


def read_pages(connection: sqlite3.Connection, intake: int, first: int, limit: int, refused: bool) -> list[PageRow]:
    """Pages that hold the row `first` of the run and later ones, in order; `refused`: only those with a refused row."""
    rows = connection.execute(
        f"""SELECT {_PAGE} FROM intake_pages
            WHERE intake = ? AND start >= coalesce(
                (SELECT max(start) FROM intake_pages WHERE intake = ? AND start <= ?), 0)
              AND start + rows > ? AND refused >= ? ORDER BY start LIMIT ?""",  # noqa: S608
        (intake, intake, first, first, int(refused), limit),
    )
    return [PageRow(*row) for row in rows]


# Which rows were accepted


def find_key(connection: sqlite3.Connection, scope: int, key: bytes) -> tuple[bytes, bytes] | None:
    """(letter, digest of the row's content)."""
    row: tuple[bytes, bytes] | None = connection.execute(
        "SELECT letter, content FROM intake_keys WHERE scope = ? AND key = ?", (scope, key)
    ).fetchone()
    return row


def add_keys(connection: sqlite3.Connection, keys: list[tuple[int, bytes, bytes, bytes]]) -> None:
    """(scope, key, letter, content) of rows that were accepted."""
    connection.executemany("INSERT INTO intake_keys VALUES (?,?,?,?)", keys)


def expire_intake(connection: sqlite3.Connection, finished_before: int, step: int) -> bool:
    """Forget a finished run with its verdicts, or some of what a check has noted; the keys of accepted rows stay. False
    when there is none."""
    row = connection.execute(
        "SELECT number FROM intakes WHERE finished < ? AND work = 0 LIMIT 1", (finished_before,)
    ).fetchone()
    if row is None:
        return False
    gone = connection.execute(
        "DELETE FROM intake_keys WHERE scope = ? AND key IN (SELECT key FROM intake_keys WHERE scope = ? LIMIT ?)",
        (-row[0], -row[0], step),
    ).rowcount
    if gone:
        return True
    for table in ("intake_pages", "intake_parts"):
        connection.execute(f"DELETE FROM {table} WHERE intake = ?", row)  # noqa: S608
    connection.execute("DELETE FROM intakes WHERE number = ?", row)
    return True
