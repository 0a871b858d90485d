"""What an event counts, for the recorder: tallies of its kind's quotas, its meter; and which approvals limits want.

The recorder decides (control ONCE); what is asked here before anything is signed only tells approvers in time.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from appliance.instants import microseconds
from appliance.letter_limits import Rules, compile_rules, read_limit_file
from appliance.letter_limits.rules import above
from appliance.letters.counting import Whom, counts, metered
from appliance.letters.event import ApprovalStep, Event
from appliance.letters.kind import Kind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import tenant_scope, uniqueness_key
from appliance.recorder.errors import LimitExceeded
from appliance.recorder.messages import Effect, Meter, Tally

if TYPE_CHECKING:
    from appliance.api.worker import Worker

LABEL = b"whom|"
"""Before a keyed hash, in the label under which whom it hides is encrypted."""


MOST_WHOM: Final = 4_096
"""Persons whose keyed hash a worker remembers: those whom counts are of come again and again."""


class Whoms:
    """Whom counts are of, as keyed hashes with their labels: each hashed once."""

    def __init__(self, known: Mapping[Whom, tuple[str, bytes]]) -> None:
        self._known = known

    @classmethod
    async def of(cls, worker: Worker, tenant: str, persons: Iterable[Whom | None]) -> Self:
        """Raises NotPermitted and TokenUnavailable as `Worker.mac_of` does."""
        remembered = worker.whom.setdefault(tenant, {})
        known: dict[Whom, tuple[str, bytes]] = {}
        for whom in {one for one in persons if one is not None}:
            found = remembered.get(whom)
            if found is None:
                key = await uniqueness_key(worker.mac_of(tenant, ""), tenant_scope(tenant), "by", [whom.value])
                found = key.hex(), worker.cipher_of(tenant).close_bytes(LABEL + key, whom.label.encode())
                if len(remembered) >= MOST_WHOM:
                    remembered.clear()
                remembered[whom] = found
            known[whom] = found
        return cls(known)

    def hidden(self, whom: Whom | None) -> tuple[str, bytes]:
        """(hash, hexadecimal; label, encrypted); nothing for nobody."""
        return ("", b"") if whom is None else self._known[whom]


async def counted(
    worker: Worker,
    tenant: str,
    kind: Kind,
    before: LetterState | None,
    event: Event,
    states: tuple[LetterState, list[LetterState]],
    approved: Sequence[ApprovalStep],
) -> list[Effect]:
    """Tallies and the meter of an event. `approved`: steps whose approvals it holds, complete. One that was not over
    a limit does not serve it, though its policy be the same."""
    after, parts = states
    changes, one = counts(kind, before, after, parts, event), metered(kind, after, event)
    whoms = await Whoms.of(worker, tenant, [one.whom, *(count.whom for count in changes)])
    effects: list[Effect] = []
    for count in changes:
        whom, label = whoms.hidden(count.whom)
        name = f"{count.counter}/{count.window}/{whom}"
        policies = [step.policy for step in approved if count.counter in step.limits]
        effects.append(Tally(name, count.amount, None, count.counter, label, policies))
    whom, label = whoms.hidden(one.whom)
    at = microseconds(datetime.datetime.fromisoformat(event.at))
    effects.append(Meter(one.kind, one.event, one.day, at, one.currency, one.amount, whom, label))
    return effects


async def limit_steps(
    worker: Worker,
    tenant: str,
    kind: Kind,
    before: LetterState | None,
    event: Event,
    states: tuple[LetterState, list[LetterState]],
    after: int,
) -> tuple[ApprovalStep, ...]:
    """The approvals that the tenant's limits want of an event, as its counters stand now, each with the limits whose
    it is. `after`: how many steps stand before them. Raises LimitExceeded."""
    rules = await limit_rules(worker, tenant)
    found = [one for one in counts(kind, before, *states, event) if one.counter in rules.limits and one.amount > 0]
    if not found:
        return ()
    whoms = await Whoms.of(worker, tenant, [one.whom for one in found])
    names = [f"{one.counter}/{one.window}/{whoms.hidden(one.whom)[0]}" for one in found]
    amounts: list[int] = await worker.recorder.query("counter_amount", tenant, names)
    wanted: dict[str, set[str]] = {}
    for one, amount in zip(found, amounts, strict=True):
        limit = rules.limits[one.counter]
        tier = limit.tier(amount + one.amount)
        if tier is None:
            raise LimitExceeded(above(one.counter, amount + one.amount, limit.most))
        if tier.policy is not None:
            wanted.setdefault(tier.policy, set()).add(one.counter)
    return tuple(
        ApprovalStep(limits=sorted(limits), policy=policy, step=step)
        for step, (policy, limits) in enumerate(sorted(wanted.items()), after)
    )


async def limit_rules(worker: Worker, tenant: str) -> Rules:
    """The limits in force."""
    found = await worker.recorder.query("letter_terms", tenant)
    files = [document for form, _, _, document in found if form == "limits"]
    return compile_rules(read_limit_file(files[-1])) if files else Rules()
