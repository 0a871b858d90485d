"""How much of a process's time its callers may have: a bucket of tokens (as GCRA, ITU-T I.371)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from appliance.errors import CinnabarError

_SECOND: Final = 1_000_000_000


class Pace:
    """So many calls at once, and then so many a second, of all callers together. A connection counts as a call does,
    and so does what is refused: that costs time too."""

    def __init__(
        self, burst: int, a_second: float, refusal: CinnabarError, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """`refusal`: what whoever calls too often is told. `clock`: monotonic, nanoseconds."""
        self.refusal = refusal
        self._each = round(_SECOND / a_second)
        self._ahead = burst * self._each
        self._clock = clock
        self._paid_until = clock() - self._ahead

    def take(self) -> float:
        """Count one more; the seconds after which it is paid for, 0.0 where it is at once."""
        now = self._clock()
        self._paid_until = max(self._paid_until, now - self._ahead) + self._each
        return max(0, self._paid_until - now) / _SECOND
