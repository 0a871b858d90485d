"""How often one address may fail at one thing. Buckets that leak, and failures alone are counted.

They keep guessing and noise down; they decide nothing. A bucket is never of a person or a credential alone, and a
statement whose evidence holds is taken however often others failed before, so nobody can lock an officer out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from appliance.errors import Unavailable

MOST = 10_000
"""Buckets that are kept; the one that was used longest ago is forgotten first."""


class TooMany(Unavailable):
    """Too many failures from one address in a short time; others are not touched by it."""

    code = "too-many-attempts"
    status = 429
    title = "Too many attempts"


@dataclass(frozen=True)
class Rate:
    """So many at once, and then so many a minute."""

    name: str
    burst: float
    a_minute: float


CODE = Rate("code", burst=20, a_minute=10)
"""Invitations, candidates and their one-time codes."""
STATEMENT = Rate("statement", burst=20, a_minute=20)


class Rates:
    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._buckets: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def check(self, rate: Rate, address: str, key: str) -> None:
        """Whether the address may try. Raises TooMany."""
        if self._level(rate, (rate.name, address, key[:200])) >= rate.burst:
            raise TooMany("wait a minute and try again; nobody is locked out")

    def failed(self, rate: Rate, address: str, key: str) -> None:
        """Count a failure."""
        name = (rate.name, address, key[:200])
        level = self._level(rate, name)
        self._buckets[name] = (level + 1, self._clock_s())
        self._buckets.move_to_end(name)
        while len(self._buckets) > MOST:
            self._buckets.popitem(last=False)

    def _level(self, rate: Rate, name: tuple[str, str, str]) -> float:
        level, at = self._buckets.get(name, (0.0, 0.0))
        return max(0.0, level - (self._clock_s() - at) * rate.a_minute / 60)
