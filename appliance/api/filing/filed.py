"""As what a letter was filed: read from its own events, so that nothing else has to say it, or could say otherwise."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
    """Looks through the letter's newest events, LOOKED_AT of them at most, out of the archive if need be. Raises
    SegmentNotMounted, SegmentDamaged, BodyDamaged."""
    rows = letter_rows(worker.recorder, tenant, bytes.fromhex(letter.letter), _first(adapter, letter) - 1)
    async with contextlib.aclosing(rows):
        found = [_event(worker, tenant, row) async for place, row in rows if place <= letter.number]
    return _filed(found, adapter, letter.letter)


async def filed_at_hand(worker: Worker, tenant: str, adapter: Adapter | None, letter: LetterState) -> Filed:
    """The same where nothing of it is in the archive, of which a page of letters would read too much. Raises Archived,
    BodyDamaged."""
    after = _first(adapter, letter) - 1
    rows = await worker.recorder.query("letter_records", tenant, bytes.fromhex(letter.letter), after, LOOKED_AT)
    return _filed(
        [_event(worker, tenant, row) for place, row in rows if place <= letter.number], adapter, letter.letter
    )


def _first(adapter: Adapter | None, letter: LetterState) -> int:
    """The place, among the letter's own events, of the first that is looked at."""
    return letter.number if adapter is None else max(1, letter.number - LOOKED_AT + 1)


def _filed(events: list[Event], adapter: Adapter | None, letter: str) -> Filed:
    number = ticket = ""
    if adapter is None:
        return Filed(number, ticket, events[-1])
    for event in events:
        if _state_after(event, letter) == adapter.state:
            number, ticket = event.digest(), ""
        elif number and adapter.later is not None and event.event == adapter.later.event:
            ticket = str(event.data.get("ticket", ""))
    return Filed(number, ticket, events[-1])


def _state_after(event: Event, letter: str) -> str:
    """Of the letter, which the event is of or has made."""
    return next((part.state for part in event.parts if part.letter == letter), event.state)


def _event(worker: Worker, tenant: str, row: list[Any]) -> Event:
    return read_event(decode_artifact(worker.cipher_of(tenant).open(row[1], row[-1]).artifact).event)
