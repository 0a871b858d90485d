"""Approval policies of a tenant's letters: kept version by version, each naming the one before by its digest."""

from __future__ import annotations

import asyncio

from appliance.box.home import Home
from appliance.box.versions import keep_version
from appliance.ceremonies import DocumentRefused, Proposal, decode, digest, encode
from appliance.ceremonies.actions import ApprovalTier, SetApprovalPolicy
from appliance.keymaster.approvers import ApprovalPolicy, approvers_of, policies_of, policy_names, publish_approvers
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor, tenant_name
from appliance.letters.fields import parse_limit


async def sensible(room: Room, _proposal: Proposal, action: SetApprovalPolicy) -> None:
    check_policy(room, action)


def check_policy(room: Room, action: SetApprovalPolicy) -> None:
    """Tiers of a currency rise, the last without end; approvers are persons of the constitution. DocumentRefused."""
    if action.tenant is None:
        raise DocumentRefused("an approval policy is a tenant's")
    known = {person.id for person in room.constitutions.in_force().persons}
    by_currency: dict[str, list[ApprovalTier]] = {}
    for tier in action.tiers:
        by_currency.setdefault(tier.currency, []).append(tier)
        if len(set(tier.approvers)) != len(tier.approvers) or not set(tier.approvers) <= known:
            raise DocumentRefused("approvers are persons of the constitution, each named once")
        if tier.threshold > len(tier.approvers):
            raise DocumentRefused("a threshold is not above the number of approvers")
    for currency, tiers in by_currency.items():
        ends = [_amount(tier.up_to) for tier in tiers]
        if ends != sorted(set(ends)) or ends[-1] != _ENDLESS:
            raise DocumentRefused(f"{currency}: amounts rise from tier to tier, and the last has no end")
    if not action.tiers:
        raise DocumentRefused("a policy has tiers")


_ENDLESS = 10**30


def _amount(text: str) -> int:
    """An amount of a tier in ten-thousandths; without end, larger than any."""
    return parse_limit(text) if text else _ENDLESS


def keep(home: Home, action: SetApprovalPolicy, proposal: str, step: int) -> ApprovalPolicy:
    """Write the next version, once for a step. Blocks."""
    tenant = action.tenant or ""
    texts = policies_of(home, tenant, action.policy)
    last = decode(texts[-1], ApprovalPolicy) if texts else None
    if last is not None and (last.proposal, last.step) == (proposal, step):
        return last
    made = ApprovalPolicy(
        tenant=tenant,
        policy=action.policy,
        version=len(texts) + 1,
        previous=digest(texts[-1]) if texts else None,
        tiers=action.tiers,
        proposal=proposal,
        step=step,
    )
    keep_version(home.policies, tenant, action.policy, f"{made.version}.json", encode(made))
    return made


@executor(SetApprovalPolicy, check=sensible)
async def set_approval_policy(ctx: ExecutionContext, action: SetApprovalPolicy) -> StepResult:
    made = await asyncio.to_thread(keep, ctx.home, action, ctx.digest, ctx.step)
    await publish_approvers(ctx.room)
    text = encode(made)
    facts = {"tenant": made.tenant, "policy": made.policy, "version": made.version, "digest": digest(text)}
    return StepResult(facts, {f"{made.policy}-{made.version}.json": text})


@answers("policies")
async def policies(room: Room, tenant: str) -> list[bytes]:
    """The newest version of each of a tenant's approval policies, canonical."""
    names = policy_names(room.home, tenant_name(tenant))
    return [versions[-1] for name in names if (versions := policies_of(room.home, tenant, name))]


@answers("approving")
async def approving(room: Room) -> dict[str, list[str]]:
    """Tenant to the persons of the constitution that its approval policies name; nobody before the founding."""
    if room.constitutions.refusal is not None or not room.constitutions.founded:
        return {}
    law, tenants = room.constitutions.in_force(), [tenant.name for tenant in room.settings.tenants]

    def named() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for tenant in tenants:
            try:
                found[tenant] = [person.id for person in approvers_of(room.home, tenant, law).persons]
            except DocumentRefused:
                continue  # nobody approves by a policy that cannot be read
        return found

    return await asyncio.to_thread(named)
