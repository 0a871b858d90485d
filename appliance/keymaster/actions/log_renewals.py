"""Under which hash the logs may go on: the decision alone. `cinnabar log renew` does it, on a stopped box."""

from __future__ import annotations

from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import RenewLogs
from appliance.keymaster.certificates.log_renewals import LogRenewals, read_renewals, write_renewals
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor
from appliance.log.eras import eras_of


async def sensible(room: Room, _proposal: Proposal, action: RenewLogs) -> None:
    """No log has been under that hash before."""
    for log in room.settings.logs:
        if any(era.hashing.name == action.hash for era in eras_of(log)):
            raise DocumentRefused(f"{log.origin} is, or has been, under {action.hash}")


@executor(RenewLogs, check=sensible)
async def renew_logs(ctx: ExecutionContext, action: RenewLogs) -> StepResult:
    path = ctx.home.log_renewals
    decided = [one for one in read_renewals(path).decided if one != action.hash]
    write_renewals(path, LogRenewals(decided=[*decided, action.hash]))
    command = f"cinnabar log renew --hash {action.hash}"
    return StepResult({"hash": action.hash, "logs": [log.origin for log in ctx.settings.logs], "still_to_do": command})
