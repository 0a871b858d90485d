"""Letters as the recorder keeps them: heads, balances, events, claims and tallies. SQL only; the rules are the
recorder's (appliance.recorder.letters).

A letter has a number, its place in the order of arrival over all tenants, so that new letters are added at the end of
their table; so have events. They are names inside the database only: told outside, they would tell every tenant the
others' volume (control CHANNEL). What stands under random keys are the index of letters by id and the claims;
docs/recorder.md says what that costs as they grow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

ANCHORS = 64
"""Every so many events a letter's chain of events has one from which the chain can be followed in such strides."""


class Standing(NamedTuple):
    """What the rules need of a letter."""

    number: int
    head: bytes
    events: int
    balance: int
    shelf: int
    latest: int
    """Sequence of its newest event."""
    anchor: int
    """Of its newest event whose number is a multiple of ANCHORS; 0 without one."""


class LetterRow(NamedTuple):
    """A letter as it is shown."""

    letter: bytes
    head: bytes
    events: int
    kind: str
    state: str
    balance: int
    changed: int
    view: bytes


class ClaimRow(NamedTuple):
    """What is used of something, of how much, and by which letter's number if by one alone, else 0."""

    used: int
    capacity: int
    holder: int


# What the writer needs


def last_number(connection: sqlite3.Connection) -> int:
    """The highest letter's number so far."""
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM letters").fetchone()[0])


def last_event(connection: sqlite3.Connection) -> int:
    """The highest event's sequence so far."""
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM letter_events").fetchone()[0])


def shelves(connection: sqlite3.Connection) -> dict[tuple[int, str, str], int]:
    """Numbers of shelves by (tenant, kind, state)."""
    return {tuple(row[1:]): row[0] for row in connection.execute("SELECT number, tenant, kind, state FROM shelves")}


def federations(connection: sqlite3.Connection) -> dict[str, int]:
    """Numbers of federations by name."""
    return {name: number for number, name in connection.execute("SELECT number, name FROM federations")}


def find_federation(connection: sqlite3.Connection, name: str) -> int | None:
    """The scope of a federation's claims: its number, below zero."""
    row = connection.execute("SELECT -number FROM federations WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def find_letter(connection: sqlite3.Connection, tenant: int, letter: bytes) -> Standing | None:
    row = connection.execute(
        "SELECT number, head, events, balance, shelf, latest, anchor FROM letters WHERE tenant = ? AND letter = ?",
        (tenant, letter),
    ).fetchone()
    return None if row is None else Standing(*row)


def is_begun(connection: sqlite3.Connection, letter: bytes) -> bool:
    """Whether any tenant has a letter of this id."""
    return connection.execute("SELECT 1 FROM letters WHERE letter = ?", (letter,)).fetchone() is not None


def find_claim(connection: sqlite3.Connection, scope: int, key: bytes) -> ClaimRow | None:
    row = connection.execute(
        "SELECT used, capacity, holder FROM claims WHERE scope = ? AND key = ?", (scope, key)
    ).fetchone()
    return None if row is None else ClaimRow(*row)


def is_claimed(connection: sqlite3.Connection, scope: int) -> bool:
    """Whether anything is used in a scope."""
    return connection.execute("SELECT 1 FROM claims WHERE scope = ? LIMIT 1", (scope,)).fetchone() is not None


def find_use(connection: sqlite3.Connection, scope: int, key: bytes, letter: int) -> int:
    """How much a letter uses of something that several use."""
    row = connection.execute(
        "SELECT used FROM claim_uses WHERE scope = ? AND key = ? AND letter = ?", (scope, key, letter)
    ).fetchone()
    return 0 if row is None else int(row[0])


def find_tally(connection: sqlite3.Connection, tenant: int, name: str) -> int:
    row = connection.execute("SELECT amount FROM tallies WHERE tenant = ? AND name = ?", (tenant, name)).fetchone()
    return 0 if row is None else int(row[0])


def find_tally_label(connection: sqlite3.Connection, tenant: int, name: str) -> bytes:
    row = connection.execute("SELECT label FROM tallies WHERE tenant = ? AND name = ?", (tenant, name)).fetchone()
    return b"" if row is None else bytes(row[0])


def add_shelves(connection: sqlite3.Connection, added: Iterable[tuple[int, int, str, str]]) -> None:
    """Add empty shelves: (number, tenant, kind, state)."""
    connection.executemany("INSERT INTO shelves VALUES (?,?,?,?,0)", added)


def count_shelves(connection: sqlite3.Connection, changes: Iterable[tuple[int, int]]) -> None:
    """Add (change, shelf) to how many letters stand on shelves."""
    connection.executemany("UPDATE shelves SET count = count + ? WHERE number = ?", changes)


def add_federations(connection: sqlite3.Connection, added: Iterable[tuple[int, str]]) -> None:
    connection.executemany("INSERT INTO federations VALUES (?,?)", added)


def add_letters(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add letters: (number, tenant, letter, shelf, events, balance, changed, latest, anchor, head, view, due,
    automatic)."""
    connection.executemany("INSERT INTO letters VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)


def move_letters(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Letters go on, on the shelf where they are: (events, balance, changed, latest, anchor, head, view, due,
    automatic, number)."""
    connection.executemany(
        """UPDATE letters SET events = ?, balance = ?, changed = ?, latest = ?, anchor = ?, head = ?, view = ?,
                  due = ?, automatic = ?
           WHERE number = ?""",
        rows,
    )


def shelve_letters(connection: sqlite3.Connection, rows: Iterable[tuple[int, int]]) -> None:
    """Letters come to another shelf: (shelf, number). Apart from `move_letters`, since it changes an index."""
    connection.executemany("UPDATE letters SET shelf = ? WHERE number = ?", rows)


def add_events(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, int, int, int, bytes]]) -> None:
    """Add events: (sequence, letter's number, event's number, previous, anchor, record id)."""
    connection.executemany("INSERT INTO letter_events VALUES (?,?,?,?,?,?)", rows)


