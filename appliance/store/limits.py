"""Limits, notices, breakers and metered events as the recorder keeps them. SQL only; the rules are the recorder's
(appliance.recorder.letter_limits).

`metered` has one row a tenant, month, kind, event, application, whom, currency, tariff and day: events are added to few
rows, and a month is read in one range. `billed` has what bills took of it, by the same members without the day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

Line = tuple[int, str, str, str, str, str, str, int]
"""(tenant, month, kind, event, application, whom, currency, tariff's version)."""


class Terms(NamedTuple):
    """A file that a quorum has put in force."""

    tenant: int
    form: str
    """limits or tariff."""
    version: int
    since: int
    """Microseconds."""
    document: bytes
    ceremony: str


class NoticeRow(NamedTuple):
    number: int
    time: int
    what: str
    subject: str
    threshold: int
    used: int
    most: int


def read_terms(connection: sqlite3.Connection) -> list[Terms]:
    """All versions of all tenants, in their order."""
    found = connection.execute(
        "SELECT tenant, form, version, since, document, ceremony FROM letter_terms ORDER BY tenant, form, version"
    )
    return [Terms(*row) for row in found]


def add_terms(connection: sqlite3.Connection, terms: Terms) -> None:
    connection.execute("INSERT INTO letter_terms VALUES (?,?,?,?,?,?)", terms)


def read_stopped(connection: sqlite3.Connection) -> list[tuple[int, str, int, str]]:
    """(tenant, kind, since, reason) of kinds whose issuing is stopped."""
    return connection.execute("SELECT tenant, kind, since, reason FROM stopped ORDER BY tenant, kind").fetchall()


def stop(connection: sqlite3.Connection, tenant: int, kind: str, now_us: int, reason: str) -> None:
    connection.execute("INSERT OR IGNORE INTO stopped VALUES (?,?,?,?)", (tenant, kind, now_us, reason))


def resume(connection: sqlite3.Connection, tenant: int, kind: str) -> None:
    connection.execute("DELETE FROM stopped WHERE tenant = ? AND kind = ?", (tenant, kind))


def add_notices(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str, str, int, int, int]]) -> None:
    """(tenant, time, what, subject, threshold, used, most)."""
    connection.executemany(
        "INSERT INTO notices (tenant, time, what, subject, threshold, used, most) VALUES (?,?,?,?,?,?,?)", rows
    )


def read_notices(connection: sqlite3.Connection, tenant: int, before: int, limit: int) -> list[NoticeRow]:
    """Of a tenant, numbered below `before`, the newest first."""
    found = connection.execute(
        """SELECT number, time, what, subject, threshold, used, most FROM notices
           WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?""",
        (tenant, before, limit),
    )
    return [NoticeRow(*row) for row in found]


def count_notices(connection: sqlite3.Connection) -> dict[str, int]:
    """How many of each over all time and tenants, and kinds `stopped` now."""
    found = dict(connection.execute("SELECT what, count(*) FROM notices GROUP BY what").fetchall())
    return found | {"stopped": int(connection.execute("SELECT count(*) FROM stopped").fetchone()[0])}


def read_counter(connection: sqlite3.Connection, tenant: int, prefix: str, limit: int) -> list[tuple[str, int, bytes]]:
    """(whom, amount, label) of a counter's window, the largest first. `prefix`: COUNTER/WINDOW/."""
    return connection.execute(
        """SELECT substr(name, ?), amount, label FROM tallies WHERE tenant = ? AND name >= ? AND name < ? AND amount > 0
           ORDER BY amount DESC, name LIMIT ?""",
        (len(prefix) + 1, tenant, prefix, prefix[:-1] + "0", limit),
    ).fetchall()


def add_metered(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add (*Line, day, count, amount, fee, label)."""
    connection.executemany(
        """INSERT INTO metered VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
           ON CONFLICT (tenant, month, kind, event, application, whom, currency, tariff, day) DO UPDATE SET
           count = count + excluded.count, amount = amount + excluded.amount, fee = fee + excluded.fee""",
        rows,
    )


_LINE = """tenant = ? AND month = ? AND kind = ? AND event = ? AND application = ? AND whom = ? AND currency = ?
           AND tariff = ?"""


def sum_metered(connection: sqlite3.Connection, line: Line) -> tuple[int, int, int]:
    """(count, amount, fee) of a line's month."""
    row: tuple[int, int, int] = connection.execute(
        f"SELECT coalesce(sum(count), 0), coalesce(sum(amount), 0), coalesce(sum(fee), 0) FROM metered WHERE {_LINE}",  # noqa: S608
        line,
    ).fetchone()
    return row


def find_billed(connection: sqlite3.Connection, line: Line) -> tuple[int, int, int]:
    """(count, amount, fee) that bills took of a line."""
    row: tuple[int, int, int] | None = connection.execute(
        f"SELECT count, amount, fee FROM billed WHERE {_LINE}",  # noqa: S608
        line,
    ).fetchone()
    return (0, 0, 0) if row is None else row


def write_billed(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write (*Line, count, amount, fee)."""
    connection.executemany("INSERT OR REPLACE INTO billed VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)


def read_month(
    connection: sqlite3.Connection, tenant: int, month: str, after: tuple[str, str, str, str, str, int], limit: int
) -> list[tuple[Any, ...]]:
    """(kind, event, application, whom, currency, tariff, count, amount, fee, label, billed count, billed amount, billed
    fee) of a tenant's month, after the line of these first six, in their order."""
    return connection.execute(
        """SELECT m.kind, m.event, m.application, m.whom, m.currency, m.tariff, sum(m.count), sum(m.amount), sum(m.fee),
                  max(m.label), coalesce(b.count, 0), coalesce(b.amount, 0), coalesce(b.fee, 0)
           FROM metered m
           LEFT JOIN billed b ON b.tenant = m.tenant AND b.month = m.month AND b.kind = m.kind AND b.event = m.event
             AND b.application = m.application AND b.whom = m.whom AND b.currency = m.currency AND b.tariff = m.tariff
           WHERE m.tenant = ? AND m.month = ?
             AND (m.kind, m.event, m.application, m.whom, m.currency, m.tariff) > (?, ?, ?, ?, ?, ?)
           GROUP BY m.kind, m.event, m.application, m.whom, m.currency, m.tariff
           ORDER BY m.kind, m.event, m.application, m.whom, m.currency, m.tariff LIMIT ?""",
        (tenant, month, *after, limit),
    ).fetchall()


def read_days(
    connection: sqlite3.Connection, tenant: int, month: str, after: tuple[str, str, str, str, str, int, str], limit: int
) -> list[tuple[Any, ...]]:
    """(kind, event, application, whom, currency, tariff, day, count, fee) of a tenant's month, after the row of these
    first seven, in their order."""
    return connection.execute(
        """SELECT kind, event, application, whom, currency, tariff, day, count, fee FROM metered
           WHERE tenant = ? AND month = ? AND (kind, event, application, whom, currency, tariff, day)
             > (?, ?, ?, ?, ?, ?, ?)
           ORDER BY kind, event, application, whom, currency, tariff, day LIMIT ?""",
        (tenant, month, *after, limit),
    ).fetchall()
