"""What the monitor says, and when it does not vouch: one source measures, one only repeats the system clock.

A measurement of chronyd's is about the clock as it stood when chronyd last heard its servers. If the system clock has
been set since, by whomever, chronyd does not know yet and its bound is worthless: the source sees the step, because
the system clock and the boot-time clock have moved apart, and does not vouch again before chronyd has taken over two
further measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.clock.chrony import LOCAL_REFERENCE, ChronyUnreachable, Tracking
from appliance.clock.reading import boot_ns, system_ns, system_word
from appliance.clock.word import STEP_TOLERANCE_NS, Fault, Source, Word

SMEAR_ERROR_NS = 500_000_000
"""How far a clock that follows smeared leap seconds may stand from UTC beside all else: half the second."""

_UPDATES_AFTER_STEP = 2
_UNSYNCHRONISED = 3
_CLOCK_ERROR_PPB = 1_000  # chronyd's own assumption of how far an oscillator strays (maxclockerror)


class Measurer(Protocol):
    """A source of words."""

    def measure(self) -> Word:
        """A word about the clock now; with a fault if it cannot be vouched for. Never raises for what may happen."""


def simultaneous(system: Callable[[], int], boot: Callable[[], int], attempts: int = 5) -> tuple[int, int]:
    """The boot-time clock, and the system clock minus it, from the least interrupted of some attempts. Nanoseconds."""
    best: tuple[int, int, int] | None = None
    for _ in range(attempts):
        before = boot()
        real = system()
        after = boot()
        if best is None or after - before < best[0]:
            middle = (before + after) // 2
            best = (after - before, middle, real - middle)
    assert best is not None  # noqa: S101 - attempts is positive
    return best[1], best[2]


class SystemSource:
    """The unverified system clock, for rehearsal only: no error bound."""

    def __init__(
        self, *, lifetime_ns: int, system: Callable[[], int] = system_ns, boot: Callable[[], int] = boot_ns
    ) -> None:
        self._lifetime_ns = lifetime_ns
        self._system = system
        self._boot = boot

    def measure(self) -> Word:
        at, offset = simultaneous(self._system, self._boot)
        return system_word(at + offset, at, lifetime_ns=self._lifetime_ns)


class ChronySource:
    """chronyd's tracking, judged."""

    def __init__(
        self,
        ask: Callable[[], Tracking],
        *,
        lifetime_ns: int,
        maximum_error_ns: int,
        smeared: bool = False,
        previous: Word | None = None,
        system: Callable[[], int] = system_ns,
        boot: Callable[[], int] = boot_ns,
    ) -> None:
        """`previous`: the last word of a monitor that ran before in this boot, so that its end hides no step."""
        self._ask = ask
        self._lifetime_ns = lifetime_ns
        self._maximum_error_ns = maximum_error_ns
        self._smeared = smeared
        self._system = system
        self._boot = boot
        self._offset_ns = previous.offset_ns if previous is not None and previous.boot_ns <= boot() else None
        self._updates_awaited = 0
        self._seen_update_ns = 0

    def measure(self) -> Word:
        at, offset = simultaneous(self._system, self._boot)
        word = Word(
            source=Source.CHRONY,
            boot_ns=at,
            offset_ns=offset,
            error_ns=0,
            growth_ppb=0,
            maximum_error_ns=self._maximum_error_ns,
            expires_ns=at + self._lifetime_ns,
            leap_announced=False,
            fault=Fault.NONE,
        )
        known, self._offset_ns = self._offset_ns, offset
        stepped = known is not None and abs(offset - known) > STEP_TOLERANCE_NS
        try:
            tracking = self._ask()
        except ChronyUnreachable:
            if stepped:
                self._updates_awaited = _UPDATES_AFTER_STEP
            return msgspec.structs.replace(word, fault=Fault.UNREACHABLE)
        _, after = simultaneous(self._system, self._boot)
        stepped = stepped or abs(after - offset) > STEP_TOLERANCE_NS
        self._offset_ns = after
        word = msgspec.structs.replace(
            word,
            error_ns=int(tracking.error_bound * 1e9) + 1 + (SMEAR_ERROR_NS if self._smeared else 0),
            growth_ppb=int((tracking.skew_ppm + abs(tracking.residual_frequency_ppm)) * 1000) + _CLOCK_ERROR_PPB,
            leap_announced=tracking.leap in (1, 2) and not self._smeared,
        )
        return msgspec.structs.replace(word, fault=self._fault(tracking, word, stepped))

    def _fault(self, tracking: Tracking, word: Word, stepped: bool) -> Fault:
        if stepped:
            self._updates_awaited = _UPDATES_AFTER_STEP
        elif self._updates_awaited and tracking.reference_time_ns != self._seen_update_ns:
            self._updates_awaited -= 1
        self._seen_update_ns = tracking.reference_time_ns
        if tracking.leap == _UNSYNCHRONISED or tracking.stratum == 0 or tracking.reference_id in (0, LOCAL_REFERENCE):
            return Fault.UNSYNCHRONISED
        if self._updates_awaited:
            return Fault.STEPPED
        if word.error_ns is None or word.error_ns + STEP_TOLERANCE_NS > self._maximum_error_ns:
            return Fault.INACCURATE
        return Fault.NONE
