"""When a letter falls due: from when events may happen that wait for a time, and which of them the box makes. Pure."""

from __future__ import annotations

from typing import NamedTuple

from appliance.letters.fields import moment
from appliance.letters.kind import Kind
from appliance.letters.state import LetterState


class Due(NamedTuple):
    """An event that waits for a time."""

    at: int
    """Microseconds since the epoch, above zero."""
    event: str
    automatic: bool


def dues(kind: Kind, state: LetterState) -> list[Due]:
    """The events that may happen to a letter in its state and wait for a time, the earliest first."""
    found = []
    for name, event, not_before in kind.waiting:
        text = state.fields.get(not_before)
        if text is not None and state.state in event.from_:
            found.append(Due(max(1, moment(text, kind.zone)), name, event.automatic))
    return sorted(found)


def first_due(found: list[Due], *, automatic: bool = False) -> int:
    """When the first of them may happen; of those that the box makes. 0: there is none."""
    for one in found:
        if one.automatic or not automatic:
            return one.at
    return 0
