"""Time that can be shown (control TIME): a monitor measures the system clock, its word expires, workers check it.

    clock = Clock.open(home.clock_page)
    reading = clock.read()            # Reading(time_us, error_us, source), or raises TimeNotShown

`python -m appliance.clock --home DIR` runs the monitor. See docs/clock.md.
"""

from appliance.clock.errors import ClockStepped, LeapSecondNear, TimeNotShown
from appliance.clock.reading import Clock, system_ns, unverified_clock
from appliance.clock.word import Reading

__all__ = ["Clock", "ClockStepped", "LeapSecondNear", "Reading", "TimeNotShown", "system_ns", "unverified_clock"]
