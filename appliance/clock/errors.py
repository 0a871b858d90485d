"""What can be wrong with time (control TIME)."""

from __future__ import annotations

from appliance.errors import Unavailable


class TimeNotShown(Unavailable):
    """The clock is not shown, freshly, to be within its declared accuracy."""

    code = "time-not-shown"
    title = "The box cannot show that its clock is right"
    control = "TIME"


class ClockStepped(TimeNotShown):
    """The system clock was set since the monitor last measured it."""

    code = "clock-stepped"
    title = "The box's clock was set by somebody"


class LeapSecondNear(TimeNotShown):
    """A leap second is announced and the day is about to end, or has just begun."""

    code = "leap-second-near"
    title = "The box does not stamp around a leap second"
