"""Terms: at most, or at least, so long after another date. Calendar-exact; pure.

Years and months go to the same day of the month, or to its last day where it has no such day: a year after 29 February
2024 is 28 February 2025 (as the Civil Code of China, article 202, reckons). Days are added last.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Mapping
from typing import Any, Final

from appliance.instants import instant, zone_of
from appliance.letters.errors import FieldRefused
from appliance.letters.kind import BEGUN, Field

_PERIOD: Final = re.compile(r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,5})D)?")


def check_terms(
    declared: Mapping[str, Field], values: Mapping[str, Any], begun_us: int, zone: str, where: str = "/fields"
) -> None:
    """Every date and time of `values` against its field's term. `begun_us`: when the letter began, in microseconds.

    Raises FieldRefused."""
    for name, field in declared.items():
        term, value = field.term, values.get(name)
        if term is None or value is None:
            continue
        base = (
            instant(begun_us).astimezone(zone_of(zone)) if term.after == BEGUN else _local(values.get(term.after), zone)
        )
        if base is None:
            raise FieldRefused(f"{where}/{name}: its term goes by {term.after}, which is not there")
        own = _local(value, zone)
        assert own is not None  # noqa: S101 - the value was checked
        whole_days = "T" not in value or (term.after != BEGUN and "T" not in values[term.after])
        for period, late in ((term.least, False), (term.most, True)):
            if period is None:
                continue
            limit = after(base, period)
            mine, bound = (own.date(), limit.date()) if whole_days else (own, limit)
            if (mine > bound) if late else (mine < bound):
                said = "at most" if late else "at least"
                raise FieldRefused(f"{where}/{name}: it is {said} {period} after {term.after.lstrip('@')}: {bound}")


def after(begin: datetime.datetime, period: str) -> datetime.datetime:
    """`begin` and a period of ISO 8601 (years, months, days). Past the year 9999: its last microsecond."""
    found = _PERIOD.fullmatch(period)
    assert found is not None  # noqa: S101 - the kind's schema holds it
    years, months, days = (int(one or 0) for one in found.groups())
    month = begin.month - 1 + months + 12 * years
    year = begin.year + month // 12
    last = datetime.datetime.max.replace(tzinfo=begin.tzinfo)
    if year > last.year:
        return last
    day = min(begin.day, calendar.monthrange(year, month % 12 + 1)[1])
    try:
        return begin.replace(year=year, month=month % 12 + 1, day=day) + datetime.timedelta(days=days)
    except OverflowError:
        return last


def _local(text: str | None, zone: str) -> datetime.datetime | None:
    """A date as its first moment in the zone; a time as the clocks of the zone show it."""
    if text is None:
        return None
    if "T" not in text:
        return datetime.datetime.fromisoformat(f"{text}T00:00:00{zone}")
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(zone_of(zone))
    except OverflowError:
        raise FieldRefused(f"the time {text} lies outside the years 1 to 9999") from None
