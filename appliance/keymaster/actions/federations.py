"""Federations: registers of what is used once among several institutions of the box (controls ONCE, CHANNEL).

The box's officers make one and say who may join; each tenant's quorum joins and leaves. A tenant that was not admitted
and a federation that is not there are answered alike, and nothing tells a member who the others are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from appliance.box.settings import BoxSettings, FederationSettings, TokenSettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import AdmitToFederation, CreateFederation, JoinFederation, LeaveFederation
from appliance.errors import Conflict, NotFound
from appliance.keymaster import register
from appliance.keymaster.actions.keys import was_begun
from appliance.keymaster.actions.uniqueness import check_never_used
from appliance.keymaster.context import ExecutionContext, Room, token_settings
from appliance.keymaster.keys.mac_keys import make_mac_key
from appliance.keymaster.keys.new_tokens import keep_pins, make_token
from appliance.keymaster.keys.ownership import check_unused
from appliance.keymaster.registry import StepResult, executor

# The box's officers


async def may_create(room: Room, proposal: Proposal, action: CreateFederation) -> None:
    """A name under which nothing was ever used, a token of federations or nobody's, and tenants of the box."""
    settings = room.settings
    if any(one.name == action.name for one in settings.federations) and not was_begun(room, proposal):
        raise Conflict(f"the box has a federation {action.name}")
    _check_institutions(settings, action.institutions)
    if _has_token(settings, action.token) and all(one.token != action.token for one in settings.federations):
        check_unused(settings, action.token)
        if any(key.token == action.token for key in room.ledger.keys(every=True)):
            raise Conflict(f"the token {action.token} has keys of another purpose")
    if not was_begun(room, proposal):
        await check_never_used(room, "", f"@{action.name}")


def _check_institutions(settings: BoxSettings, names: list[str]) -> None:
    if set(names) - {tenant.name for tenant in settings.tenants} or len(set(names)) != len(names):
        raise DocumentRefused("those who may join are tenants of this box, each named once")


def _has_token(settings: BoxSettings, name: str) -> bool:
    return any(token.name == name for token in settings.tokens)


@executor(CreateFederation, check=may_create)
async def create_federation(ctx: ExecutionContext, action: CreateFederation) -> StepResult:
    room = ctx.room
    if _has_token(ctx.settings, action.token):
        wanted = token_settings(ctx.settings, action.token)
        token = await asyncio.to_thread(room.user_token, action.token)
    else:
        wanted, pins = await asyncio.to_thread(make_token, ctx, action.token)
        token = await asyncio.to_thread(room.tokens.made, wanted, lambda: pins.user)
        await keep_pins(ctx, action.token, pins)
    uri = await make_mac_key(ctx, token, action.token, f"{action.name}-uniqueness")
    made = FederationSettings(
        name=action.name, tenants=[], institutions=list(action.institutions), token=action.token, key_uri=uri
    )
    known = next((one for one in ctx.settings.federations if one.name == action.name), None)
    if known is not None and known.key_uri != uri:
        raise Conflict(f"the box has a federation {action.name}")
    await room.change_settings(lambda settings: _with(settings, wanted, made))
    facts = {"federation": action.name, "token": action.token, "institutions": list(action.institutions)}
    return StepResult({**facts, "id": ctx.key_id.hex()})


def _with(settings: BoxSettings, token: TokenSettings, made: FederationSettings) -> BoxSettings:
    if any(one.name == made.name for one in settings.federations):
        return settings
    tokens = settings.tokens if _has_token(settings, token.name) else [*settings.tokens, token]
    return msgspec.structs.replace(settings, tokens=tokens, federations=[*settings.federations, made])


async def may_admit(room: Room, _proposal: Proposal, action: AdmitToFederation) -> None:
    """A federation of the box, and a tenant of it."""
    _find(room.settings, action.name)
    _check_institutions(room.settings, [action.institution])


@executor(AdmitToFederation, check=may_admit)
async def admit_to_federation(ctx: ExecutionContext, action: AdmitToFederation) -> StepResult:
    """Again changes nothing."""
    name = action.institution
    await ctx.room.change_settings(
        lambda settings: _changed(
            settings,
            action.name,
            lambda one: (
                one
                if name in one.institutions
                else msgspec.structs.replace(one, institutions=[*one.institutions, name])
            ),
        )
    )
    return StepResult({"federation": action.name, "institutions": [name]})


# The members


async def may_join(room: Room, proposal: Proposal, action: JoinFederation) -> None:
    """The box's officers admitted the tenant; it works, and is no member yet."""
    tenant = _own(action.tenant)
    found = _find(room.settings, action.federation)
    if tenant not in found.institutions:
        raise NotFound("there is no such federation")
    if await room.administer(lambda admin: register.tenant_state(admin, tenant)) != "active":
        raise Conflict("the tenant is suspended")
    if tenant in found.tenants and not was_begun(room, proposal):
        raise Conflict("the tenant is a member")


@executor(JoinFederation, check=may_join)
async def join_federation(ctx: ExecutionContext, action: JoinFederation) -> StepResult:
    await may_join(ctx.room, ctx.proposal, action)
    tenant = _own(action.tenant)

    def change(one: FederationSettings) -> FederationSettings:
        return one if tenant in one.tenants else msgspec.structs.replace(one, tenants=[*one.tenants, tenant])

    await ctx.room.change_settings(lambda settings: _changed(settings, action.federation, change))
    return StepResult({"tenant": tenant, "federation": action.federation, "state": "joined"})


async def may_leave(room: Room, proposal: Proposal, action: LeaveFederation) -> None:
    """The tenant is a member."""
    tenant = _own(action.tenant)
    found = _find(room.settings, action.federation)
    if tenant not in found.tenants and not (tenant in found.institutions and was_begun(room, proposal)):
        raise NotFound("there is no such federation")


@executor(LeaveFederation, check=may_leave)
async def leave_federation(ctx: ExecutionContext, action: LeaveFederation) -> StepResult:
    """What the tenant's letters use there stays used; it may come back while it is admitted."""
    tenant = _own(action.tenant)

    def change(one: FederationSettings) -> FederationSettings:
        return msgspec.structs.replace(one, tenants=[member for member in one.tenants if member != tenant])

    await ctx.room.change_settings(lambda settings: _changed(settings, action.federation, change))
    return StepResult({"tenant": tenant, "federation": action.federation, "state": "left"})


def _own(tenant: str | None) -> str:
    if tenant is None:
        raise DocumentRefused("members of federations are tenants")
    return tenant


def _find(settings: BoxSettings, name: str) -> FederationSettings:
    found = next((one for one in settings.federations if one.name == name), None)
    if found is None:
        raise NotFound("there is no such federation")
    return found


def _changed(
    settings: BoxSettings, name: str, change: Callable[[FederationSettings], FederationSettings]
) -> BoxSettings:
    federations = [change(one) if one.name == name else one for one in settings.federations]
    return msgspec.structs.replace(settings, federations=federations)
