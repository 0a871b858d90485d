"""An event's effects for the recorder: steps of letters, moves of value, claims and finds under keyed hashes, tallies.

Claims' hashes are asked for together: an HSM on the network takes milliseconds for each, and one that is near answers
what follows at once in less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from appliance.api.letters.counted import counted
from appliance.api.letters.finds import pair_effects
from appliance.api.letters.views import close_view
from appliance.letters.dues import first_dues
from appliance.letters.effects import uses
from appliance.letters.event import ApprovalStep, Event
from appliance.letters.kind import Kind
from appliance.letters.money import parse_amount
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use, encoded, tenant_scope
from appliance.recorder.messages import Claim, Effect, LetterStands, LetterStep, ValueMove

if TYPE_CHECKING:
    from appliance.api.bodies import BodyCipher
    from appliance.api.worker import Worker


async def effects_of(
    worker: Worker,
    tenant: str,
    kind: Kind,
    before: LetterState | None,
    event: Event,
    states: tuple[LetterState, list[LetterState]],
    also: Iterable[Use] = (),
    approved: Sequence[ApprovalStep] = (),
) -> list[Effect]:
    """All of an event's effects; the event's record is the first entry of the command. `also`: what it uses beside what
    its kind's rules of uniqueness say (Decision.uses). `approved`: see appliance.api.letters.counted.

    Raises FieldRefused, NotPermitted and TokenUnavailable."""
    after, parts = states
    cipher = worker.cipher_of(tenant)
    effects: list[Effect] = [_step(cipher, kind, before, after)]
    effects += [_step(cipher, kind, None, part) for part in parts]
    effects += _moves(event, after, parts)
    stepped = {after.letter, *(part.letter for part in parts)}
    effects += [
        LetterStands(bytes.fromhex(one.letter), bytes.fromhex(one.head))
        for one in event.references
        if one.letter not in stepped
    ]
    used = [*uses(kind, before, after), *also]
    claims = [(worker.mac_of(tenant, use.scope), _message(tenant, use)) for use in used]
    counts = await counted(worker, tenant, kind, before, event, states, approved)
    asked = [mac(message) for mac, message in claims]
    keys = [await key for key in asked]
    own = bytes.fromhex(after.letter)
    effects += [
        Claim(use.scope, key, own, use.amount, use.capacity, use.again) for use, key in zip(used, keys, strict=True)
    ]
    effects += counts
    effects += pair_effects(cipher, tenant, kind, before, [after, *parts])
    return effects


def _message(tenant: str, use: Use) -> bytes:
    return encoded(use.scope or tenant_scope(tenant), use.name, use.values)


def _step(cipher: BodyCipher, kind: Kind, before: LetterState | None, after: LetterState) -> LetterStep:
    due, automatic = first_dues(kind, after)
    return LetterStep(
        letter=bytes.fromhex(after.letter),
        before=b"" if before is None else bytes.fromhex(before.head),
        after=bytes.fromhex(after.head),
        number=after.number,
        entry=0,
        kind=after.kind.id,
        state=after.state,
        view=close_view(cipher, after),
        due=due,
        automatic=automatic,
    )


def _moves(event: Event, after: LetterState, parts: list[LetterState]) -> list[Effect]:
    change = event.value
    if change is None:
        return []
    own = bytes.fromhex(after.letter)
    if change.move == "split":
        return [ValueMove(own, bytes.fromhex(part.letter), part.balance) for part in parts]
    amount = parse_amount(change.amount, change.currency)
    if not amount:
        return []
    return [ValueMove(b"", own, amount) if change.move in ("open", "raise") else ValueMove(own, b"", amount)]
