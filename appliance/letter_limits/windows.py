"""Windows of time in which something is counted, by their names: 2026, 2026-11, 2026-11-22, 2026-11-22T17. Pure.

A window begins and ends in the zone of the kind that counts. What is outstanding, or counted for ever, has the window
without a name.
"""

from __future__ import annotations

import datetime
from typing import Final

from appliance.instants import local

_FORMS: Final = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H"}
_BY_LENGTH: Final = {4: "%Y", 7: "%Y-%m", 10: "%Y-%m-%d", 13: "%Y-%m-%dT%H"}


def window(period: str, at: str, zone: str) -> str:
    """The window of a period in which a time falls. `at`: an event's (RFC 3339, UTC); `zone`: an offset, +08:00."""
    form = _FORMS.get(period)
    return "" if form is None else local(at, zone).strftime(form)


def before(name: str) -> str:
    """The window before one."""
    form = _BY_LENGTH[len(name)]
    if form == "%Y":
        return f"{int(name) - 1:04d}"
    begin = datetime.datetime.strptime(name, form)  # noqa: DTZ007 - a name has no zone
    back = datetime.timedelta(hours=1) if form.endswith("%H") else datetime.timedelta(days=1)
    return (begin - back).strftime(form)
