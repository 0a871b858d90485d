"""Drafts that wait for approvals, as the recorder keeps them. SQL only; the rules are appliance.recorder.drafts'."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class DraftRow(NamedTuple):
    """A draft as it is kept."""

    draft: bytes
    revision: int
    expires: int
    content: bytes


_COLUMNS = "draft, revision, expires, content"


def find_draft(connection: sqlite3.Connection, tenant: int, draft: bytes) -> DraftRow | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM drafts WHERE tenant = ? AND draft = ?",  # noqa: S608 - columns are ours
        (tenant, draft),
    ).fetchone()
    return None if row is None else DraftRow(*row)


def read_drafts(connection: sqlite3.Connection, tenant: int, now_us: int, limit: int, after: bytes) -> list[DraftRow]:
    """Of a tenant, those in time, in the order of their ids, from after `after`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM drafts WHERE tenant = ? AND draft > ? AND expires > ? ORDER BY draft LIMIT ?",  # noqa: S608
        (tenant, after, now_us, limit),
    )
    return [DraftRow(*row) for row in rows]


def count_drafts(connection: sqlite3.Connection, tenant: int) -> int:
    return int(connection.execute("SELECT count(*) FROM drafts WHERE tenant = ?", (tenant,)).fetchone()[0])


def drop_expired(connection: sqlite3.Connection, tenant: int, now_us: int) -> None:
    connection.execute("DELETE FROM drafts WHERE tenant = ? AND expires <= ?", (tenant, now_us))


def write_draft(connection: sqlite3.Connection, tenant: int, row: DraftRow) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO drafts (tenant, draft, revision, expires, content) VALUES (?, ?, ?, ?, ?)",
        (tenant, *row),
    )


def drop_draft(connection: sqlite3.Connection, tenant: int, draft: bytes) -> None:
    connection.execute("DELETE FROM drafts WHERE tenant = ? AND draft = ?", (tenant, draft))
