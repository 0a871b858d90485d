"""A tenant's quota, and whether it may work at all. The box's officers may suspend a tenant, never act for it."""

from __future__ import annotations

from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import ResumeTenant, SetQuota, SuspendTenant
from appliance.errors import NotFound
from appliance.keymaster import register
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger_watch import settle_owner
from appliance.keymaster.registry import StepResult, answers, executor


def check_tenant(room: Room, name: str | None) -> None:
    """Raises NotFound."""
    if all(tenant.name != name for tenant in room.settings.tenants):
        raise NotFound("the box has no such tenant")


async def known(room: Room, proposal: Proposal, action: SetQuota | SuspendTenant | ResumeTenant) -> None:
    """The tenant is one of the box, or made by the same proposal."""
    from appliance.ceremonies.actions import CreateTenant  # noqa: PLC0415

    made = {other.name for other in proposal.actions if isinstance(other, CreateTenant)}
    if action.name not in made and await room.administer(lambda a: register.tenant_state(a, action.name)) is None:
        raise NotFound("the box has no such tenant")


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


@executor(ResumeTenant, check=known)
async def resume_tenant(ctx: ExecutionContext, action: ResumeTenant) -> StepResult:
    """What stopped it is settled first: see appliance.keymaster.keys.ledger_watch."""
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
