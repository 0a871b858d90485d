"""What an event counts, for the recorder: tallies of its kind's quotas, its meter; and which approvals limits want.

The recorder decides (control ONCE); what is asked here before anything is signed only tells approvers in time.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from appliance.instants import microseconds
from appliance.letter_limits import Rules, compile_rules, read_limit_file
from appliance.letters.counting import Whom, counts, metered
from appliance.letters.event import Event
from appliance.letters.kind import Kind, Step
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import tenant_scope, uniqueness_key
from appliance.recorder.messages import Effect, Meter, Tally

if TYPE_CHECKING:
    from appliance.api.worker import Worker

LABEL = b"whom|"
"""Before a keyed hash, in the label under which whom it hides is encrypted."""


class Whoms:
    """Whom counts are of, as keyed hashes with their labels: each hashed once an event."""

    def __init__(self, worker: Worker, tenant: str) -> None:
        self._mac: Callable[[], Callable[[bytes], bytes]] = lambda: worker.mac_of(tenant, "")
        self._scope = tenant_scope(tenant)
        self._cipher = worker.cipher_of(tenant)
        self._known: dict[str, tuple[str, bytes]] = {}

    def hidden(self, whom: Whom | None) -> tuple[str, bytes]:
        """(hash, hexadecimal; label, encrypted); nothing for nobody."""
        if whom is None:
            return "", b""
        known = self._known.get(whom.value)
        if known is None:
            key = uniqueness_key(self._mac(), self._scope, "by", [whom.value])
            known = key.hex(), self._cipher.close_bytes(LABEL + key, whom.label.encode())
            self._known[whom.value] = known
        return known


def counted(
    worker: Worker,
    tenant: str,
    kind: Kind,
    before: LetterState | None,
    event: Event,
    states: tuple[LetterState, list[LetterState]],
    approved: Sequence[str],
) -> list[Effect]:
    """Tallies and the meter of an event. `approved`: policies of limits whose approvals it holds, complete."""
    after, parts = states
    whoms = Whoms(worker, tenant)
    effects: list[Effect] = []
    for count in counts(kind, before, after, parts, event):
        whom, label = whoms.hidden(count.whom)
        name = f"{count.counter}/{count.window}/{whom}"
        effects.append(Tally(name, count.amount, None, count.counter, label, list(approved)))
    one = metered(kind, after, event)
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
) -> tuple[Step, ...]:
    """The approvals that the tenant's limits want of an event, as its counters stand now."""
    rules = await limit_rules(worker, tenant)
    found = [one for one in counts(kind, before, *states, event) if one.counter in rules.limits and one.amount > 0]
    if not found:
        return ()
    whoms = Whoms(worker, tenant)
    names = [f"{one.counter}/{one.window}/{whoms.hidden(one.whom)[0]}" for one in found]
    amounts: list[int] = await worker.recorder.query("counter_amount", tenant, names)
    wanted_policies = set()
    for one, amount in zip(found, amounts, strict=True):
        tier = rules.limits[one.counter].tier(amount + one.amount)
        if tier is not None and tier.policy is not None:
            wanted_policies.add(tier.policy)
    return tuple(Step(policy=policy) for policy in sorted(wanted_policies))


async def limit_rules(worker: Worker, tenant: str) -> Rules:
    """The limits in force."""
    found = await worker.recorder.query("letter_terms", tenant)
    files = [document for form, _, _, document in found if form == "limits"]
    return compile_rules(read_limit_file(files[-1])) if files else Rules()
