"""What a box says of itself that does not answer applications: it starts, waits for officers, or its front is down."""

from __future__ import annotations

import socket

import msgspec

from appliance.box.home import Home
from appliance.box.states import StatePage, StateReport

_PATIENCE_S = 1.0


def standing(home: Home) -> StateReport | None:
    """The state as its supervisor shows it; None where none runs. A page alone may be a dead box's."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_PATIENCE_S)
            line.connect(str(home.supervisor_socket))
        return StatePage.open(home.state_page).report()
    except (OSError, ValueError, msgspec.DecodeError):
        return None
