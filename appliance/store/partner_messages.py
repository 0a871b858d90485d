"""Messages of partners that were taken, by their nonces, while these are remembered. SQL only; the rules are
appliance.recorder.partner_messages'."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple


class MessageRow(NamedTuple):
    """A message that was taken."""

    tenant: int
    partner: str
    nonce: bytes
    digest: bytes
    record_id: bytes
    expires: int
    """Microseconds; forgotten afterwards."""


_COLUMNS = "tenant, partner, nonce, digest, record_id, expires"


def find_message(connection: sqlite3.Connection, tenant: int, partner: str, nonce: bytes) -> MessageRow | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM partner_messages WHERE tenant = ? AND partner = ? AND nonce = ?",  # noqa: S608
        (tenant, partner, nonce),
    ).fetchone()
    return None if row is None else MessageRow(*row)


def add_messages(connection: sqlite3.Connection, rows: Iterable[MessageRow]) -> None:
    connection.executemany(
        f"INSERT INTO partner_messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - columns are ours
        rows,
    )


def forget_messages(connection: sqlite3.Connection, now_us: int, most: int) -> None:
    """At most `most` of those that have expired, the oldest first."""
    connection.execute(
        "DELETE FROM partner_messages WHERE number IN "
        "(SELECT number FROM partner_messages WHERE expires <= ? ORDER BY expires LIMIT ?)",
        (now_us, most),
    )
