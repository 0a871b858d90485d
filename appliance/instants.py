"""Instants: microseconds since the epoch inside, RFC 3339 in what the box writes."""

from __future__ import annotations

import datetime
import time
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND: Final = datetime.timedelta(microseconds=1)
_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND


def now_us() -> int:
    """Microseconds since the epoch by the machine's clock, which nothing vouches for (control TIME does not rest on
    it)."""
    return time.time_ns() // 1000


def microseconds(moment: datetime.datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    since = moment - EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def instant(time_us: int) -> datetime.datetime:
    """The datetime of microseconds since the epoch. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + datetime.timedelta(microseconds=time_us)


def rfc3339(time_us: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, with six digits of fraction."""
    second, part = divmod(time_us, _SECOND)
    return f"{_second(second)}.{part:06d}Z"


@lru_cache(maxsize=128)
def _second(second: int) -> str:
    """Events come by the thousand in a second."""
    return instant(second * _SECOND).replace(tzinfo=None).isoformat(timespec="seconds")


@lru_cache(maxsize=128)
def zone_of(offset: str) -> datetime.tzinfo:
    """The zone of an offset from UTC, +08:00. Raises ValueError."""
    zone = datetime.datetime.strptime(offset, "%z").tzinfo
    assert zone is not None  # noqa: S101 - the form has one
    return zone


def local(at: str, zone: str) -> datetime.datetime:
    """A time as `rfc3339` writes it, on the clocks of a zone, to the second. `zone`: an offset from UTC, +08:00.
    Raises ValueError, OverflowError."""
    return datetime.datetime.fromisoformat(f"{at[:19]}+00:00").astimezone(zone_of(zone))


def local_day(at: str, zone: str) -> str:
    """The day of `local`: 2026-11-23."""
    return _day_of_minute(at[:16], zone)


@lru_cache(maxsize=128)
def _day_of_minute(minute: str, zone: str) -> str:
    """Zones are whole minutes away from UTC."""
    return local(f"{minute}:00", zone).date().isoformat()


def local_time(at: str, zone: str) -> str:
    """`local` for people: 2026-11-23 09:30:05 +08:00."""
    return f"{local(at, zone).replace(tzinfo=None).isoformat(' ')} {zone}"
