"""How often something can be called."""

from __future__ import annotations

import time
from collections.abc import Callable

CALLS_A_LOOK = 200
"""Calls between two looks at the clock."""


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second over about that time."""
    done, start = 0, time.perf_counter()
    while True:
        for _ in range(CALLS_A_LOOK):
            call()
        done += CALLS_A_LOOK
        passed = time.perf_counter() - start
        if passed >= seconds:
            return done / passed
