"""One box runs in a home at a time, and what changes a stopped box holds its home like one that runs."""

from __future__ import annotations

from appliance.box.home import Home
from appliance.files import lock_file


class AlreadyRunning(Exception):
    """A box runs in this home already."""


def hold_home(home: Home) -> int:
    """Hold the home for this process, until it ends or closes the descriptor. Raises AlreadyRunning."""
    try:
        return lock_file(home.root / ".running")
    except BlockingIOError:
        raise AlreadyRunning(f"A box runs in {home.root} already.") from None
