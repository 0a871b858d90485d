"""As what a letter was filed: read from its own events, so that nothing else has to say it, or could say otherwise."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from appliance.api.letters.rows import letter_rows
from appliance.letters.artifact import decode_artifact
from appliance.letters.event import Event, read_event

if TYPE_CHECKING:
    from appliance.api.worker import Worker
    from appliance.filing import Adapter
    from appliance.letters.state import LetterState

LOOKED_AT: Final = 64
"""Events since the filing that are looked through for it."""


@dataclass(frozen=True)
class Filed:
    """The last time that a letter was in the outbox."""

    number: str
    """Of the filing; empty: it never was there."""
    ticket: str
    """By which the authority has its receipt; empty: it gave none."""
    newest: Event
    """The letter's newest event."""


async def filed_as(worker: Worker, tenant: str, adapter: Adapter | None, letter: LetterState) -> Filed:
    """Follows the letter's events back to the one that put it into the outbox, for so many at most. Raises
    SegmentNotMounted, SegmentDamaged, BodyDamaged."""
    event = newest = await _event(worker, tenant, letter, letter.number)
    if adapter is None:
        return Filed("", "", newest)
    ticket = ""
    for number in range(letter.number, max(0, letter.number - LOOKED_AT), -1):
        if number < letter.number:
            event = await _event(worker, tenant, letter, number)
        if _state_after(event, letter.letter) == adapter.state:
            return Filed(event.digest(), ticket, newest)
        if adapter.later is not None and event.event == adapter.later.event and not ticket:
            ticket = str(event.data.get("ticket", ""))
    return Filed("", "", newest)


def _state_after(event: Event, letter: str) -> str:
    """Of the letter, which the event is of or has made."""
    return next((part.state for part in event.parts if part.letter == letter), event.state)


async def _event(worker: Worker, tenant: str, letter: LetterState, number: int) -> Event:
    """By its place among the letter's own events: that which split a letter off is the letter's first."""
    rows = letter_rows(worker.recorder, tenant, bytes.fromhex(letter.letter), number - 1, 1)
    async with contextlib.aclosing(rows):
        _, row = await anext(rows)
    return read_event(decode_artifact(worker.cipher_of(tenant).open(row[1], row[-1]).artifact).event)
