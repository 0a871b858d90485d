"""The JSON of anchors in the local API. Every anchor is one of the box's log, which commits to every tenant: it tells
the same to each of them, and nothing of any (control CHANNEL)."""

from __future__ import annotations

import msgspec

from appliance.api.schemas import Time


class AnchorStep(msgspec.Struct, frozen=True, kw_only=True):
    """An anchor came to a state."""

    state: str
    """submitted, mined, final, superseded or failed."""
    time: Time


class AnchorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor of a head of the box's log."""

    ledger: str
    number: int
    """Rises with each anchor of this ledger."""
    size: int
    """Leaves of the box's log under the head."""
    commitment: str
    """SHA-256 of the checkpoint's text, hexadecimal: what the ledger holds."""
    state: str
    """due, submitted, mined, final, superseded or failed."""
    since: Time
    superseded_by: int | None
    """Number of the later anchor that covers it."""
    strength: str | None
    """Of a final one: proven or attested, by the box's own profile of the ledger."""
    time: Time | None
    """Of a final one: the ledger's own time."""
    no_later_than: Time | None
    """Of a final one: that time with its tolerance."""
    place: str | None
    steps: list[AnchorStep]


class LedgerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger on which the box anchors its log."""

    name: str
    type: str
    """Empty where it is not configured."""
    configured: bool
    """Whether the box anchors on it; else it did once, and anchors that were open then stay as they are."""
    caveat: str
    """What is to be said of its type, such as that it has not run on a real network yet; empty: nothing."""
    answers: bool
    """Whether it is configured and the last step with it succeeded."""
    newest: AnchorAnswer | None
    final: AnchorAnswer | None
    """The newest final one."""


class LedgersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every ledger of the box, also those on which it once anchored."""

    ledgers: list[LedgerAnswer]
