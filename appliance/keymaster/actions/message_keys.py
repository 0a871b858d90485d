"""The key that partners' messages are encrypted to: made beside a tenant's release keys, followed by the next one.

It signs nothing, agrees on secrets and does nothing else, like a release key, but has neither certificate nor states:
partners are told it over TLS, and what it opens is minutes old. The one before it still opens what was on its way.
"""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

import hsm
from appliance.box.settings import BoxSettings, MessageKeySettings, TenantSettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import MakeMessageKey
from appliance.errors import NotFound
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor
from appliance.keymaster.tenant_settings import tenant_of, with_tenant
from hsm.agreement import AgreementKey, settle_or_make_agreement_key
from hsm.inventory import TokenObject, list_objects
from hsm.public_keys import public_key_der

OPENING = 2
"""How many of a tenant's keys of messages open: the newest, and the one before it."""


async def may_make(room: Room, _proposal: Proposal, action: MakeMessageKey) -> None:
    """The token has the tenant's release keys. Another tenant's, and one that nobody has, are refused alike."""
    if action.tenant is None:
        raise DocumentRefused("keys of messages are a tenant's")
    owner = tenant_of(room.settings, action.tenant)
    if action.token not in {key.token for key in owner.agreement_keys}:
        raise NotFound("there is no such token of release keys")


@executor(MakeMessageKey, check=may_make)
async def make_message_key(ctx: ExecutionContext, action: MakeMessageKey) -> StepResult:
    label = f"{action.tenant}-message-{ctx.key_id.hex()[:8]}"
    ledger = ctx.room.ledger
    ledger.expect(action.token, label, ctx.digest, ctx.step)
    public, objects = await asyncio.to_thread(_make, ctx, action.token, label)
    now = int(ctx.judged.timestamp() * 1_000_000)
    with ctx.room.journal.transaction():
        ledger.take(action.token, objects, now, origin=ctx.digest, step=ctx.step)
    entry = MessageKeySettings(token=action.token, key_uri=str(hsm.Pkcs11Uri(object=label, id=ctx.key_id)))
    await ctx.room.change_settings(lambda settings: _with(settings, str(action.tenant), entry))
    facts = {
        "tenant": action.tenant,
        "token": action.token,
        "id": ctx.key_id.hex(),
        "public_key": hashlib.sha256(public).hexdigest(),
    }
    return StepResult(facts, {"public-key.der": public})


def _make(ctx: ExecutionContext, name: str, label: str) -> tuple[bytes, list[TokenObject]]:
    token = ctx.room.user_token(name)
    settle_or_make_agreement_key(token, label, id=ctx.key_id)
    public = AgreementKey.find(token, hsm.Pkcs11Uri(object=label, id=ctx.key_id)).public_key
    made = [one for one in list_objects(token) if one.id == ctx.key_id and one.kind in {"private-key", "public-key"}]
    return public_key_der(public), made


def _with(settings: BoxSettings, name: str, entry: MessageKeySettings) -> BoxSettings:
    """The settings in which the key is the first; there already, it stays in its place."""

    def placed(tenant: TenantSettings) -> TenantSettings:
        if entry in tenant.message_keys:
            return tenant
        return msgspec.structs.replace(tenant, message_keys=[entry, *tenant.message_keys][:OPENING])

    return with_tenant(settings, name, placed)
