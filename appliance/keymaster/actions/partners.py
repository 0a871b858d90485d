"""Profiles of tenants' partners: kept version by version, each naming the one before by its digest."""

from __future__ import annotations

import asyncio

from appliance.box.home import Home
from appliance.box.partners import newest_profile
from appliance.box.versions import keep_version, names_of, version_files
from appliance.ceremonies import DocumentRefused, Proposal, digest, encode
from appliance.ceremonies.actions import SetPartner
from appliance.gateway import SCHEMES, PartnerProfile, PartnerRefused, check_profile
from appliance.keymaster.actions.kinds import newest_kinds
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor, tenant_name


async def sensible(room: Room, _proposal: Proposal, action: SetPartner) -> None:
    """The profile is sound, and what it names is there. Raises DocumentRefused."""
    if action.tenant is None:
        raise DocumentRefused("a partner is a tenant's")
    seal_keys = {one.name: one.scheme for one in room.settings.seal_keys if one.tenant == action.tenant}
    if seal_keys.get(action.answer_key) not in SCHEMES:
        raise DocumentRefused(f"answer_key: a seal key of the tenant that signs by one of {', '.join(sorted(SCHEMES))}")
    known = await asyncio.to_thread(newest_kinds, room.home, action.tenant)
    missing = [kind for kind in action.kinds if kind not in known]
    if missing:
        raise DocumentRefused(f"kinds: the tenant has no kind {missing[0]}")
    try:
        check_profile(_profile(action, 1, None, "", 0))
    except PartnerRefused as error:
        raise DocumentRefused(str(error)) from None


def _profile(action: SetPartner, version: int, previous: str | None, proposal: str, step: int) -> PartnerProfile:
    members = {name: getattr(action, name) for name in SetPartner.__struct_fields__}
    return PartnerProfile(**members, version=version, previous=previous, proposal=proposal, step=step)


def keep(home: Home, action: SetPartner, proposal: str, step: int) -> PartnerProfile:
    """Write the next version, once for a step. Blocks. Raises PartnerRefused."""
    tenant = action.tenant or ""
    last = newest_profile(home, tenant, action.partner)
    if last is not None and (last.proposal, last.step) == (proposal, step):
        return last
    previous = None if last is None else digest(encode(last))
    made = _profile(action, 1 if last is None else last.version + 1, previous, proposal, step)
    keep_version(home.partners, tenant, action.partner, f"{made.version}.json", encode(made))
    return made


@executor(SetPartner, check=sensible)
async def set_partner(ctx: ExecutionContext, action: SetPartner) -> StepResult:
    made = await asyncio.to_thread(keep, ctx.home, action, ctx.digest, ctx.step)
    text = encode(made)
    facts = {"tenant": made.tenant, "partner": made.partner, "version": made.version, "digest": digest(text)}
    return StepResult(facts, {f"{made.partner}-{made.version}.json": text})


@answers("partners")
async def partners(room: Room, tenant: str) -> list[bytes]:
    """The newest version of each of a tenant's partners' profiles, canonical."""
    name = tenant_name(tenant)

    def newest() -> list[bytes]:
        root = room.home.partners
        files = (version_files(root, name, one) for one in names_of(root, name))
        return [versions[-1].read_bytes() for versions in files if versions]

    return await asyncio.to_thread(newest)
