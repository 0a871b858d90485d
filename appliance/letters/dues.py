"""When a letter falls due: from when events may happen that wait for a time, and which of them the box makes. Pure."""

from __future__ import annotations

from typing import NamedTuple

from appliance.letters.fields import moment
from appliance.letters.kind import Event, Kind
from appliance.letters.state import LetterState


class Due(NamedTuple):
    """An event that waits for a time."""

    at: int
    """Microseconds since the epoch, above zero."""
    event: str
    automatic: bool


def dues(kind: Kind, state: LetterState) -> list[Due]:
    """The events that may happen to a letter in its state and wait for a time, the earliest first."""
    waiting = [(name, event, _due(kind, state, event, since)) for name, event, since in kind.waiting]
    return sorted(Due(at, name, event.automatic) for name, event, at in waiting if at)


def first_dues(kind: Kind, state: LetterState) -> tuple[int, int]:
    """When the first of them may happen, and the first of those that the box makes; 0 where there is none."""
    first = automatic = 0
    for _, event, since in kind.waiting:
        at = _due(kind, state, event, since)
        if at and (at < first or not first):
            first = at
        if at and event.automatic and (at < automatic or not automatic):
            automatic = at
    return first, automatic


def _due(kind: Kind, state: LetterState, event: Event, since: str) -> int:
    """From when an event may happen; 0: not in this state, or not at any known time."""
    text = state.fields.get(since)
    return 0 if text is None or state.state not in event.from_ else max(1, moment(text, kind.zone))
