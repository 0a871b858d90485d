"""Anchors as the anchorer shows them, to the API workers, the command line and the management service."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.anchorer.outbox import Anchor, Step

Shown = Literal["due", "submitted", "mined", "final", "superseded", "failed"]
"""States, and due for what has none yet."""


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor came to a state."""

    state: Shown
    time_us: int
    """Microseconds since the epoch."""
    cause: str


class AnchorView(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor. Times in microseconds since the epoch."""

    ledger: str
    number: int
    size: int
    """Leaves of the box's log under the head that is anchored."""
    commitment: str
    """Hexadecimal."""
    state: Shown
    since_us: int
    cause: str
    due_us: int
    superseded_by: int | None
    strength: str | None
    """Of a final one: proven or attested, as its receipt shows under the box's own profile of the ledger."""
    time_us: int | None
    """Of a final one: the ledger's own time."""
    no_later_us: int | None
    place: str | None
    steps: list[StepView]


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger of the box."""

    name: str
    type: str
    """Empty where it is not configured."""
    configured: bool
    """Whether box.json lists it; else something was anchored on it once, and nothing is worked on any more."""
    caveat: str
    """What is to be said of its type; empty: nothing."""
    trouble: str
    """Why its last step failed, or why it was not begun; empty: neither."""
    begun: bool
    """Whether it is worked on; else it is once what is wrong was mended and the box started anew."""
    open: int
    """Anchors that are still worked on."""
    newest: AnchorView | None
    final: AnchorView | None
    """The newest final one."""


def anchor_view(anchor: Anchor, steps: list[Step]) -> AnchorView:
    return AnchorView(
        ledger=anchor.ledger,
        number=anchor.number,
        size=anchor.size,
        commitment=anchor.commitment.hex(),
        state="due" if anchor.state is None else anchor.state.value,
        since_us=anchor.since_us,
        cause=anchor.cause,
        due_us=anchor.due_us,
        superseded_by=anchor.superseded_by,
        strength=anchor.strength,
        time_us=anchor.time_us,
        no_later_us=anchor.no_later_us,
        place=anchor.place,
        steps=[StepView(state=step.state.value, time_us=step.time_us, cause=step.cause) for step in steps],
    )
