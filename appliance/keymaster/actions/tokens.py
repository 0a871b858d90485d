"""A new token, with PINs of the keymaster's own making that nobody ever sees."""

from __future__ import annotations

import asyncio

import msgspec

import hsm
from appliance.box.settings import BoxSettings, TokenSettings
from appliance.ceremonies import DocumentRefused, Proposal, proposal_digest
from appliance.ceremonies.actions import CreateTenant, InitialiseToken
from appliance.errors import Conflict
from appliance.keymaster.actions.keys import now_us
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import KeyLedger
from appliance.keymaster.keys.new_tokens import check_free, keep_pins, make_token
from appliance.keymaster.keys.release_keys import makes_release_token
from appliance.keymaster.registry import StepResult, executor
from hsm.inventory import list_objects


async def may_initialise(room: Room, proposal: Proposal, action: InitialiseToken) -> None:
    """A name that no token of the box has."""
    named = [other.token for other in proposal.actions if isinstance(other, InitialiseToken)]
    if named.count(action.token) > 1:
        raise DocumentRefused("a token is made once")
    made = {other.name for other in proposal.actions if isinstance(other, CreateTenant)}
    if action.tenant is not None and action.tenant not in made and not makes_release_token(proposal, action):
        raise DocumentRefused("a tenant has one token, and others for release keys that the same ceremony makes")
    if _made_here(room.ledger, action.token, proposal):
        return
    check_free(room.settings, action.token)


def _made_here(ledger: KeyLedger, token: str, proposal: Proposal) -> bool:
    return ledger.origin(token) == proposal_digest(proposal)


@executor(InitialiseToken, check=may_initialise)
async def initialise_token(ctx: ExecutionContext, action: InitialiseToken) -> StepResult:
    """Make the token, have its PINs kept, and begin its ledger. The box knows it from then on; nobody uses it yet."""
    wanted, pins = await asyncio.to_thread(make_token, ctx, action.token)
    await keep_pins(ctx, action.token, pins)
    await ctx.room.change_settings(lambda settings: _with(settings, wanted))
    objects = await asyncio.to_thread(lambda: list_objects(ctx.room.user_token(action.token)))
    if objects and not _made_here(ctx.room.ledger, action.token, ctx.proposal):
        raise Conflict("the new token is not empty")
    ctx.room.ledger.begin(action.token, objects, now_us(), origin=ctx.digest, step=ctx.step)
    uri = hsm.Pkcs11Uri.parse(wanted.uri)
    return StepResult({"token": action.token, "serial": uri.serial})


def _with(settings: BoxSettings, wanted: TokenSettings) -> BoxSettings:
    if any(token.name == wanted.name for token in settings.tokens):
        return settings
    return msgspec.structs.replace(settings, tokens=[*settings.tokens, wanted])
