"""Look after look: the log, and where a tenant's chain of commitments is followed, the box's log and the chain."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import CinnabarError
from appliance.monitor.alarms import Telling
from appliance.monitor.chain_watching import ChainWatcher
from appliance.monitor.expected import Expected
from appliance.monitor.published import PublishedLog
from appliance.monitor.state import MonitorState, OpenAlarm
from appliance.monitor.watching import LogWatcher


@dataclass(frozen=True)
class Place:
    """A log: where it is read, and what is expected of it."""

    published: PublishedLog
    expected: Expected


class Rounds:
    """See the module."""

    def __init__(
        self, own: Place, box: Place | None, api: PublishedLog | None, store: MonitorState, telling: Telling
    ) -> None:
        """`box` and `api`: with them the chain of commitments is followed.

        Raises NothingExpected, TrustRefused, MonitorStateUnusable.
        """
        self._telling = telling
        self._places = [own, *([] if box is None else [box])]
        self._logs = [LogWatcher(place.expected.watched(), place.published, store, telling) for place in self._places]
        self._chain = None
        if api is not None and box is not None:
            self._chain = ChainWatcher(self._logs[0], self._logs[1], api)

    def look(self) -> bool:
        """Look at everything once; whether all of it could be read."""
        readable = True
        for place, log in zip(self._places, self._logs, strict=True):
            self._refresh(place, log)
            readable &= log.look()
        if self._chain is not None:
            readable &= self._chain.look()
        return readable

    def alarms(self) -> dict[str, OpenAlarm]:
        """Everything that is wrong, by log and code."""
        return {f"{log.watched.origin} {code}": one for log in self._logs for code, one in log.state.alarms.items()}

    def _refresh(self, place: Place, log: LogWatcher) -> None:
        """Keys and witnesses as they are trusted now; as they were where that cannot be read or believed."""
        try:
            log.watched = place.expected.watched()
        except CinnabarError as error:
            self._telling.say("trust-refused", log.watched.origin, problem=str(error))
