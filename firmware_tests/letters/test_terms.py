"""Terms are reckoned by the calendar: the same day, or the last of the month; held by a plain count of days."""

from __future__ import annotations

import calendar
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.letters.errors import FieldRefused
from appliance.letters.fields import moment
from appliance.letters.kind import Bilingual, Field, Term
from appliance.letters.terms import after, check_terms

WORDS = Bilingual(en="x", zh="x")
DATES = st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1))


def fields(**term: str) -> dict[str, Field]:
    return {"due": Field(label=WORDS, type="date", term=Term(**term)), "issued": Field(label=WORDS, type="date")}


def holds(due: str, issued: str, begun_us: int = 0, zone: str = "+08:00", **term: str) -> bool:
    try:
        check_terms(fields(**term), {"due": due, "issued": issued}, begun_us, zone)
    except FieldRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("begin", "period", "end"),
    [
        ("2023-02-28", "P1Y", "2024-02-28"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2096-02-29", "P4Y", "2100-02-28"),  # 2100 is no leap year
        ("2024-01-31", "P1M", "2024-02-29"),
        ("2025-01-31", "P1M", "2025-02-28"),
        ("2025-11-30", "P3M", "2026-02-28"),
        ("2025-12-31", "P1M1D", "2026-02-01"),
        ("2024-02-28", "P365D", "2025-02-27"),
        ("2024-02-28", "P1Y1M1D", "2025-03-29"),
        ("9999-12-31", "P1D", "9999-12-31"),
    ],
)
def test_the_last_day_of_a_term(begin: str, period: str, end: str) -> None:
    assert after(datetime.datetime.fromisoformat(begin), period).date().isoformat() == end
    if not end.startswith("9999"):
        next_day = (datetime.date.fromisoformat(end) + datetime.timedelta(days=1)).isoformat()
        assert holds(end, begin, after="issued", most=period)
        assert not holds(next_day, begin, after="issued", most=period)
        assert holds(end, begin, after="issued", least=period)


@given(DATES, DATES)
def test_a_year_is_the_same_day_of_the_next_year(issued: datetime.date, due: datetime.date) -> None:
    day = issued.day - (issued.month == 2 and issued.day == 29)
    assert holds(due.isoformat(), issued.isoformat(), after="issued", most="P1Y") == (
        due <= datetime.date(issued.year + 1, issued.month, day)
    )


@given(DATES, st.integers(0, 400), st.integers(0, 40_000))
def test_months_never_pass_the_month_and_days_are_days(issued: datetime.date, months: int, days: int) -> None:
    begin = datetime.datetime(issued.year, issued.month, issued.day, tzinfo=datetime.UTC)
    reached = after(begin, f"P{months}M")
    assert (reached.year * 12 + reached.month) - (begin.year * 12 + begin.month) == months
    assert reached.day == min(begin.day, calendar.monthrange(reached.year, reached.month)[1])
    assert after(begin, f"P{days}D") - begin == datetime.timedelta(days=days)


def test_after_issuing_goes_by_the_day_of_the_kinds_zone() -> None:
    begun = moment("2026-11-22T17:00:00Z", "")  # the 23rd in Beijing
    assert holds("2027-11-23", "2000-01-01", begun, after="@begun", most="P1Y")
    assert not holds("2027-11-23", "2000-01-01", begun, "+00:00", after="@begun", most="P1Y")


def test_times_are_compared_to_the_microsecond() -> None:
    declared = {"due": Field(label=WORDS, type="time", term=Term(after="@begun", most="P1D"))}
    begun = moment("2026-11-22T17:00:00Z", "")
    check_terms(declared, {"due": "2026-11-24T01:00:00+08:00"}, begun, "+08:00")
    with pytest.raises(FieldRefused, match="at most P1D after begun"):
        check_terms(declared, {"due": "2026-11-23T17:00:00.000001Z"}, begun, "+08:00")


def test_without_what_it_goes_by_a_term_is_refused() -> None:
    with pytest.raises(FieldRefused, match="its term goes by issued"):
        check_terms(fields(after="issued", most="P1Y"), {"due": "2026-01-01"}, 0, "+08:00")
    check_terms(fields(after="issued", most="P1Y"), {"issued": "2026-01-01"}, 0, "+08:00")
