"""How often strangers may try. Buckets that leak, by address and by (address, passkey): never by passkey alone, so that
nobody can lock an officer out by failing in her name. Whoever is signed in is not counted here at all."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mgmt_service.problems import TooMany
from mgmt_service.storage import Storage


@dataclass(frozen=True)
class Rate:
    """So many at once, and then so many a minute."""

    name: str
    burst: float
    a_minute: float


ADDRESS = Rate("address", burst=60, a_minute=60)
PASSKEY = Rate("passkey", burst=10, a_minute=10)
LINK = Rate("link", burst=20, a_minute=10)


class Rates:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def take(self, rate: Rate, key: str) -> None:
        """Count one attempt. Raises TooMany."""
        name, now = f"{rate.name} {key[:200]}", time.time()
        with self._storage.transaction() as database:
            row = database.execute("SELECT level, at FROM buckets WHERE key = ?", (name,)).fetchone()
            level = max(0.0, row["level"] - (now - row["at"]) * rate.a_minute / 60) if row else 0.0
            if level + 1 > rate.burst:
                raise TooMany("wait a minute and try again; nobody is locked out")
            database.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (name, level + 1, now))
            database.execute("DELETE FROM buckets WHERE at < ?", (now - 3600,))