def write_claims(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int, int, int]]) -> None:
    """Write (scope, key, used, capacity, holder)."""
    connection.executemany("INSERT OR REPLACE INTO claims VALUES (?,?,?,?,?)", rows)


def drop_claims(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes]]) -> None:
    """Forget (scope, key): all of it was given back."""
    connection.executemany("DELETE FROM claims WHERE scope = ? AND key = ?", rows)


def write_uses(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int, int]]) -> None:
    """Write (scope, key, letter's number, used)."""
    connection.executemany("INSERT OR REPLACE INTO claim_uses VALUES (?,?,?,?)", rows)


def drop_uses(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int]]) -> None:
    connection.executemany("DELETE FROM claim_uses WHERE scope = ? AND key = ? AND letter = ?", rows)


def write_tallies(connection: sqlite3.Connection, rows: Iterable[tuple[int, str, int, bytes]]) -> None:
    """Write (tenant, name, amount, label); the first label stays."""
    connection.executemany(
        "INSERT INTO tallies VALUES (?,?,?,?) ON CONFLICT (tenant, name) DO UPDATE SET amount = excluded.amount", rows
    )


def add_finds(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes, int]]) -> None:
    """Add (tenant, key, letter's number)."""
    connection.executemany("INSERT OR IGNORE INTO letter_finds VALUES (?,?,?)", rows)


# What readers need

_SHOWN = """SELECT l.letter, l.head, l.events, s.kind, s.state, l.balance, l.changed, l.view
            FROM letters l JOIN shelves s ON s.number = l.shelf"""


def read_letter(connection: sqlite3.Connection, tenant: int, letter: bytes) -> LetterRow | None:
    row = connection.execute(f"{_SHOWN} WHERE l.tenant = ? AND l.letter = ?", (tenant, letter)).fetchone()
    return None if row is None else LetterRow(*row)


def read_letter_of_any(connection: sqlite3.Connection, letter: bytes) -> tuple[str, bytes] | None:
    """(tenant's name, view) of the one letter on the box that has this id."""
    row: tuple[str, bytes] | None = connection.execute(
        "SELECT t.name, l.view FROM letters l JOIN tenants t ON t.number = l.tenant WHERE l.letter = ?", (letter,)
    ).fetchone()
    return row


def count_letters(connection: sqlite3.Connection, tenant: int) -> list[tuple[str, str, int]]:
    """(kind, state, count) of a tenant's letters."""
    return connection.execute(
        "SELECT kind, state, count FROM shelves WHERE tenant = ? AND count > 0 ORDER BY kind, state", (tenant,)
    ).fetchall()


