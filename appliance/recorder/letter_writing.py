"""What a transaction came to for letters, written into the tables; whoever calls commits."""

from __future__ import annotations

import sqlite3
from typing import Any

from msgspec.structs import astuple

from appliance.recorder.letter_draft import Draft
from appliance.store import letters, limits

Shelves = dict[tuple[int, str, str], int]
"""Numbers by (tenant, kind, state)."""
_ROW_BYTES = 256
"""About what a letter's step takes beside its view and its record."""


def write_draft(connection: sqlite3.Connection, draft: Draft, known: Shelves, now_us: int) -> Shelves:
    """The shelves that are new. `known`: those that are not."""
    if not (draft.events or draft.tallies or draft.meters):
        return {}
    if draft.federations:
        letters.add_federations(connection, [(number, name) for name, number in draft.federations.items()])
    new = _write_letters(connection, draft, known, now_us)
    letters.add_events(connection, draft.events)
    if draft.stocks:
        _write_claims(connection, draft)
    if draft.finds:
        letters.add_finds(connection, sorted(draft.finds))
    if draft.tallies:
        labels = draft.labels
        letters.write_tallies(
            connection, sorted((*place, amount, labels.get(place, b"")) for place, amount in draft.tallies.items())
        )
    draft.meters.write(connection)
    for (tenant, kind), reason in draft.stops.items():
        limits.stop(connection, tenant, kind, now_us, reason)
    if draft.notices:
        limits.add_notices(connection, [(tenant, now_us, *astuple(one)) for tenant, one in draft.notices])
    return new


def size_of(draft: Draft) -> int:
    """About what the database grows by, in bytes."""
    return sum(len(letter.view) + _ROW_BYTES for letter in draft.letters.values())


def _write_letters(connection: sqlite3.Connection, draft: Draft, known: Shelves, now_us: int) -> Shelves:
    new: Shelves = {}
    added: list[tuple[Any, ...]] = []
    moved: list[tuple[Any, ...]] = []
    shelved: list[tuple[int, int]] = []
    counts: dict[int, int] = {}
    for (tenant, letter_id), letter in draft.letters.items():
        place = (tenant, letter.kind, letter.state)
        shelf = known.get(place) or new.setdefault(place, 1 + len(known) + len(new))
        if letter.shelf is None:
            added.append(
                (
                    letter.number, tenant, letter_id, shelf, letter.events, letter.balance, now_us, letter.latest,
                    letter.anchor, letter.head, letter.view, letter.due, letter.automatic,
                )
            )  # fmt: skip
        else:
            moved.append(
                (
                    letter.events, letter.balance, now_us, letter.latest, letter.anchor, letter.head, letter.view,
                    letter.due, letter.automatic, letter.number,
                )
            )  # fmt: skip
            if shelf != letter.shelf:
                shelved.append((shelf, letter.number))
                counts[letter.shelf] = counts.get(letter.shelf, 0) - 1
        if shelf != letter.shelf:
            counts[shelf] = counts.get(shelf, 0) + 1
    if new:
        letters.add_shelves(connection, [(number, *place) for place, number in new.items()])
    letters.count_shelves(connection, [(change, shelf) for shelf, change in counts.items() if change])
    letters.add_letters(connection, sorted(added))
    if moved:
        letters.move_letters(connection, sorted(moved, key=_last))
        letters.shelve_letters(connection, sorted(shelved))
    return new


def _last(row: tuple[Any, ...]) -> Any:
    return row[-1]


def _write_claims(connection: sqlite3.Connection, draft: Draft) -> None:
    stocks, uses = draft.stocks, draft.uses
    kept = sorted((*place, s.used, s.capacity, s.holder) for place, s in stocks.items() if s.used)
    letters.write_claims(connection, kept)
    letters.drop_claims(connection, [place for place, stock in stocks.items() if not stock.used])
    if uses:
        letters.write_uses(connection, sorted((*place, used) for place, used in uses.items() if used))
        letters.drop_uses(connection, [place for place, used in uses.items() if not used])
