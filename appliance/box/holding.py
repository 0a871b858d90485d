"""One box runs in a home at a time, and what changes a stopped box holds its home like one that runs."""

from __future__ import annotations

import fcntl
import os

from appliance.box.home import Home


class AlreadyRunning(Exception):
    """A box runs in this home already."""


def hold_home(home: Home) -> int:
    """Hold the home for this process, until it ends or closes the descriptor. Raises AlreadyRunning."""
    descriptor = os.open(home.root / ".running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"A box runs in {home.root} already.") from None
    return descriptor
