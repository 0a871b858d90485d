"""A second token with restored keys made the standby of its owner's token, and taken out again.

Nothing is changed before both tokens have signed with every key that they share: the box goes over to settings that
name the standby, one process after another, and each of them fails over and back by itself (hsm.routing).
"""

from __future__ import annotations

import asyncio

from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import EndStandby, RestoreKeys, SetStandby
from appliance.errors import Conflict
from appliance.keymaster.actions.keys import was_begun
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.release_keys import public_key_in
from appliance.keymaster.keys.standbys import check_end, check_set, find_pair, holdings, with_standby
from appliance.keymaster.registry import StepResult, executor
from hsm import Pkcs11Uri
from hsm.public_keys import public_key_der


async def may_set(room: Room, proposal: Proposal, action: SetStandby) -> None:
    """The owner's token, and one that serves nobody else, with keys of the first or to get some by this proposal."""
    pair = find_pair(room.settings, action.tenant, action.token, action.standby)
    check_set(room.settings, pair)
    if not any(isinstance(one, RestoreKeys) and one.token == action.standby for one in proposal.actions):
        holdings(room.ledger, action.tenant, pair)


@executor(SetStandby, check=may_set)
async def set_standby(ctx: ExecutionContext, action: SetStandby) -> StepResult:
    room = ctx.room
    pair = find_pair(ctx.settings, action.tenant, action.token, action.standby)
    check_set(ctx.settings, pair)
    held = holdings(room.ledger, action.tenant, pair)
    for key, copy in held.shared:
        await asyncio.to_thread(_prove, room, key)
        await asyncio.to_thread(_prove, room, copy)
    await room.change_settings(lambda settings: with_standby(settings, pair.first.name, pair.standby))
    return StepResult(
        {
            "token": action.token,
            "standby": action.standby,
            "shared_keys": [key.label for key, _ in held.shared],
            "unshared_keys": [key.label for key in held.first_only],
        }
    )


def _prove(room: Room, key: LedgerKey) -> None:
    """The token has this very key and signs with it: that is part of opening it. Blocks. Raises HsmError, Conflict."""
    found = public_key_in(room.user_token(key.token), Pkcs11Uri.parse(key.uri), key.scheme)
    if public_key_der(found) != key.public_key:
        raise Conflict(f"the token {key.token} has another key under the id of {key.label}")


async def may_end(room: Room, proposal: Proposal, action: EndStandby) -> None:
    """This token, and no other, stands by for the owner's."""
    pair = find_pair(room.settings, action.tenant, action.token, action.standby)
    if not was_begun(room, proposal):
        check_end(pair)


@executor(EndStandby, check=may_end)
async def end_standby(ctx: ExecutionContext, action: EndStandby) -> StepResult:
    """The keys stay in the token until they are destroyed."""
    pair = find_pair(ctx.settings, action.tenant, action.token, action.standby)
    if pair.first.standby_uri is not None:  # an earlier run may have done it
        check_end(pair)
        await ctx.room.change_settings(lambda settings: with_standby(settings, pair.first.name, None))
    return StepResult({"token": action.token, "standby": action.standby})
