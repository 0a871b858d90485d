"""Who the service knows: people with sign-in passkeys, one-time links to make one, and readers.

Officers are who the constitution says (mgmt_service.roles); here stands only how a browser shows that it is theirs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from appliance.errors import Conflict, NotFound
from mgmt_service.problems import LinkRefused
from mgmt_service.storage import Storage

LINK_SECONDS = 72 * 3600
"""Life of a one-time link."""
VISITS_KEPT = 100_000


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    seated: bool


@dataclass(frozen=True)
class Reader:
    """Who may read a scope and do nothing."""

    person: str
    name: str
    role: str
    scope: str
    named_by: str
    made: int


@dataclass(frozen=True)
class Visit:
    """One event of somebody's coming in or going out."""

    time: int
    person: str
    name: str
    event: str
    address: str
    passkey: str
    """The label that its owner gave it."""


@dataclass(frozen=True)
class Passkey:
    id: str
    person: str
    label: str
    public_key: bytes
    sign_count: int
    made: int
    used: int | None


class Reach(msgspec.Struct, frozen=True):
    """In which scopes a passkey shows what its person may see: whoever made the link for it may hold it herself."""

    scopes: frozenset[str] | None = None
    """These alone; None: all, those too that are still to be made."""
    without: frozenset[str] = frozenset()

    def shows(self, scope: str) -> bool:
        return scope not in self.without and (self.scopes is None or scope in self.scopes)

    def covers(self, other: Reach) -> bool:
        """Whether it shows all that the other one shows."""
        if other.scopes is None:
            return self.scopes is None and self.without <= other.without
        return all(self.shows(scope) for scope in other.scopes - other.without)


EVERYWHERE = Reach()


