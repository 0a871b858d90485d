"""What the monitoring listener shows: the running witness's memory, and beside it its state, read only."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from appliance.errors import NotFound
from appliance.witness.overview import LogView, Overview, Seen, log_id, log_view, overview, read_followed
from appliance.witness.service import Witness
from appliance.witness.settings import WitnessSettings
from appliance.witness.state import Store

FRESH_SECONDS: Final = 1.0
"""How long an overview is shown again as it is: however many ask, the witness's work goes on."""
DAYS_SHOWN: Final = 62


class Looking:
    """See the module."""

    def __init__(self, settings: WitnessSettings, witness: Witness) -> None:
        self._settings = settings
        self._witness = witness
        self._made = 0.0
        self._overview: Overview | None = None
        self._ids = {log_id(origin): origin for origin in witness.logs}

    def overview(self) -> Overview:
        now = time.monotonic()
        if self._overview is None or now > self._made + FRESH_SECONDS:
            self._overview, self._made = self._look(), now
        return self._overview

    def log(self, name: str) -> tuple[Overview, LogView]:
        """A log by its id. Raises NotFound."""
        view = self.overview()
        found = next((one for one in view.logs if one.id == name), None)
        if found is None:
            raise NotFound("This witness does not know the log.")
        return view, found

    def checkpoint(self, name: str) -> bytes:
        """The head of a log that was cosigned last, with our cosignatures. Raises NotFound."""
        origin = self._ids.get(name)
        head = None if origin is None else self._witness.logs[origin].head
        if head is None:
            raise NotFound("This witness has cosigned no head of the log.")
        return head.note

    def days(self, origin: str) -> list[tuple[int, int, int]]:
        with self._state() as state:
            return state.days(origin, DAYS_SHOWN)

    def evidence(self, number: int) -> bytes:
        """Of a fork. Raises NotFound."""
        with self._state() as state:
            found = next((fork.evidence for fork in state.forks() if fork.number == number), None)
        if found is None:
            raise NotFound("There is no such fork.")
        return found

    def _look(self) -> Overview:
        followed = read_followed(self._settings.follow_report)
        now = time.time()
        logs = [
            log_view(
                tracked.watched,
                tracked.head,
                tracked.refused,
                Seen(
                    cosigned=tracked.cosigned,
                    refusals=dict(tracked.refusals),
                    last_refusal=tracked.last_refusal,
                ),
                followed.get(origin),
                now,
            )
            for origin, tracked in self._witness.logs.items()
        ]
        with self._state() as state:
            forks, decisions = state.forks(), state.decisions()
        keys = [str(key) for key in self._witness.cosigners.verifiers]
        return overview(self._settings.title, keys, logs, forks, decisions)

    @contextlib.contextmanager
    def _state(self) -> Iterator[Store]:
        state = Store.open(self._settings.state_directory, read_only=True)
        try:
            yield state
        finally:
            state.close()
