"""Heads of the box's log as they are published, read from the files of the logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from appliance.anchorer.outbox import Head
from appliance.anchors import commitment_of
from appliance.box.settings import BoxSettings
from appliance.errors import Unavailable
from appliance.log import Checkpoint, LogReader, MalformedNote, NotYetIncluded, parse_note

KEEP_SECONDS: Final = 1.0
"""How long what was read is used again, by all ledgers together."""


class Heads:
    """The newest head of the box's log, with how many records all logs have."""

    def __init__(self, logs: Path, settings: BoxSettings) -> None:
        self._box = [LogReader.of(logs, log.origin) for log in settings.logs if log.tenant is None]
        counted = any(ledger.records is not None for ledger in settings.ledgers)
        self._all = [LogReader.of(logs, log.origin) for log in settings.logs] if counted else []
        self._read = float("-inf")
        self._head: Head | None = None

    def newest(self) -> Head | None:
        """None before the first. Raises Unavailable where it cannot be read."""
        if time.monotonic() < self._read + KEEP_SECONDS:
            return self._head
        try:
            note = self._box[0].checkpoint() if self._box else None
            if note is not None:
                size = Checkpoint.parse(parse_note(note).text).size
                self._head = Head(note, commitment_of(note), size, sum(map(_size, self._all)))
        except NotYetIncluded:
            self._head = None
        except (OSError, MalformedNote) as error:
            raise Unavailable(f"the head of the box's log cannot be read ({type(error).__name__})") from error
        self._read = time.monotonic()
        return self._head


def _size(log: LogReader) -> int:
    try:
        return Checkpoint.parse(parse_note(log.checkpoint()).text).size
    except NotYetIncluded:
        return 0
