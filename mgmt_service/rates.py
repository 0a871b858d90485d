"""How often strangers may try: buckets that leak. Never by passkey, so that nobody locks an officer out by failing in
her name; and a browser that an officer has signed in with has a bucket of its own, so that nobody does it by sharing
her address (OWASP: device cookies). A passkey cannot be guessed: what is guarded here is the box's time."""

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


ADDRESS = Rate("address", burst=120, a_minute=120)
KNOWN = Rate("known", burst=30, a_minute=30)
LINK = Rate("link", burst=60, a_minute=30)
VERIFY = Rate("verify", burst=10, a_minute=6)
"""Of one person: the document workers are the applications' too."""


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
