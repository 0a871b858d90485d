"""What tenants may use and have used: key states, daily quotas, and what was counted. SQL only; the rules are the
recorder's (appliance.recorder.limits).

`usage` has one row a tenant, day (UTC, days since the epoch) and key: signatures, stamps among them, and bytes stored.
A transaction adds to a row or two; the totals of a key and of a day are sums over them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from appliance.store.rows import pack, unpack_strings

KeyRow = tuple[int, str, str, str, int | None, int | None, list[str], int | None, int]
"""(tenant number, tenant, key, state, until, limit, applications, since, changed)."""

_KEYS = """SELECT s.tenant, t.name, s.key, s.state, s.until, s.most, s.applications, s.since, s.changed
           FROM key_states s JOIN tenants t ON t.number = s.tenant"""


def read_key_states(connection: sqlite3.Connection) -> list[KeyRow]:
    """Every key that something is said about."""
    return [_key_row(row) for row in connection.execute(f"{_KEYS} ORDER BY t.name, s.key")]


def read_key_state(connection: sqlite3.Connection, tenant: int, key: str) -> KeyRow | None:
    row = connection.execute(f"{_KEYS} WHERE s.tenant = ? AND s.key = ?", (tenant, key)).fetchone()
    return None if row is None else _key_row(row)


def _key_row(row: tuple[int, str, str, str, int | None, int | None, bytes, int | None, int]) -> KeyRow:
    return (*row[:6], unpack_strings(row[6]), *row[7:])


def write_key_state(
    connection: sqlite3.Connection,
    tenant: int,
    key: str,
    state: str,
    until: int | None,
    limit: int | None,
    applications: list[str],
    since: int | None,
    changed: int,
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO key_states VALUES (?,?,?,?,?,?,?,?)",
        (tenant, key, state, until, limit, pack(applications), since, changed),
    )


def read_quotas(connection: sqlite3.Connection) -> dict[int, tuple[int | None, int | None, int | None]]:
    """(signatures, stamps, bytes) a day by tenant number; None: no limit."""
    found = connection.execute("SELECT tenant, signatures, stamps, bytes FROM quotas")
    return {row[0]: row[1:] for row in found}


def write_quota(
    connection: sqlite3.Connection, tenant: int, signatures: int | None, stamps: int | None, size: int | None
) -> None:
    connection.execute("INSERT OR REPLACE INTO quotas VALUES (?,?,?,?)", (tenant, signatures, stamps, size))


def add_usage(connection: sqlite3.Connection, day: int, rows: Iterable[tuple[int, str, int, int, int]]) -> None:
    """Add (tenant, key, signatures, stamps, bytes) to what was counted on a day."""
    connection.executemany(
        """INSERT INTO usage VALUES (?,?,?,?,?,?) ON CONFLICT (tenant, day, key) DO UPDATE SET
            signatures = signatures + excluded.signatures, stamps = stamps + excluded.stamps,
            bytes = bytes + excluded.bytes""",
        [(tenant, day, *rest) for tenant, *rest in rows],
    )


def last_day(connection: sqlite3.Connection) -> int:
    """The newest day that anything was counted on, 0 without one."""
    return int(connection.execute("SELECT coalesce(max(day), 0) FROM usage").fetchone()[0])


def read_day(connection: sqlite3.Connection, day: int) -> dict[int, tuple[int, int, int]]:
    """(signatures, stamps, bytes) of a day by tenant number."""
    found = connection.execute(
        "SELECT tenant, sum(signatures), sum(stamps), sum(bytes) FROM usage WHERE day = ? GROUP BY tenant", (day,)
    )
    return {row[0]: row[1:] for row in found}


def read_key_totals(connection: sqlite3.Connection) -> dict[tuple[int, str], int]:
    """Signatures by (tenant number, key), over all days."""
    found = connection.execute("SELECT tenant, key, sum(signatures) FROM usage GROUP BY tenant, key")
    return {(tenant, key): count for tenant, key, count in found}


def read_flag(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM flags WHERE name = ?", (name,)).fetchone() is not None


def set_flag(connection: sqlite3.Connection, name: str, now_us: int) -> None:
    connection.execute("INSERT OR IGNORE INTO flags VALUES (?,?)", (name, now_us))


def read_certificate_states(connection: sqlite3.Connection) -> list[tuple[bytes, int, str, str]]:
    """(digest, time in microseconds, state, reason) of every certificate that is held or revoked: `revoked` or `held`.

    Those of applications stand in the register, where suspending one holds it; others, and reasons, beside it."""
    return connection.execute(
        """SELECT digest, changed, CASE state WHEN 'revoked' THEN 'revoked' ELSE 'held' END,
                  coalesce((SELECT reason FROM revocations r WHERE r.digest = c.digest), '')
           FROM certificates c WHERE state IN ('revoked', 'suspended')
           UNION ALL
           SELECT digest, changed, state, reason FROM revocations
           WHERE state <> 'released' AND digest NOT IN (SELECT digest FROM certificates)
           ORDER BY 1"""
    ).fetchall()


def read_revocation(connection: sqlite3.Connection, digest: bytes) -> tuple[int, str, str] | None:
    """(tenant number, state, reason)."""
    row: tuple[int, str, str] | None = connection.execute(
        "SELECT tenant, state, reason FROM revocations WHERE digest = ?", (digest,)
    ).fetchone()
    return row


def write_revocation(
    connection: sqlite3.Connection, digest: bytes, tenant: int, state: str, reason: str, now_us: int
) -> None:
    connection.execute("INSERT OR REPLACE INTO revocations VALUES (?,?,?,?,?)", (digest, tenant, state, reason, now_us))
