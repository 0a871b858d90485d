"""Those who may become officers: a one-time link gives a candidate, a one-time code from the console confirms her.

Neither the link nor the code carries authority: what a candidate's credential may do is decided by a constitution that
names it. The code shows that whoever made the credential stands in touch with the person who read its words aloud.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from appliance.ceremonies import digest_words
from appliance.ceremonies.canonical import Name, Text
from appliance.ceremonies.constitution import Credential, key_digest
from appliance.errors import Conflict, NotFound
from appliance.keymaster.errors import CodeRefused, TooManyProposals
from appliance.keymaster.journal import Journal

INVITATION_S = 7 * 24 * 3600
INVITATION_BYTES = 16
CODE_DIGITS = 8
CODE_S = 600
CODE_KEY_BYTES = 32
"""A code has 27 bits: whoever reads the journal could try them all, but for this key, which is in memory only. So a
code ends with the life of the process that showed it."""
ATTEMPTS = 5
MOST = 200
"""Open invitations and candidates that are not confirmed, together."""
MOST_OF_ONE = 4
"""Of them, those of one person: whoever signs in invites herself, and must not take the room of all."""
KEPT_FOR_CONSOLE = 20
"""Of MOST, the room that only the console fills."""


@dataclass(frozen=True)
class Invitation:
    """`person`: the id that the person is to have in the constitution."""

    person: str
    name: str
    expires: int
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Candidate:
    """`id`: random; `fingerprint`: SHA-256 of the public key (a passkey's COSE key, a card's certificate)."""

    id: str
    person: str
    name: str
    credential: Credential
    fingerprint: str
    state: str
    """waiting, confirmed."""
    registered: int

    @property
    def words(self) -> str:
        """The 24 words that the candidate's own page shows too."""
        return digest_words(self.fingerprint)


class _Named(msgspec.Struct, frozen=True):
    person: Name
    name: Text
    console: bool = False
    """Of an invitation: whether the console made it."""


