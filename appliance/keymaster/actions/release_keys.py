"""The end of a release key (control VEIL): what was veiled to it and is not opened is lost with it, as officers say."""

from __future__ import annotations

import hashlib

from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import DestroyReleaseKey
from appliance.errors import Conflict
from appliance.keymaster.actions.keys import check_public_key, destroy_everywhere, was_begun
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.release_keys import name_in_envelopes, unopened
from appliance.keymaster.keys.states import after
from appliance.keymaster.registry import StepResult, executor


class UnopenedDiffers(Conflict):
    """The proposal states another number of values that are not opened than the box counts."""

    code = "unopened-differs"
    title = "Another number of veiled values is not opened"
    control = "VEIL"


async def may_destroy(room: Room, proposal: Proposal, action: DestroyReleaseKey) -> None:
    """The key takes nothing new any more, and the officers know how much is lost with it."""
    key = room.ledger.key(action.tenant, action.key)
    if key.purpose != "release":
        raise DocumentRefused("the key is no release key")
    check_public_key(key, action.public_key)
    if key.state == "destroyed" and was_begun(room, proposal):
        return  # done by an earlier run
    after(key.state, "destroy")
    lost = await unopened(room, key)
    if lost != action.unopened:
        raise UnopenedDiffers(f"{lost} values that were veiled to the key are not opened, and the proposal must say so")


@executor(DestroyReleaseKey, check=may_destroy)
async def destroy_release_key(ctx: ExecutionContext, action: DestroyReleaseKey) -> StepResult:
    """It leaves the settings and its token. The number is looked at again: an opening may have come in between."""
    await may_destroy(ctx.room, ctx.proposal, action)
    key = ctx.room.ledger.key(action.tenant, action.key)
    gone = await destroy_everywhere(ctx, key)
    return StepResult(
        {
            "key": key.label,
            "id": key.cka_id.hex(),
            "release_key": name_in_envelopes(key),
            "public_key": hashlib.sha256(key.public_key).hexdigest(),
            "unopened": action.unopened,
            "state": "destroyed",
            "found": gone,
        }
    )
