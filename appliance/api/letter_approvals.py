"""Approvals of an event: signatures of the approvers that the tenant's approval policies name (control QUORUM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.api.callers import Caller
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Approval
from appliance.letters.judge import Decision

if TYPE_CHECKING:
    from appliance.api.worker import Worker


async def check_approvals(_worker: Worker, _caller: Caller, decision: Decision, _approvals: list[Approval]) -> None:
    """Raises ApprovalMissing."""
    if decision.steps:
        wanted = ", ".join(step.policy for step in decision.steps)
        raise ApprovalMissing(f"the event needs the approvers of {wanted}")
