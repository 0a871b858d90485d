"""A process's clock: the monitor's word and the kernel's two clocks, put together at every reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from appliance.clock.errors import ClockStepped
from appliance.clock.page import WordReader
from appliance.clock.word import Fault, Reading, Source, Word, judge

_ATTEMPTS = 3


def system_ns() -> int:
    """The system clock: nanoseconds since the epoch."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def boot_ns() -> int:
    """The boot-time clock: nanoseconds, never set, counting suspended time too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Clock:
    """Gives readings that can be stood behind, or raises (control TIME).

    Tests inject the three callables: the monitor's latest word and the two clocks.
    """

    def __init__(
        self,
        word: Callable[[], Word],
        *,
        system: Callable[[], int] = system_ns,
        boot: Callable[[], int] = boot_ns,
    ) -> None:
        self._word = word
        self._system = system
        self._boot = boot

    @classmethod
    def open(cls, page: Path) -> Self:
        """A clock that believes the page of a running monitor; the page need not be there yet."""
        return cls(WordReader(page))

    def read(self) -> Reading:
        """The time now. Raises TimeNotShown or one of its kinds."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return judge(self._word(), self._system(), self._boot())
            except ClockStepped:
                # The process may have been interrupted between the two clocks: look again before saying so.
                continue
        return judge(self._word(), self._system(), self._boot())


def unverified_clock() -> Clock:
    """A clock that believes the system clock without a monitor: for benchmarks and tests of other rooms."""

    def word() -> Word:
        return system_word(system_ns(), boot_ns(), lifetime_ns=1_000_000_000)

    return Clock(word)


def system_word(real_ns: int, at_boot_ns: int, *, lifetime_ns: int) -> Word:
    """The word about a clock that nothing shows to be right: no error bound, so for rehearsal only."""
    return Word(
        source=Source.SYSTEM,
        boot_ns=at_boot_ns,
        offset_ns=real_ns - at_boot_ns,
        error_ns=None,
        growth_ppb=0,
        maximum_error_ns=0,
        expires_ns=at_boot_ns + lifetime_ns,
        leap_announced=False,
        fault=Fault.NONE,
    )