class People:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def person(self, identifier: str) -> Person | None:
        row = self._storage.one("SELECT id, name, seated FROM people WHERE id = ?", identifier)
        return Person(row["id"], row["name"], bool(row["seated"])) if row else None

    def invite(
        self,
        identifier: str,
        name: str,
        scopes: Collection[str] = (),
        *,
        reach: Reach = EVERYWHERE,
        seconds: int = LINK_SECONDS,
    ) -> str:
        """A code for a one-time link by which this person makes a sign-in passkey. It gives no authority.

        `scopes`: for which she is invited. `reach`: of the passkey. Links of the same person made before stop
        working."""
        code, now = secrets.token_urlsafe(32), int(time.time())
        hidden = hashlib.sha256(code.encode()).digest()
        with self._storage.transaction() as database:
            database.execute("INSERT INTO people (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (identifier, name))
            database.execute("DELETE FROM links WHERE person = ?", (identifier,))
            database.execute(
                "INSERT INTO links (code, person, made, expires) VALUES (?, ?, ?, ?)",
                (hidden, identifier, now, now + seconds),
            )
            if reach != EVERYWHERE:
                database.execute("INSERT INTO link_reach VALUES (?, ?)", (hidden, msgspec.json.encode(reach).decode()))
            database.executemany(
                "INSERT INTO invited (person, scope, made) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(identifier, scope, now) for scope in sorted(scopes)],
            )
        return code

    def invited_for(self, person: str) -> frozenset[str]:
        """The scopes that a person was invited for."""
        rows = self._storage.all("SELECT scope FROM invited WHERE person = ?", person)
        return frozenset(row["scope"] for row in rows)

    def invited(self, code: str) -> Person:
        """Whom an unused link is for. Raises LinkRefused."""
        row = self._storage.one(
            "SELECT people.id, name, seated FROM links JOIN people ON people.id = links.person"
            " WHERE code = ? AND used IS NULL AND expires > ?",
            hashlib.sha256(code.encode()).digest(),
            int(time.time()),
        )
        if row is None:
            raise LinkRefused("the link is unknown, was used, or is too old: ask whoever sent it for a new one")
        return Person(row["id"], row["name"], bool(row["seated"]))

    def enrol(self, code: str, passkey: str, public_key: bytes, sign_count: int, label: str) -> Person:
        """Keep the passkey made by a link, and use the link up. Raises LinkRefused, Conflict."""
        person = self.invited(code)
        now = int(time.time())
        with self._storage.transaction() as database:
            used = database.execute(
                "UPDATE links SET used = ? WHERE code = ? AND used IS NULL",
                (now, hashlib.sha256(code.encode()).digest()),
            )
            if used.rowcount != 1:
                raise LinkRefused("the link was used")
            self._keep(database, passkey, person.id, public_key, sign_count, label, now)
            database.execute(
                "INSERT INTO passkey_reach SELECT ?, reach FROM link_reach WHERE code = ?",
                (passkey, hashlib.sha256(code.encode()).digest()),
            )
        return person

    def add_passkey(
        self, person: str, passkey: str, public_key: bytes, sign_count: int, label: str, *, by: str
    ) -> None:
        """A further passkey of a person who is signed in, good where the one is that she is signed in by. Raises
        Conflict."""
        with self._storage.transaction() as database:
            self._keep(database, passkey, person, public_key, sign_count, label, int(time.time()))
            database.execute(
                "INSERT INTO passkey_reach SELECT ?, reach FROM passkey_reach WHERE passkey = ?", (passkey, by)
            )

    def reach(self, passkey: str) -> Reach:
        """Where a passkey shows what its person may see."""
        row = self._storage.one("SELECT reach FROM passkey_reach WHERE passkey = ?", passkey)
        return EVERYWHERE if row is None else msgspec.json.decode(row["reach"], type=Reach)

    @staticmethod
    def _keep(database, passkey, person, public_key, sign_count, label, now) -> None:  # type: ignore[no-untyped-def]
        if database.execute("SELECT 1 FROM passkeys WHERE id = ?", (passkey,)).fetchone():
            raise Conflict("this passkey is known already")
        database.execute(
            "INSERT INTO passkeys (id, person, label, public_key, sign_count, made) VALUES (?, ?, ?, ?, ?, ?)",
            (passkey, person, label, public_key, sign_count, now),
        )

    def passkey(self, identifier: str) -> Passkey | None:
        row = self._storage.one("SELECT * FROM passkeys WHERE id = ?", identifier)
        return Passkey(**dict(row)) if row else None

    def passkeys(self, person: str) -> list[Passkey]:
        rows = self._storage.all("SELECT * FROM passkeys WHERE person = ? ORDER BY made", person)
        return [Passkey(**dict(row)) for row in rows]

    def used_passkey(self, identifier: str, sign_count: int) -> None:
        with self._storage.transaction() as database:
            database.execute(
                "UPDATE passkeys SET sign_count = ?, used = ? WHERE id = ?", (sign_count, int(time.time()), identifier)
            )

    def remove_passkey(self, person: str, identifier: str, *, by: str) -> None:
        """Take a passkey away, and the sessions that it opened. Raises NotFound, Conflict for the last one, and for one
        that is good for more than the one that she is signed in by."""
        if not self.reach(by).covers(self.reach(identifier)) and self._owns(person, identifier):
            raise Conflict("this passkey is good for more than the one that you signed in with: sign in with it")
        with self._storage.transaction() as database:
            left = database.execute("SELECT count(*) FROM passkeys WHERE person = ?", (person,)).fetchone()[0]
            if not database.execute(
                "SELECT 1 FROM passkeys WHERE person = ? AND id = ?", (person, identifier)
            ).fetchone():
                raise NotFound("there is no such passkey")
            if left == 1:
                raise Conflict("the last passkey stays: without it you could not sign in; add another one first")
            database.execute("DELETE FROM passkeys WHERE person = ? AND id = ?", (person, identifier))

    def _owns(self, person: str, identifier: str) -> bool:
        return self._storage.one("SELECT 1 FROM passkeys WHERE person = ? AND id = ?", person, identifier) is not None

    def note(self, person: str, event: str, address: str, passkey: str = "") -> None:
        """Keep that this person came in, went out or was refused; the oldest events go."""
        with self._storage.transaction() as database:
            row = database.execute(
                "INSERT INTO visits (time, person, event, address, passkey) VALUES (?, ?, ?, ?, ?)",
                (int(time.time()), person, event, address, passkey),
            )
            database.execute("DELETE FROM visits WHERE number <= ?", ((row.lastrowid or 0) - VISITS_KEPT,))

    def visits(self, people: Collection[str], limit: int) -> list[Visit]:
        """The newest events of these people."""
        rows = self._storage.all(
            "SELECT visits.*, people.name FROM visits JOIN people ON people.id = visits.person"
            " WHERE person IN (SELECT value FROM json_each(?)) ORDER BY number DESC LIMIT ?",
            json.dumps(sorted(people)),
            limit,
        )
        return [Visit(r["time"], r["person"], r["name"], r["event"], r["address"], r["passkey"]) for r in rows]

    def seat(self, person: str) -> None:
        """Remember that this person had a role."""
        with self._storage.transaction() as database:
            database.execute("UPDATE people SET seated = 1 WHERE id = ?", (person,))

    def readers(self, person: str | None = None) -> list[Reader]:
        rows = self._storage.all(
            "SELECT readers.*, people.name FROM readers JOIN people ON people.id = readers.person"
            " WHERE ?1 IS NULL OR person = ?1 ORDER BY scope, role, person",
            person,
        )
        return [Reader(r["person"], r["name"], r["role"], r["scope"], r["named_by"], r["made"]) for r in rows]

    def name_reader(self, person: str, name: str, role: str, scope: str, named_by: str) -> None:
        """Let a person read a scope. Raises Conflict where she does already."""
        with self._storage.transaction() as database:
            database.execute("INSERT INTO people (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (person, name))
            row = database.execute(
                "INSERT INTO readers VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (person, role, scope, named_by, int(time.time())),
            )
            if row.rowcount != 1:
                raise Conflict("this person reads this scope already")

    def dismiss_reader(self, person: str, role: str, scope: str) -> None:
        """End a reader's reading, at once. Raises NotFound."""
        with self._storage.transaction() as database:
            row = database.execute(
                "DELETE FROM readers WHERE person = ? AND role = ? AND scope = ?", (person, role, scope)
            )
            if row.rowcount != 1:
                raise NotFound("there is no such reader")
