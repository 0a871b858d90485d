"""The states of an anchor, and which may follow which. docs/anchors.md draws them.

Before its first state an anchor is due: nothing of it has left the box, and it is shown as due and as nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from appliance.errors import Conflict


class State(enum.StrEnum):
    """Where an anchor stands on its ledger."""

    SUBMITTED = "submitted"
    """It was, or may have been, sent; the ledger is not known to have it."""
    MINED = "mined"
    """The ledger has it, less deep than the ledger's finality wants."""
    FINAL = "final"
    """The ledger has it as deep as its finality wants, and there is a receipt that the judge took."""
    SUPERSEDED = "superseded"
    """A later anchor of this ledger is final, which covers all that this one would have."""
    FAILED = "failed"
    """It will not come about; a later anchor has to cover it."""


TRANSITIONS: Final[Mapping[State | None, frozenset[State]]] = {
    None: frozenset((State.SUBMITTED, State.FAILED, State.SUPERSEDED)),
    State.SUBMITTED: frozenset((State.MINED, State.FINAL, State.FAILED, State.SUPERSEDED)),
    # back to submitted: its block was left behind by a reorganisation
    State.MINED: frozenset((State.SUBMITTED, State.FINAL, State.FAILED, State.SUPERSEDED)),
    State.FINAL: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.FAILED: frozenset((State.SUPERSEDED,)),
}
"""From each state (None: due) to those that may follow. A ledger never says superseded: the outbox does, once a later
anchor is final."""

OPEN: Final = frozenset((None, State.SUBMITTED, State.MINED))
"""In which an anchor is still worked on."""


class ImpossibleTransition(Conflict):
    """An anchor would go from a state to one that never follows it."""

    code = "impossible-anchor-transition"
    title = "This state of an anchor never follows that one"


def check_transition(before: State | None, after: State | None) -> None:
    """Raises ImpossibleTransition. To stay where it is, is none."""
    if before is not after and after not in TRANSITIONS[before]:
        raise ImpossibleTransition(f"{after or 'due'} never follows {before or 'due'}")
