"""Which approval policies a kind asks for, and what a tenant's officers may begin with where it has none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from appliance.ceremonies.actions import ApprovalTier
from appliance.letters.kind import Kind

ALONE_UP_TO: Final = "1000000"
"""Amount up to which one approver is enough, of what is proposed to begin with."""
CURRENCY: Final = "CNY"
"""Of a policy whose events have no amount: any currency's tier without end is theirs."""


def asked_for(kind: Kind) -> dict[str, set[str]]:
    """The policies that a kind's events name, each with the currencies of its tiers."""
    found: dict[str, set[str]] = {}
    for event in kind.events.values():
        for tier in event.approvals.tiers if event.approvals is not None else ():
            for step in tier.steps:
                found.setdefault(step.policy, set()).update({tier.currency} if tier.currency is not None else ())
    return found


def missing(kinds: Iterable[Kind], known: Iterable[str]) -> dict[str, set[str]]:
    """The policies that kinds ask for and nobody has set, with their currencies, by name."""
    found: dict[str, set[str]] = {}
    for kind in kinds:
        for policy, currencies in asked_for(kind).items():
            found.setdefault(policy, set()).update(currencies)
    return {policy: found[policy] for policy in sorted(found.keys() - set(known))}


def proposed(wanted: Mapping[str, set[str]], officers: Sequence[str]) -> dict[str, list[ApprovalTier]]:
    """What officers may begin with: of themselves one up to an amount, and two above it, for each policy that is
    missing. It is a proposal that they change as they like before they sign it."""
    return {policy: _tiers(sorted(currencies) or [CURRENCY], officers) for policy, currencies in wanted.items()}


def _tiers(currencies: Sequence[str], officers: Sequence[str]) -> list[ApprovalTier]:
    approvers = list(officers)
    made: list[ApprovalTier] = []
    for currency in currencies:
        for up_to, threshold in ((ALONE_UP_TO, 1), ("", 2)):
            made.append(
                ApprovalTier(
                    up_to=up_to, currency=currency, approvers=approvers, threshold=min(threshold, len(approvers))
                )
            )
    return made
