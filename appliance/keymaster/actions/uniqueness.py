"""The key by which a tenant's letters are used once (control ONCE): made where there is none, and never followed.

Under another key the same invoice has another hash: what was used under the first would be found no more. So there is
no rotation, and a lost key is not replaced where anything was ever used under it.
"""

from __future__ import annotations

import asyncio

import msgspec

from appliance.box.settings import TenantSettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import MakeUniquenessKey
from appliance.errors import Conflict
from appliance.keymaster.actions.keys import was_begun
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.mac_keys import make_mac_key
from appliance.keymaster.registry import StepResult, executor
from appliance.keymaster.tenant_settings import tenant_of, with_tenant


class UniquenessKept(Conflict):
    """Something was used once under a key of uniqueness, and would be found no more under another."""

    code = "uniqueness-kept"
    title = "A key of uniqueness is never replaced"
    control = "ONCE"


async def may_make(room: Room, proposal: Proposal, action: MakeUniquenessKey) -> None:
    """The tenant has no such key, and nothing was ever used under one."""
    if action.tenant is None:
        raise DocumentRefused("keys of uniqueness are a tenant's or a federation's")
    if tenant_of(room.settings, action.tenant).uniqueness_key is not None:
        if was_begun(room, proposal):
            return  # an earlier run may have made it: the step finds whether it is that one
        raise UniquenessKept("the tenant has a key of uniqueness, and nothing takes its place")
    await check_never_used(room, action.tenant, "")


async def check_never_used(room: Room, tenant: str, scope: str) -> None:
    """Whether no letter has ever used anything in a scope. Raises UniquenessKept."""
    if await room.administer(lambda admin: admin.query("scope_used", tenant, scope)):
        raise UniquenessKept("letters use something in that scope under an earlier key: it would be found no more")


@executor(MakeUniquenessKey, check=may_make)
async def make_uniqueness_key(ctx: ExecutionContext, action: MakeUniquenessKey) -> StepResult:
    tenant = tenant_of(ctx.settings, str(action.tenant))
    token = await asyncio.to_thread(ctx.room.user_token, tenant.token)
    uri = await make_mac_key(ctx, token, tenant.token, f"{tenant.name}-uniqueness-{ctx.key_id.hex()[:8]}")
    if tenant.uniqueness_key not in {None, uri}:
        raise UniquenessKept("the tenant has a key of uniqueness, and nothing takes its place")

    def placed(one: TenantSettings) -> TenantSettings:
        return msgspec.structs.replace(one, uniqueness_key=uri)

    await ctx.room.change_settings(lambda settings: with_tenant(settings, tenant.name, placed))
    return StepResult({"tenant": tenant.name, "token": tenant.token, "id": ctx.key_id.hex()})
