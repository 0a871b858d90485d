"""Sessions: on the server, short, bound to the passkey that opened them, ended at once when they must.

The cookie holds 256 random bits and nothing else; the database knows its SHA-256 only. A sign-in makes a new id always.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from mgmt_service.storage import Storage

COOKIE = "__Host-cinnabar"
VISIT_COOKIE = "__Host-cinnabar-visit"
"""Of a visitor who is about to sign in or to enrol; says nothing of who it is."""
KNOWN_COOKIE = "__Host-cinnabar-known"
"""Of a browser that somebody has signed in with before; gives nothing but a rate of its own."""
KNOWN_SECONDS = 400 * 86_400
IDLE_SECONDS = 15 * 60
LONGEST_SECONDS = 8 * 3600
PROOF_SECONDS = 5 * 60
"""How long a shown passkey is good for sensitive acts."""
CHALLENGE_SECONDS = 5 * 60
_TOUCH_SECONDS = 20


@dataclass(frozen=True)
class Session:
    """One browser of one person, signed in."""

    key: bytes
    """SHA-256 of the cookie."""
    person: str
    passkey: str
    csrf: str
    made: int
    seen: int
    proved: int

    def proven(self, now: float) -> bool:
        """Whether the passkey was shown lately."""
        return now - self.proved < PROOF_SECONDS

    def ends(self) -> int:
        """When it ends if nothing more is asked, seconds since the epoch."""
        return min(self.seen + IDLE_SECONDS, self.made + LONGEST_SECONDS)


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()


class Sessions:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def open(self, person: str, passkey: str, replaces: bytes | None = None) -> str:
        """A new session; returns its cookie. The one that it replaces ends."""
        cookie, now = secrets.token_urlsafe(32), int(time.time())
        with self._storage.transaction() as database:
            database.execute(
                "DELETE FROM sessions WHERE id = ? OR made < ? OR seen < ?",
                (replaces, now - LONGEST_SECONDS, now - IDLE_SECONDS),
            )
            database.execute(
                "INSERT INTO sessions (id, person, passkey, csrf, made, seen, proved) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_hash(cookie), person, passkey, secrets.token_urlsafe(32), now, now, now),
            )
        return cookie

    def find(self, cookie: str, *, touch: bool) -> Session | None:
        """The living session of a cookie. `touch`: the person did something, so its idle time begins anew."""
        row = self._storage.one("SELECT * FROM sessions WHERE id = ?", _hash(cookie))
        if row is None:
            return None
        session = Session(
            row["id"], row["person"], row["passkey"], row["csrf"], row["made"], row["seen"], row["proved"]
        )
        now = int(time.time())
        if now >= session.ends():
            self.end(session.key)
            return None
        if touch and now - session.seen > _TOUCH_SECONDS:
            with self._storage.transaction() as database:
                database.execute("UPDATE sessions SET seen = ? WHERE id = ?", (now, session.key))
        return session

    def end(self, key: bytes) -> None:
        with self._storage.transaction() as database:
            database.execute("DELETE FROM sessions WHERE id = ?", (key,))

    def end_all(self, person: str) -> None:
        """Sign a person out everywhere."""
        with self._storage.transaction() as database:
            database.execute("DELETE FROM sessions WHERE person = ?", (person,))

    def count(self, person: str) -> int:
        row = self._storage.one("SELECT count(*) AS found FROM sessions WHERE person = ?", person)
        return int(row["found"]) if row else 0

    # Browsers that are known

    def remember(self) -> str:
        """A cookie for a browser that somebody has just signed in with."""
        cookie, now = secrets.token_urlsafe(32), int(time.time())
        with self._storage.transaction() as database:
            database.execute("DELETE FROM browsers WHERE seen < ?", (now - KNOWN_SECONDS,))
            database.execute("INSERT INTO browsers VALUES (?, ?)", (_hash(cookie), now))
        return cookie

    def remembers(self, cookie: str | None) -> bool:
        """Whether a browser is known by its cookie."""
        return (
            bool(cookie) and self._storage.one("SELECT 1 FROM browsers WHERE id = ?", _hash(cookie or "")) is not None
        )

    # Challenges of visitors

    def ask(self, visit: str | None) -> tuple[str, bytes]:
        """(visit cookie, a fresh challenge for it). A new cookie each time: none that was set before is taken over."""
        cookie, challenge, now = secrets.token_urlsafe(32), secrets.token_bytes(32), int(time.time())
        with self._storage.transaction() as database:
            database.execute(
                "DELETE FROM challenges WHERE expires < ? OR id = ?", (now, _hash(visit) if visit else b"")
            )
            database.execute(
                "INSERT INTO challenges VALUES (?, ?, ?)", (_hash(cookie), challenge, now + CHALLENGE_SECONDS)
            )
        return cookie, challenge

    def asked(self, visit: str | None) -> bytes | None:
        """The challenge of a visit, which is used up by this."""
        if visit is None:
            return None
        with self._storage.transaction() as database:
            row = database.execute(
                "DELETE FROM challenges WHERE id = ? RETURNING challenge, expires", (_hash(visit),)
            ).fetchone()
        if row is None or row["expires"] < time.time():
            return None
        challenge: bytes = row["challenge"]
        return challenge
