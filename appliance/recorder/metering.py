"""Events metered and bills made inside a transaction: counted by line and day, and never billed above what was metered.

Counts need no look-up: they are added to the rows that stand. A bill compares first (control ONCE).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from appliance.letter_limits import Tariff
from appliance.recorder import errors
from appliance.recorder.letter_shapes import MOST
from appliance.recorder.messages import Billed, Meter
from appliance.store import limits
from appliance.store.limits import Line


@dataclass(slots=True)
class Meters:
    """What a command, or a transaction, meters and bills."""

    counts: dict[tuple[Line, str], tuple[int, int, int, bytes]] = field(default_factory=dict)
    """(count, amount, fee, label) by line and day."""
    months: dict[Line, tuple[int, int]] = field(default_factory=dict)
    """(amount, fee) of a line's month, with what stands on disk."""
    billed: dict[Line, tuple[int, int, int]] = field(default_factory=dict)
    """(count, amount, fee) that bills then took in all."""

    def __bool__(self) -> bool:
        return bool(self.counts or self.billed)

    def count(
        self,
        connection: sqlite3.Connection,
        book: Meters,
        tariff: Tariff,
        tenant: int,
        application: str,
        one: Meter,
    ) -> None:
        """Count an event; `book`: what was counted before in the transaction. Raises TallyExceeded where a month's sum
        would no longer be a number that the database adds exactly."""
        fee = tariff.fee(one.kind, one.event, one.amount, one.currency)
        line = (tenant, one.day[:7], one.kind, one.event, application, one.whom, one.currency, tariff.version)
        had = self.months.get(line) or book.months.get(line) or limits.sum_metered(connection, line)[1:]
        month = (had[0] + one.amount, had[1] + fee)
        if max(month) > MOST:
            raise errors.TallyExceeded(f"what {one.kind} {one.event} comes to in {one.day[:7]}")
        self.months[line] = month
        self._count((line, one.day), (1, one.amount, fee, one.label))

    def _count(self, place: tuple[Line, str], more: tuple[int, int, int, bytes]) -> None:
        had = self.counts.get(place)
        if had is not None:
            more = (had[0] + more[0], had[1] + more[1], had[2] + more[2], had[3])
        self.counts[place] = more

    def bill(self, connection: sqlite3.Connection, book: Meters, tenant: int, one: Billed) -> None:
        """Take a line into a bill; `book`: what was taken in before in the transaction. Raises BillMoved."""
        line = (tenant, one.month, one.kind, one.event, one.application, one.whom, one.currency, one.tariff)
        had = self.billed.get(line) or book.billed.get(line) or limits.find_billed(connection, line)
        if had[0] != one.before:
            raise errors.BillMoved("another bill was there first")
        metered = list(limits.sum_metered(connection, line))
        for (other, _), (count, amount, fee, _) in book.counts.items():
            if other == line:
                metered = [metered[0] + count, metered[1] + amount, metered[2] + fee]
        wanted = (had[0] + one.count, had[1] + one.amount, had[2] + one.fee)
        if any(more > there for more, there in zip(wanted, metered, strict=True)):
            raise errors.BillMoved("not so much was metered")
        self.billed[line] = wanted

    def add(self, other: Meters) -> None:
        for place, more in other.counts.items():
            self._count(place, more)
        self.months.update(other.months)
        self.billed.update(other.billed)

    def write(self, connection: sqlite3.Connection) -> None:
        if self.counts:
            limits.add_metered(
                connection,
                sorted(
                    ((*line, day, *counted) for (line, day), counted in self.counts.items()), key=lambda row: row[:9]
                ),
            )
        if self.billed:
            limits.write_billed(connection, [(*line, *taken) for line, taken in self.billed.items()])
