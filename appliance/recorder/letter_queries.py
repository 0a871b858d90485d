"""Reads of letters, claims and tallies. Another tenant's and nobody's answer alike (control CHANNEL)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from appliance.errors import BadRequest, NotFound
from appliance.store import letters
from appliance.store.letters import LetterRow, Standing

LETTERS_LIMIT = 1_000
"""Letters of one answer."""
EVENTS_LIMIT = 4_096
TALLIES_LIMIT = 4_096
RECORDS_BYTES = 1024 * 1024
"""Of one answer's records, or views, but at least one: no commit's answer waits behind more."""


class LetterQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    _tenant: Callable[[str], int]
    query_get_record: Callable[..., list[object]]

    def query_letter(self, tenant: str, letter: bytes) -> dict[str, object]:
        """letter, head, number (of events), kind, state, balance (ten-thousandths), changed (microseconds) and view of
        a letter of that tenant. Refused `not-found`, another tenant's alike."""
        found = letters.read_letter(self.connection, self._tenant(tenant), _blob(letter))
        if found is None:
            raise NotFound("there is no such letter")
        return _shown(found)

    def query_letters(self, tenant: str, ids: list[bytes]) -> list[dict[str, object] | None]:
        """As `letter`, of several, in the same order; None where the tenant has none. At most 1000."""
        number = self._tenant(tenant)
        if len(ids) > LETTERS_LIMIT:
            raise BadRequest(f"{LETTERS_LIMIT} letters are the most")
        found = [letters.read_letter(self.connection, number, _blob(letter)) for letter in ids]
        return [None if row is None else _shown(row) for row in found]

    def query_letter_page(
        self, tenant: str, kind: str | None = None, state: str | None = None, limit: int = 50, before: bytes = b""
    ) -> list[dict[str, object]]:
        """A tenant's letters, as `letter`, the newest first, of one kind and one state or of all: at most 1000, and
        about 1 MiB. `before`: the id of the last one that was shown."""
        number = self._tenant(tenant)
        end = self._standing(number, before).number if before else (1 << 63) - 1
        page = letters.read_page(self.connection, number, kind, state, end, min(_number(limit), LETTERS_LIMIT))
        shown: list[dict[str, object]] = []
        size = 0
        for row in page:
            size += len(row.view)
            if shown and size > RECORDS_BYTES:
                break
            shown.append(_shown(row))
        return shown

    def query_letters_due(
        self, tenant: str, before: int, limit: int = 50, after: list[object] | None = None
    ) -> list[list[object]]:
        """[[due in microseconds, letter], ...]: a tenant's letters of which an event may happen by then that waits for
        a time, as `letter`, the earliest first; at most 1000, and about 1 MiB. `after`: due and id of the last one."""
        number = self._tenant(tenant)
        begin = (0, 0)
        if after is not None:
            due, letter = after
            begin = (_number(due), self._standing(number, letter).number)  # type: ignore[arg-type]  # held there
        shown: list[list[object]] = []
        size = 0
        for due, found in letters.read_due(self.connection, number, _number(before), begin, min(limit, LETTERS_LIMIT)):
            row = letters.read_numbered(self.connection, found)
            size += len(row.view)
            if shown and size > RECORDS_BYTES:
                break
            shown.append([due, _shown(row)])
        return shown

    def query_letters_automatic(self, places: list[list[object]], now: int, limit: int = 16) -> list[list[object]]:
        """[[tenant, letter's id, since when, number], ...]: letters with an event that the box itself has to make by
        now (microseconds), the longest waiting first; of each [tenant, since, number] that is asked for, which is
        where to go on behind, at most `limit`, and 64 at the most."""
        return [
            [tenant, *row]
            for tenant, since, number in places
            for row in letters.read_automatic(
                self.connection, self._tenant(str(tenant)), _number(now),
                (_number(since), _number(number)), min(_number(limit), 64),  # type: ignore[arg-type]
            )
        ]  # fmt: skip

    def query_letters_found(self, keys: list[list[object]], limit: int = 16) -> list[list[object]]:
        """[[tenant, id, view], ...]: letters that are found under keys, each [tenant, 32 bytes], whether anything is or
        not in the same steps; at most 16 of a key."""
        if len(keys) > LETTERS_LIMIT:
            raise BadRequest(f"{LETTERS_LIMIT} keys are the most")
        found: list[list[object]] = []
        for tenant, key in keys:
            rows = letters.find_under(self.connection, self._tenant(str(tenant)), _blob(key), min(limit, 16))  # type: ignore[arg-type]
            found += [[tenant, row.letter, row.view] for row in rows]
        return found

    def query_letter_counts(self, tenant: str) -> list[list[object]]:
        """[[kind, state, how many letters of the tenant], ...]."""
        return [list(row) for row in letters.count_letters(self.connection, self._tenant(tenant))]

    def query_letter_events(self, tenant: str, letter: bytes, after: int = 0, limit: int = 4_096) -> list[list[object]]:
        """[[event's number, record id], ...] of events numbered above `after`, in order, at most 4096."""
        standing = self._standing(self._tenant(tenant), letter)
        found = letters.read_events(self.connection, standing, _number(after), min(_number(limit), EVENTS_LIMIT))
        return [list(row) for row in found]

    def query_letter_records(
        self, tenant: str, letter: bytes, after: int = 0, limit: int = 4_096
    ) -> list[list[object]]:
        """[[event's number, record as get_record shows it], ...] of events numbered above `after`, in order: about
        1 MiB, at least one; `limit` at most. Refused `archived` where a record is in the archive only."""
        size = 0
        shown: list[list[object]] = []
        for number, record_id in self.query_letter_events(tenant, letter, after, limit):
            record = self.query_get_record(tenant, record_id)
            body = record[-1]
            assert isinstance(body, bytes)  # noqa: S101
            size += len(body)
            if shown and size > RECORDS_BYTES:
                break
            shown.append([number, record])
        return shown

    def query_claim_status(self, tenant: str, scope: str, key: bytes) -> list[int]:
        """[used, capacity] of what letters claim in a scope, of the tenant or of a federation; [0, 0]: nothing is."""
        number: int | None = self._tenant(tenant)
        if scope:
            number = letters.find_federation(self.connection, scope)
        found = None if number is None else letters.find_claim(self.connection, number, _blob(key))
        return [0, 0] if found is None else [found.used, found.capacity]

    def query_scope_used(self, tenant: str, scope: str = "") -> bool:
        """Whether any letter uses anything in a scope: of the tenant, or of a federation, "@NAME"."""
        number = letters.find_federation(self.connection, scope) if scope else self._tenant(tenant)
        return number is not None and letters.is_claimed(self.connection, number)

    def query_tallies(
        self, tenant: str, prefix: str = "", after: str = "", limit: int = 4_096, last: bool = False
    ) -> list[list[object]]:
        """[[name, amount], ...] of the tenant's tallies whose name begins with `prefix`, in order of name, from after
        the name `after`; at most 4096. `last`: from the end, backwards."""
        found = letters.read_tallies(
            self.connection, self._tenant(tenant), prefix, after, min(_number(limit), TALLIES_LIMIT), last=bool(last)
        )
        return [list(row) for row in found]

    def _standing(self, tenant: int, letter: bytes) -> Standing:
        found = letters.find_letter(self.connection, tenant, _blob(letter))
        if found is None:
            raise NotFound("there is no such letter")
        return found


def _shown(row: LetterRow) -> dict[str, object]:
    return {
        "letter": row.letter,
        "head": row.head,
        "number": row.events,
        "kind": row.kind,
        "state": row.state,
        "balance": row.balance,
        "changed": row.changed,
        "view": row.view,
    }


def _blob(value: bytes) -> bytes:
    if not isinstance(value, bytes):
        raise BadRequest("bytes are meant")
    return value


def _number(value: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadRequest("a number of 0 to 2^63 - 1 is meant")
    return value
