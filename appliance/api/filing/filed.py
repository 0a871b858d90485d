"""As what a letter was filed: read from its own events, so that nothing else has to say it, or could say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.letters.artifact import decode_artifact
from appliance.letters.event import Event, read_event

if TYPE_CHECKING:
    from appliance.api.worker import Worker
    from appliance.filing import Adapter
    from appliance.letters.state import LetterState


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
    """Follows the letter's events back to the one that put it into the outbox. Raises Archived, BodyDamaged."""
    newest, ticket = await _event(worker, tenant, letter, letter.number), ""
    event = newest
    while adapter is not None and event.state != adapter.state:
        if adapter.later is not None and event.event == adapter.later.event:
            ticket = str(event.data.get("ticket", ""))
        if event.number <= 1:
            return Filed("", "", newest)
        event = await _event(worker, tenant, letter, event.number - 1)
    return Filed("" if adapter is None else event.digest(), ticket, newest)


async def _event(worker: Worker, tenant: str, letter: LetterState, number: int) -> Event:
    found = await worker.recorder.query("letter_records", tenant, bytes.fromhex(letter.letter), number - 1)
    row = found[0][1]
    return read_event(decode_artifact(worker.cipher_of(tenant).open(row[1], row[-1]).artifact).event)
