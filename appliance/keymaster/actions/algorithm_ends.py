"""Until when verifiers may rely on algorithms: the box's quorum says so, and the next trust bundle tells them."""

from __future__ import annotations

import msgspec

from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import SetAlgorithmEnds
from appliance.evidence.bundle import AlgorithmEnd, TrustRefused
from appliance.evidence.strength import algorithms_of
from appliance.keymaster.certificates.algorithm_ends import parse_ends, write_ends
from appliance.keymaster.certificates.trust_changes import trust_published
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor


async def sensible(_room: Room, _proposal: Proposal, action: SetAlgorithmEnds) -> None:
    ends_of(action)


def ends_of(action: SetAlgorithmEnds) -> list[AlgorithmEnd]:
    """What the action says. Raises DocumentRefused for a time that does not exist, or two ends of the same."""
    try:
        ends = parse_ends(action.algorithms)
        algorithms_of(ends)
    except (msgspec.ValidationError, TrustRefused) as error:
        raise DocumentRefused(f"ends of algorithms: {error}") from None
    if len({(end.algorithm, end.below_bits) for end in ends}) < len(ends):
        raise DocumentRefused("an algorithm has one end, and one below each number of bits")
    return ends


@executor(SetAlgorithmEnds, check=sensible)
async def set_algorithm_ends(ctx: ExecutionContext, action: SetAlgorithmEnds) -> StepResult:
    write_ends(ctx.home.algorithm_ends, ends_of(action))
    return StepResult({"algorithms": list(action.algorithms), "trust_bundle": await trust_published(ctx.room)})
