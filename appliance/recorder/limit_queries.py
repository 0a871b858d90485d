"""Reads of limits, warnings, breakers, concentration and usage. Amounts are ten-thousandths; whom a count is of is a
keyed hash beside a label that only the tenant's content key opens (control CHANNEL)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from appliance.errors import BadRequest
from appliance.store import letters, limits

TABLE_LIMIT = 1_000
NOTICES_LIMIT = 1_000
METERED_LIMIT = 1_000
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


class LimitQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    _tenant: Callable[[str], int]

    def query_letter_terms(self, tenant: str) -> list[list[object]]:
        """[[form, version, since, document], ...] of a tenant, every version of its `limits` and of its `tariff`."""
        number = self._tenant(tenant)
        return [list(one[1:5]) for one in limits.read_terms(self.connection) if one.tenant == number]

    def query_counter(self, tenant: str, counter: str, window: str = "", limit: int = 100) -> list[list[object]]:
        """[[whom, amount, label], ...] of a tenant's counter (KIND/QUOTA/CURRENCY) in a window (2026-11; empty: what is
        outstanding, or ever), the largest first: a table of concentration; at most 1000."""
        prefix = f"{_text(counter)}/{_text(window)}/"
        number = min(_number(limit), TABLE_LIMIT)
        return [list(row) for row in limits.read_counter(self.connection, self._tenant(tenant), prefix, number)]

    def query_counter_amount(self, tenant: str, names: list[str]) -> list[int]:
        """What tallies of a tenant came to, by their whole names, in order; at most 1000."""
        number = self._tenant(tenant)
        if len(names) > TABLE_LIMIT:
            raise BadRequest(f"{TABLE_LIMIT} names are the most")
        return [letters.find_tally(self.connection, number, _text(name)) for name in names]

    def query_tally_labels(self, tenant: str, names: list[str]) -> list[bytes]:
        """Labels of whom tallies of a tenant are, by their whole names, in order; empty: nobody's. At most 1000."""
        number = self._tenant(tenant)
        if len(names) > TABLE_LIMIT:
            raise BadRequest(f"{TABLE_LIMIT} names are the most")
        return [letters.find_tally_label(self.connection, number, _text(name)) for name in names]

    def query_stopped_kinds(self, tenant: str) -> list[list[object]]:
        """[[kind, since (microseconds), reason], ...] of a tenant's kinds whose issuing is stopped."""
        number = self._tenant(tenant)
        return [list(row[1:]) for row in limits.read_stopped(self.connection) if row[0] == number]

    def query_notices(self, tenant: str, before: int = (1 << 62), limit: int = 100) -> list[list[object]]:
        """[[number, time (microseconds), what, subject, threshold, used, most], ...] of a tenant's warnings and stops
        (messages.Notice), numbered below `before`, the newest first; at most 1000."""
        number = self._tenant(tenant)
        found = limits.read_notices(self.connection, number, _number(before), min(_number(limit), NOTICES_LIMIT))
        return [list(row) for row in found]

    def query_metered(
        self, tenant: str, month: str, after: list[Any] | None = None, limit: int = METERED_LIMIT
    ) -> list[list[object]]:
        """[[kind, event, application, whom, currency, tariff, count, amount, fee, label, billed count, billed amount,
        billed fee], ...] of a tenant's month (2026-11), in order, after the line that begins with the six members of
        `after`; at most 1000."""
        if not _MONTH.fullmatch(_text(month)):
            raise BadRequest("a month is meant, such as 2026-11")
        if after is not None and len(after) != 6:
            raise BadRequest("the first six members of a line are meant")
        first: list[Any] = ["", "", "", "", "", 0] if after is None else after
        kind, event, application, whom, currency = map(_text, first[:5])
        place = (kind, event, application, whom, currency, _number(first[5]))
        most = min(_number(limit), METERED_LIMIT)
        found = limits.read_month(self.connection, self._tenant(tenant), month, place, most)
        return [list(row) for row in found]

    def query_usage_days(
        self, tenant: str, month: str, after: list[Any] | None = None, limit: int = METERED_LIMIT
    ) -> list[Any]:
        """[[[day, count, fee], ...], next] of a part of a tenant's month: at most 1000 rows, summed by day, after the
        place `after`. `next` is the next part's; None: this was the last."""
        if not _MONTH.fullmatch(_text(month)):
            raise BadRequest("a month is meant, such as 2026-11")
        if after is not None and len(after) != 7:
            raise BadRequest("`next` of the part before is meant")
        first: list[Any] = ["", "", "", "", "", 0, ""] if after is None else after
        kind, event, application, whom, currency, day = map(_text, (*first[:5], first[6]))
        place = (kind, event, application, whom, currency, _number(first[5]), day)
        most = max(1, min(_number(limit), METERED_LIMIT))
        rows = limits.read_days(self.connection, self._tenant(tenant), month, place, most)
        sums: dict[str, tuple[int, int]] = {}
        for row in rows:
            count, fee = sums.get(row[6], (0, 0))
            sums[row[6]] = count + row[7], fee + row[8]
        found = [[at, *sums[at]] for at in sorted(sums)]
        return [found, list(rows[-1][:7]) if len(rows) == most else None]


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise BadRequest("a text is meant")
    return value


def _number(value: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadRequest("a number of 0 to 2^63 - 1 is meant")
    return value