class Candidates:
    """Invitations and candidates, in the journal."""

    def __init__(self, journal: Journal, clock_s: Callable[[], float] = time.time) -> None:
        self._journal = journal
        self._clock_s = clock_s
        self._code_key = secrets.token_bytes(CODE_KEY_BYTES)

    # Invitations

    def invite(self, person: str, name: str, *, console: bool = False) -> str:
        """A one-time code for an enrolment link, 32 hexadecimal digits. Raises TooManyProposals, msgspec errors.

        Each person has one open link: a new one ends the one before. `console`: the person at the console asks; such a
        link is ended by the console only, and one from elsewhere may stand beside it."""
        named = msgspec.convert({"person": person, "name": name, "console": console}, _Named)
        now = int(self._clock_s())
        code = secrets.token_hex(INVITATION_BYTES)
        with self._journal.transaction() as connection:
            connection.execute("DELETE FROM invitations WHERE used IS NULL AND expires < ?", (now,))
            connection.execute(
                """DELETE FROM invitations WHERE used IS NULL AND json_extract(name, '$.person') = ?
                   AND (? OR NOT coalesce(json_extract(name, '$.console'), 0))""",
                (person, console),
            )
            most, of_one = (MOST, MOST) if console else (MOST - KEPT_FOR_CONSOLE, MOST_OF_ONE)
            if _full(connection, person, most, of_one):
                # Whoever had her words compared was confirmed at once: what has waited for so long is given up.
                connection.execute(
                    "DELETE FROM candidates WHERE state = 'waiting' AND registered < ?", (now - INVITATION_S,)
                )
                why = _full(connection, person, most, of_one)
                if why:
                    raise TooManyProposals(why)
            connection.execute(
                "INSERT INTO invitations (code, name, made, expires) VALUES (?,?,?,?)",
                (_hidden(code), msgspec.json.encode(named).decode(), now, now + INVITATION_S),
            )
        return code

    def invitation(self, code: str) -> Invitation:
        """Whom an unused code invites. Raises CodeRefused."""
        row = self._journal.connection.execute(
            "SELECT name, expires FROM invitations WHERE code = ? AND used IS NULL", (_hidden(code),)
        ).fetchone()
        if row is None or row[1] < self._clock_s():
            raise CodeRefused("the link was used, is too old, or never was")
        named = msgspec.json.decode(row[0], type=_Named)
        return Invitation(named.person, named.name, row[1])

    # Candidates

    def register(self, code: str, credential: Credential) -> Candidate:
        """The credential that an invited person made; the code is used up. Raises CodeRefused, Conflict."""
        invited = self.invitation(code)
        now = int(self._clock_s())
        fingerprint = hashlib.sha256(base64.b64decode(credential.public_key)).hexdigest()
        identifier = secrets.token_hex(8)
        with self._journal.transaction() as connection:
            key = key_digest(credential)  # however it is encoded, or certified
            if any(one.credential.id == credential.id or key_digest(one.credential) == key for one in self.all()):
                raise Conflict("that credential is a candidate's already")
            connection.execute("UPDATE invitations SET used = ? WHERE code = ?", (now, _hidden(code)))
            connection.execute(
                """INSERT INTO candidates (id, name, credential, fingerprint, state, registered)
                   VALUES (?,?,?,?,'waiting',?)""",
                (
                    identifier,
                    msgspec.json.encode(_Named(invited.person, invited.name)).decode(),
                    msgspec.json.encode(credential),
                    fingerprint,
                    now,
                ),
            )
        return self.find(identifier)

    def all(self) -> list[Candidate]:
        rows = self._journal.connection.execute(
            "SELECT id, name, credential, fingerprint, state, registered FROM candidates ORDER BY registered, id"
        )
        return [_candidate(row) for row in rows]

    def find(self, identifier: str) -> Candidate:
        """Raises NotFound."""
        row = self._journal.connection.execute(
            "SELECT id, name, credential, fingerprint, state, registered FROM candidates WHERE id = ?", (identifier,)
        ).fetchone()
        if row is None:
            raise NotFound("there is no such candidate")
        return _candidate(row)

    def discard(self, identifier: str) -> None:
        """Raises NotFound."""
        self.find(identifier)
        with self._journal.transaction() as connection:
            connection.execute("DELETE FROM candidates WHERE id = ?", (identifier,))

    def show_code(self, identifier: str) -> str:
        """A new one-time code for a candidate whose words the person at the console has compared. Raises NotFound."""
        self.find(identifier)
        code = "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE candidates SET code = ?, code_ends = ?, attempts = 0 WHERE id = ?",
                (self._keyed(code, identifier), int(self._clock_s()) + CODE_S, identifier),
            )
        return code

    def confirm(self, identifier: str, code: str) -> Candidate:
        """The candidate typed the code from the console. Raises NotFound, CodeRefused."""
        self.find(identifier)
        # The attempt is on disk before the code is compared, so that a crash gives no further one.
        with self._journal.transaction() as connection:
            changed = connection.execute(
                """UPDATE candidates SET attempts = attempts + 1
                   WHERE id = ? AND code IS NOT NULL AND attempts < ? AND code_ends > ?""",
                (identifier, ATTEMPTS, int(self._clock_s())),
            )
            allowed = changed.rowcount == 1
            row = connection.execute("SELECT code FROM candidates WHERE id = ?", (identifier,)).fetchone()
        expected = row[0] if allowed else bytes(32)
        if not hmac.compare_digest(expected, self._keyed(code.replace(" ", ""), identifier)) or not allowed:
            raise CodeRefused("the code is wrong, was tried too often, or is too old")
        with self._journal.transaction() as connection:
            connection.execute("UPDATE candidates SET state = 'confirmed', code = NULL WHERE id = ?", (identifier,))
        return self.find(identifier)

    def _keyed(self, code: str, identifier: str) -> bytes:
        """What is kept of a code from the console."""
        return hmac.digest(self._code_key, b"cinnabar console code\0" + (code + identifier).encode(), "sha256")

    def confirmed(self) -> list[Candidate]:
        return [one for one in self.all() if one.state == "confirmed"]

    def is_confirmed(self, person: str, credential: Credential) -> bool:
        """Whether exactly this credential was confirmed for exactly this person."""
        return any(one.person == person and one.credential == credential for one in self.confirmed())


def _full(connection: sqlite3.Connection, person: str, most: int, of_one: int) -> str:
    """Why there is no room for another invitation; empty where there is."""
    waiting, own = connection.execute(
        """SELECT count(*), coalesce(sum(json_extract(name, '$.person') = ?), 0) FROM (
               SELECT name FROM invitations WHERE used IS NULL
               UNION ALL SELECT name FROM candidates WHERE state = 'waiting')""",
        (person,),
    ).fetchone()
    if own >= of_one:
        return "too many passkeys of this person wait for the console"
    return "too many invitations are open, or candidates wait for the console" if waiting >= most else ""


def _candidate(row: tuple[str, str, bytes, str, str, int]) -> Candidate:
    named = msgspec.json.decode(row[1], type=_Named)
    credential = msgspec.json.decode(row[2], type=Credential)
    return Candidate(row[0], named.person, named.name, credential, row[3], row[4], row[5])


def _hidden(code: str) -> bytes:
    """What is kept of a link's code, which has 128 random bits: nobody finds it from this."""
    return hashlib.sha256(b"cinnabar one-time code\0" + code.encode()).digest()