def read_page(
    connection: sqlite3.Connection, tenant: int, kind: str | None, state: str | None, before: int, limit: int
) -> list[LetterRow]:
    """A tenant's letters with numbers below `before`, newest first, of one kind and one state or of all."""
    numbers: list[int] = []
    # The newest of each shelf: a shelf's index is in order of arrival, and there are few shelves.
    for (shelf,) in connection.execute(
        "SELECT number FROM shelves WHERE tenant = ? AND kind = coalesce(?, kind) AND state = coalesce(?, state)",
        (tenant, kind, state),
    ).fetchall():
        found = connection.execute(
            "SELECT number FROM letters WHERE shelf = ? AND number < ? ORDER BY number DESC LIMIT ?",
            (shelf, before, limit),
        )
        numbers += [row[0] for row in found]
    newest = sorted(numbers, reverse=True)[:limit]
    return [read_numbered(connection, number) for number in newest]


def read_due(
    connection: sqlite3.Connection, tenant: int, before: int, after: tuple[int, int], limit: int
) -> list[tuple[int, int]]:
    """(due, number) of a tenant's letters that are due by a time, the earliest first, from behind `after` on."""
    return connection.execute(
        """SELECT due, number FROM letters WHERE tenant = ? AND due > 0 AND due <= ? AND (due, number) > (?, ?)
           ORDER BY due, number LIMIT ?""",
        (tenant, before, *after, limit),
    ).fetchall()


def read_automatic(
    connection: sqlite3.Connection, tenant: int, now: int, after: tuple[int, int], limit: int
) -> list[tuple[bytes, int, int]]:
    """(id, since when, number) of a tenant's letters with an event that the box itself has to make by now, the one
    waiting longest first, from behind `after` on."""
    return connection.execute(
        """SELECT letter, automatic, number FROM letters WHERE tenant = ? AND automatic > 0 AND automatic <= ?
           AND (automatic, number) > (?, ?) ORDER BY automatic, number LIMIT ?""",
        (tenant, now, *after, limit),
    ).fetchall()


def read_numbered(connection: sqlite3.Connection, number: int) -> LetterRow:
    return LetterRow(*connection.execute(f"{_SHOWN} WHERE l.number = ?", (number,)).fetchone())


def find_under(connection: sqlite3.Connection, tenant: int, key: bytes, limit: int) -> list[LetterRow]:
    """At most `limit` letters that are found under a key, the newest first."""
    found = connection.execute(
        "SELECT letter FROM letter_finds WHERE tenant = ? AND key = ? ORDER BY letter DESC LIMIT ?",
        (tenant, key, limit),
    ).fetchall()
    return [read_numbered(connection, number) for (number,) in found]


def read_events(connection: sqlite3.Connection, letter: Standing, after: int, limit: int) -> list[tuple[int, bytes]]:
    """(number, record id) of at most `limit` of a letter's events numbered above `after`, in order.

    The chain is followed from the newest back, in strides as far as they go."""
    last = min(letter.events, after + limit)
    found: list[tuple[int, bytes]] = []
    number, sequence = letter.events, letter.latest
    anchored = number // ANCHORS * ANCHORS
    if anchored >= last > 0:
        number, sequence = anchored, letter.anchor
        while number - ANCHORS >= last:
            number, sequence = number - ANCHORS, _event(connection, sequence)[1]
    while number > after and last > after:
        previous, _, record_id = _event(connection, sequence)
        if number <= last:
            found.append((number, record_id))
        number, sequence = number - 1, previous
    return found[::-1]


def _event(connection: sqlite3.Connection, sequence: int) -> tuple[int, int, bytes]:
    """(previous, anchor, record id)."""
    row: tuple[int, int, bytes] = connection.execute(
        "SELECT previous, anchor, record_id FROM letter_events WHERE sequence = ?", (sequence,)
    ).fetchone()
    return row


def read_tallies(
    connection: sqlite3.Connection, tenant: int, prefix: str, after: str, limit: int, *, last: bool = False
) -> list[tuple[str, int]]:
    """(name, amount) of tallies whose name begins with `prefix` and comes after `after`, in order; `last`: backwards,
    from the end."""
    return connection.execute(
        f"""SELECT name, amount FROM tallies WHERE tenant = ? AND name >= ? AND name > ? AND name <= ?
           AND substr(name, 1, ?) = ? ORDER BY name {"DESC" if last else "ASC"} LIMIT ?""",  # noqa: S608
        (tenant, prefix, after, f"{prefix}\U0010ffff", len(prefix), prefix, limit),
    ).fetchall()
