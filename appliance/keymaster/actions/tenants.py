"""A tenant's registered name, its quota, and whether it may work at all. The box's officers may suspend a tenant, never
act for it."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.box.settings import TenantSettings
from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import RenameTenant, ResumeTenant, SetQuota, SuspendTenant
from appliance.errors import NotFound
from appliance.keymaster import register
from appliance.keymaster.certificates.naming import check_registered
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger_watch import last_found, settle_owner
from appliance.keymaster.keys.ownership import note
from appliance.keymaster.registry import StepResult, answers, executor
from appliance.keymaster.standing import check_taken, last_word
from appliance.keymaster.tenant_settings import tenant_of, with_tenant


async def known(room: Room, proposal: Proposal, action: SetQuota | SuspendTenant | ResumeTenant | RenameTenant) -> None:
    """The tenant is one of the box, or made by the same proposal."""
    from appliance.ceremonies.actions import CreateTenant  # noqa: PLC0415

    made = {other.name for other in proposal.actions if isinstance(other, CreateTenant)}
    if action.name not in made and await room.administer(lambda a: register.tenant_state(a, action.name)) is None:
        raise NotFound("the box has no such tenant")


async def may_rename(room: Room, proposal: Proposal, action: RenameTenant) -> None:
    """The tenant is there, and the name can stand in certificates."""
    await known(room, proposal, action)
    check_registered(action.title)


@executor(RenameTenant, check=may_rename)
async def rename_tenant(ctx: ExecutionContext, action: RenameTenant) -> StepResult:
    """The name that certificates say from now on; those that are in force stay as they are."""
    standing = tenant_of(ctx.settings, action.name)
    # What stood before is noted: a run after a crash finds the new name in the settings.
    before = msgspec.json.decode(note(ctx, "registered-before", msgspec.json.encode(standing.organisation)))

    def renamed(one: TenantSettings) -> TenantSettings:
        return msgspec.structs.replace(one, organisation=action.title)

    await ctx.room.change_settings(lambda settings: with_tenant(settings, action.name, renamed))
    facts: dict[str, Any] = {"tenant": action.name, "registered": action.title, "registered_before": before}
    return StepResult(facts)


@executor(SetQuota, check=known)
async def set_quota(ctx: ExecutionContext, action: SetQuota) -> StepResult:
    quota = action.quota
    await ctx.administer(
        lambda admin: admin.set_quota(
            action.name,
            signatures=quota.signatures,
            stamps=quota.stamps,
            storage_bytes=quota.storage_bytes,
            ceremony=ctx.digest,
        )
    )
    return StepResult(
        {
            "tenant": action.name,
            "signatures": quota.signatures,
            "stamps": quota.stamps,
            "storage_bytes": quota.storage_bytes,
        }
    )


@executor(SuspendTenant, check=known)
async def suspend_tenant(ctx: ExecutionContext, action: SuspendTenant) -> StepResult:
    """At once everywhere, also on open connections."""
    await ctx.administer(lambda admin: register.set_tenant_state(admin, action.name, "suspended", ctx.digest))
    return StepResult({"tenant": action.name, "state": "suspended"})


async def may_resume(room: Room, proposal: Proposal, action: ResumeTenant) -> None:
    """The tenant is stopped, and nothing has stopped it since officers were asked."""
    await known(room, proposal, action)
    state = await room.administer(lambda admin: register.tenant_state(admin, action.name))
    word = last_word(room, proposal, lambda one: isinstance(one, SuspendTenant) and one.name == action.name)
    found = last_found(room, action.name)
    since = max((at for at in (word, found) if at is not None), default=None)
    check_taken(room, proposal, stopped=state == "suspended" or found is not None, since_us=since)


@executor(ResumeTenant, check=may_resume)
async def resume_tenant(ctx: ExecutionContext, action: ResumeTenant) -> StepResult:
    """What stopped it is settled first: see appliance.keymaster.keys.ledger_watch."""
    await may_resume(ctx.room, ctx.proposal, action)
    settled = await settle_owner(ctx, action.name)
    await ctx.administer(lambda admin: register.set_tenant_state(admin, action.name, "active", ctx.digest))
    return StepResult({"tenant": action.name, "state": "active", "settled": settled})


@answers("tenants")
async def tenants(room: Room) -> list[dict[str, object]]:
    """Every tenant with its state, and what it may use and has used of the day; for the box's officers."""
    states = await room.administer(lambda admin: admin.query("register_states"))
    quotas = await room.administer(lambda admin: admin.query("quotas"))
    settings = {tenant.name: tenant for tenant in room.settings.tenants}
    origins = {log.tenant: log for log in room.settings.logs}
    return [
        {
            "name": name,
            "state": state,
            "organisation": settings[name].organisation if name in settings else None,
            "token": settings[name].token if name in settings else None,
            "log": origins[name].origin if name in origins else None,
            "published": name in origins and origins[name].published,
            "quota": dict(zip(("signatures", "stamps", "storage_bytes"), quotas[name]["quota"], strict=True)),
            "used": dict(zip(("signatures", "stamps", "storage_bytes"), quotas[name]["used"], strict=True)),
        }
        for name, state in states["tenants"]
    ]
