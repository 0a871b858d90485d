"""Keys of uniqueness, made by a step of a ceremony: secret keys that make MACs and never leave their token (ONCE)."""

from __future__ import annotations

import asyncio
import contextlib

import hsm
from appliance.keymaster.context import ExecutionContext
from hsm.inventory import TokenObject, list_objects
from hsm.mac import generate_mac_key


async def make_mac_key(ctx: ExecutionContext, token: hsm.Token, name: str, label: str) -> str:
    """The URI of the step's key on the token called `name`; a run after a crash finds the first one's. Raises HsmError:
    what somebody else put there under the step's id, from outside the token, is refused as weak."""
    ledger = ctx.room.ledger
    ledger.expect(name, label, ctx.digest, ctx.step)
    objects = await asyncio.to_thread(_make, ctx, token, label)
    now = int(ctx.judged.timestamp() * 1_000_000)
    with ctx.room.journal.transaction():
        if name not in ledger.tokens():
            ledger.begin(name, [], now, origin=ctx.digest, step=ctx.step)
        ledger.take(name, objects, now, origin=ctx.digest, step=ctx.step)
    return str(_uri(ctx, label))


def _uri(ctx: ExecutionContext, label: str) -> hsm.Pkcs11Uri:
    return hsm.Pkcs11Uri(object=label, id=ctx.key_id, type="secret-key")


def _make(ctx: ExecutionContext, token: hsm.Token, label: str) -> list[TokenObject]:
    with contextlib.suppress(hsm.KeyExists):  # an earlier run of this step made it
        generate_mac_key(token, label, id=ctx.key_id)
    token.mac_key(_uri(ctx, label))  # of one purpose, or it is refused
    return [one for one in list_objects(token) if (one.kind, one.label, one.id) == ("secret-key", label, ctx.key_id)]
