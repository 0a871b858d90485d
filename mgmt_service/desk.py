"""The keymaster's desk as the service uses it: one connection a thread, the constitution kept for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from appliance.ceremonies import Constitution, decode
from appliance.keymaster.client import DeskClient, DeskUnavailable

FRESH_SECONDS = 1.0
"""How old the constitution may be that roles are judged by: a person who left is out within so long."""
Answer = TypeVar("Answer")


class Desk:
    """Calls to the keymaster: `desk.call(lambda client: client.proposals([...]))`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._local = threading.local()
        self._constitution: tuple[float, Constitution | None] | None = None

    def call(self, ask: Callable[[DeskClient], Answer]) -> Answer:
        """Ask over this thread's connection, and once more over a new one if that was lost; no call minds that.

        Raises DeskUnavailable, and what the keymaster refuses by."""
        kept: DeskClient | None = getattr(self._local, "client", None)
        if kept is not None:
            try:
                return ask(kept)
            except DeskUnavailable:
                self.close()
        self._local.client = DeskClient(self._socket)
        try:
            return ask(self._local.client)
        except DeskUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Close this thread's connection."""
        kept: DeskClient | None = getattr(self._local, "client", None)
        if kept is not None:
            kept.close()
            self._local.client = None

    def in_force(self) -> Constitution | None:
        """The constitution in force, at most FRESH_SECONDS old; None before the founding. Raises DeskUnavailable."""
        kept = self._constitution
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        encoded = self.call(lambda client: client.constitution())
        found = decode(encoded, Constitution) if encoded else None
        self._constitution = (time.monotonic(), found)
        return found
