"""Idempotency keys: UUIDv7, found at the cost of a look-up in the hour they name, forgotten by the hour.

The hour of a key is that of the time in the key itself, so that a key is looked for in one table only, and a table is
wholly past the window at once. UUIDv7 begins with its time: rows are added near the end of their table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

HOUR_MS = 3_600_000


class KeyRow(NamedTuple):
    """What an idempotency key was used for: `leaves` leaves from `first_index` on, or a job."""

    key: bytes
    application: int
    request_digest: bytes
    tenant: int
    first_index: int
    leaves: int
    job_id: bytes | None


def key_time_ms(key: bytes) -> int:
    """Milliseconds since the epoch that a UUIDv7 names (RFC 9562, section 5.7)."""
    return int.from_bytes(key[:6], "big")


def hour_of(key: bytes) -> int:
    return key_time_ms(key) // HOUR_MS


def hours(connection: sqlite3.Connection) -> set[int]:
    """The hours that have a table."""
    return {row[0] for row in connection.execute("SELECT hour FROM key_hours")}


def add_hour(connection: sqlite3.Connection, hour: int) -> None:
    connection.execute(
        f"""CREATE TABLE keys_{hour} (
            key BLOB NOT NULL, application INTEGER NOT NULL, request_digest BLOB NOT NULL, tenant INTEGER NOT NULL,
            first_index INTEGER NOT NULL, count INTEGER NOT NULL, job_id BLOB,
            PRIMARY KEY (key, application)) WITHOUT ROWID"""
    )
    connection.execute("INSERT INTO key_hours (hour) VALUES (?)", (hour,))


def find_key(connection: sqlite3.Connection, hour: int, key: bytes, application: int) -> KeyRow | None:
    row = connection.execute(
        f"""SELECT key, application, request_digest, tenant, first_index, count, job_id
            FROM keys_{hour} WHERE key = ? AND application = ?""",  # noqa: S608
        (key, application),
    ).fetchone()
    return None if row is None else KeyRow(*row)


def insert_keys(connection: sqlite3.Connection, hour: int, rows: Iterable[KeyRow]) -> None:
    connection.executemany(f"INSERT INTO keys_{hour} VALUES (?,?,?,?,?,?,?)", sorted(rows))  # noqa: S608


def forget_some(connection: sqlite3.Connection, hour: int, rows: int) -> bool:
    """Delete up to `rows` keys of an hour, and its table once empty: small steps, so that no append waits long.

    True when the hour is gone."""
    last = connection.execute(f"SELECT key FROM keys_{hour} ORDER BY key LIMIT 1 OFFSET ?", (rows,)).fetchone()  # noqa: S608
    if last is not None:
        connection.execute(f"DELETE FROM keys_{hour} WHERE key < ?", (last[0],))  # noqa: S608
        return False
    connection.execute(f"DELETE FROM keys_{hour}")  # noqa: S608
    connection.execute(f"DROP TABLE keys_{hour}")
    connection.execute("DELETE FROM key_hours WHERE hour = ?", (hour,))
    return True
