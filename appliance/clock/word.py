"""The monitor's word about the system clock, and the rules by which a process believes it. Pure: no clock is read here.

The monitor says: at `boot_ns` of the kernel's boot-time clock the system clock stood `offset_ns` ahead of it and was
right within `error_ns`; believe this until `expires_ns`. Both clocks are disciplined alike by the kernel, so their
difference changes only when somebody sets the system clock. A process that finds another difference knows so at once,
without waiting for the monitor. The boot-time clock is the monotonic clock that also counts suspended time.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from appliance.clock.errors import ClockStepped, LeapSecondNear, TimeNotShown

STEP_TOLERANCE_NS = 1_000_000
"""The system clock may stand this far from the word before it counts as set; it is added to every error bound.

It covers the time between reading the two clocks, which is microseconds unless the process is interrupted there."""

LEAP_MARGIN_US = 5_000_000
"""No stamps from this long before to this long after a midnight (UTC) at which an announced leap second may fall."""

_DAY_US = 86_400_000_000


class Source(IntEnum):
    """Where a word comes from."""

    CHRONY = 1
    SYSTEM = 2


class Fault(IntEnum):
    """Why the monitor cannot vouch for the clock."""

    NONE = 0
    STOPPED = 1
    UNREACHABLE = 2
    UNSYNCHRONISED = 3
    INACCURATE = 4
    STEPPED = 5


FAULT_TEXTS = {
    Fault.STOPPED: "the clock monitor has stopped",
    Fault.UNREACHABLE: "the time daemon does not answer",
    Fault.UNSYNCHRONISED: "the time daemon is not synchronised",
    Fault.INACCURATE: "the clock's error bound is above its maximum",
    Fault.STEPPED: "the clock was set and has not been measured since",
}


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement and what is said about it. Nanoseconds."""

    source: Source
    boot_ns: int
    """The boot-time clock at the measurement."""
    offset_ns: int
    """System clock minus boot-time clock at the measurement."""
    error_ns: int | None
    """Bound of the system clock's distance from UTC at the measurement; None if nothing shows it."""
    growth_ppb: int
    """How fast the bound grows: nanoseconds in a second."""
    maximum_error_ns: int
    """The bound above which there are no readings."""
    expires_ns: int
    """The boot-time clock at which this word ends."""
    leap_announced: bool
    """A leap second falls on the end of this UTC day or of a coming one, and clocks will step there."""
    fault: Fault


class Reading(msgspec.Struct, frozen=True):
    """A time that the box can stand behind."""

    time_us: int
    """Microseconds since 1970-01-01T00:00:00Z, no leap seconds."""
    error_us: int | None
    """Bound of its distance from UTC in microseconds; None for a clock that nothing shows (rehearsal only)."""
    source: str
    """chrony or system."""


_SOURCE_NAMES = {source.value: source.name.lower() for source in Source}


def judge(word: Word, real_ns: int, boot_ns: int) -> Reading:
    """The time at `boot_ns`, by the word, if the word can still be believed.

    `real_ns` is the system clock, read at the same moment as `boot_ns`. Raises TimeNotShown (no vouching, expired, too
    inaccurate), ClockStepped or LeapSecondNear.
    """
    if word.fault:
        raise TimeNotShown(FAULT_TEXTS[word.fault])
    age_ns = boot_ns - word.boot_ns
    if age_ns < 0 or boot_ns >= word.expires_ns:
        raise TimeNotShown(f"the clock monitor's word is {age_ns / 1e9:.1f} s old and has expired")
    shift_ns = real_ns - boot_ns - word.offset_ns
    if not -STEP_TOLERANCE_NS <= shift_ns <= STEP_TOLERANCE_NS:
        raise ClockStepped(f"the system clock was set by {shift_ns / 1e9:+.3f} s since it was last measured")
    error_us: int | None = None
    if word.error_ns is not None:
        error_ns = word.error_ns + age_ns * word.growth_ppb // 1_000_000_000 + STEP_TOLERANCE_NS
        if error_ns > word.maximum_error_ns:
            raise TimeNotShown(FAULT_TEXTS[Fault.INACCURATE])
        error_us = error_ns // 1000 + 1
    time_us = (word.offset_ns + boot_ns) // 1000
    if word.leap_announced and not LEAP_MARGIN_US <= time_us % _DAY_US < _DAY_US - LEAP_MARGIN_US:
        raise LeapSecondNear("a leap second is announced for about this midnight (UTC)")
    return Reading(time_us, error_us, _SOURCE_NAMES[word.source])
