"""Refusals that the box seals: of events whose kind says so, where a condition, a time or a use refused them (K20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from appliance.api.callers import Caller
from appliance.api.letters.making import Wanted
from appliance.api.letters.sealing import make_statement
from appliance.errors import CinnabarError
from appliance.instants import rfc3339
from appliance.letters.errors import ConditionNotMet, EventRefused
from appliance.letters.event import Actor, KindReference
from appliance.letters.refusal import Refusal, asked_digest, clear_of, conditions_found
from appliance.recorder.errors import Taken
from appliance.recorder.messages import Tally

if TYPE_CHECKING:
    from appliance.api.worker import Worker

REFUSALS_OF_A_DAY: Final = 1_000
"""Sealed for one application; what is refused above it is told, and not sealed."""
SEALED: Final = (ConditionNotMet, EventRefused, Taken)


async def seal_refusal(worker: Worker, caller: Caller, wanted: Wanted, error: CinnabarError) -> None:
    """Give the error the box's sealed statement of it, where the kind wants one and it can be had."""
    kind, asked = wanted.loaded.kind, wanted.asked
    rule = kind.events.get(wanted.event)
    if rule is None or rule.refusal != "sealed" or not isinstance(error, SEALED):
        return
    now = rfc3339(worker.clock.read().time_us)
    sound = not isinstance(error, EventRefused)
    document = Refusal(
        actor=Actor(application=caller.application, box=worker.settings.box_id, tenant=caller.tenant),
        asked=asked_digest(wanted.event, asked.fields, asked.data),
        at=now,
        code=error.code,
        conditions=conditions_found(error.looked) if isinstance(error, ConditionNotMet) else [],
        data=dict(asked.data) if sound else {},
        detail=str(error),
        event=wanted.event,
        fields=clear_of(kind, rule, asked.fields) if sound else {},
        head=None if wanted.before is None else wanted.before.head,
        kind=KindReference(digest=wanted.loaded.digest, id=kind.id, version=kind.version),
        letter=None if wanted.before is None else wanted.letter,
    ).canonical()
    tally = Tally(f"@refusals/{caller.application}/{now[:10]}", 1, REFUSALS_OF_A_DAY)
    try:
        made = await make_statement(worker, caller, document, tally, key=asked.key, unit=asked.unit)
    except CinnabarError:  # too many of them, or nothing is sealed now: the refusal itself stands
        return
    error.sealed = (made.record, made.seal)
