"""When a head of the box's log is to be anchored on a ledger. Pure."""

from __future__ import annotations

from typing import Final

from appliance.anchorer.outbox import Anchor, Head
from appliance.anchors import State
from appliance.box.ledgers import LedgerCommon

MOST_OPEN: Final = 16
"""Open anchors of one ledger; while there are so many, none is added: the next one will cover what comes meanwhile."""
AFTER_FAILURE_S: Final = 60
"""An anchor that failed is followed by the next one after so long, where that is sooner than the interval."""


def why_due(
    head: Head, newest: Anchor | None, open_count: int, settings: LedgerCommon, now_us: int, *, requested: bool
) -> str | None:
    """Why a new anchor of this head is due, in words; None: it is not."""
    if newest is not None and ((head.origin == newest.origin and head.size <= newest.size) or open_count >= MOST_OPEN):
        return None
    if newest is None:
        return "the first on this ledger"
    if head.origin != newest.origin:
        return "the first of the log that the box's goes on in"
    if requested:
        return "on request"
    # A clock that was set back puts nothing off for longer than the interval.
    waited_s = abs(now_us - newest.due_us) / 1_000_000
    if waited_s >= settings.interval_s:
        return f"{settings.interval_s} s after the one before"
    if newest.state is State.FAILED and abs(now_us - newest.since_us) / 1_000_000 >= AFTER_FAILURE_S:
        return f"anchor {newest.number} failed"
    if settings.records is not None and head.records - newest.records >= settings.records:
        return f"{head.records - newest.records} new records"
    return None
