"""The keymaster's desk as the service uses it: one connection a thread, the constitution kept for a moment."""

from __future__ import annotations

import time
from pathlib import Path

from appliance.calls.client import Kept
from appliance.ceremonies import Constitution, decode
from appliance.keymaster.client import DeskClient

FRESH_SECONDS = 1.0
"""How old the constitution may be that roles are judged by: a person who left is out within so long."""


class Desk(Kept[DeskClient]):
    """Calls to the keymaster: `desk.call(lambda client: client.proposals([...]))`."""

    def __init__(self, socket: Path) -> None:
        super().__init__(DeskClient, socket)
        self._constitution: tuple[float, Constitution | None] | None = None
        self._approving: tuple[float, dict[str, list[str]]] | None = None

    def in_force(self) -> Constitution | None:
        """The constitution in force, at most FRESH_SECONDS old; None before the founding. Raises DeskUnavailable."""
        kept = self._constitution
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        encoded = self.call(lambda client: client.constitution())
        found = decode(encoded, Constitution) if encoded else None
        self._constitution = (time.monotonic(), found)
        return found

    def approving(self) -> dict[str, list[str]]:
        """Tenant to the persons that its approval policies name, at most FRESH_SECONDS old. Raises DeskUnavailable."""
        kept = self._approving
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        found = self.call(lambda client: client.approving())
        self._approving = (time.monotonic(), found)
        return found
