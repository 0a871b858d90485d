"""Instants are what the plain arithmetic of datetimes says, however they are reckoned."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.instants import EPOCH, MICROSECOND, instant, local, local_day, microseconds, rfc3339

FIRST = (datetime.datetime.min.replace(tzinfo=datetime.UTC) - EPOCH) // MICROSECOND
LAST = (datetime.datetime.max.replace(tzinfo=datetime.UTC) - EPOCH) // MICROSECOND
INSTANTS = st.integers(FIRST, LAST)
WITHIN_A_DAY = st.integers(FIRST + 86_400_000_000, LAST - 86_400_000_000)
ZONES = st.builds("{}{:02d}:{}".format, st.sampled_from("+-"), st.integers(0, 14), st.sampled_from(("00", "30", "45")))


@given(INSTANTS)
def test_rfc3339_and_back(time_us: int) -> None:
    text = rfc3339(time_us)
    assert text == instant(time_us).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert microseconds(datetime.datetime.fromisoformat(text)) == time_us


@given(INSTANTS)
def test_microseconds(time_us: int) -> None:
    assert microseconds(instant(time_us)) == (instant(time_us) - EPOCH) // MICROSECOND == time_us


@given(WITHIN_A_DAY, ZONES)
def test_local_day(time_us: int, zone: str) -> None:
    at = rfc3339(time_us)
    assert local_day(at, zone) == local(at, zone).date().isoformat()


@pytest.mark.parametrize("time_us", [FIRST - 1, LAST + 1, 10**30, -(10**30)])
def test_outside_of_the_calendar(time_us: int) -> None:
    with pytest.raises(OverflowError):
        rfc3339(time_us)
