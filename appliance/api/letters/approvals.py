"""Approvals of an event: signatures of the approvers that the tenant's approval policies name (control QUORUM).

Policies and persons come from the file that the keymaster writes (appliance.letters.approvers), looked at afresh at
every check: what officers have taken back counts no more.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from appliance.api.callers import Caller
from appliance.api.letters.schemas import StepNeeded
from appliance.box.home import Home
from appliance.ceremonies import DocumentRefused, decode
from appliance.instants import instant
from appliance.letters.approval_keys import event_approvers
from appliance.letters.approvals import Needed, check_complete, check_given, what_is_needed
from appliance.letters.approvers import BYTES, FILE, Approvers
from appliance.letters.event import Approval
from appliance.letters.judge import Decision

if TYPE_CHECKING:
    from appliance.api.worker import Worker

log = structlog.get_logger("api")


class ApproverFiles:
    """The file of each tenant, read again when it is another one."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._read: dict[str, tuple[tuple[int, int, int], Approvers]] = {}

    def of(self, tenant: str) -> Approvers | None:
        """What is in force now; None where nobody may approve: no ceremony has set a policy, or the file cannot be
        read."""
        path = self._home.policies / tenant / FILE
        try:
            with path.open("rb") as file:
                standing = os.fstat(file.fileno())
                mark = (standing.st_ino, standing.st_mtime_ns, standing.st_size)
                known = self._read.get(tenant)
                if known is not None and known[0] == mark:
                    return known[1]
                found = decode(file.read(BYTES + 1), Approvers, limit=BYTES)
        except FileNotFoundError:
            return None
        except (OSError, DocumentRefused) as error:
            log.error("approvers-unreadable", control="QUORUM", tenant=tenant, error=type(error).__name__)
            return None
        if found.tenant != tenant:
            log.error("approvers-unreadable", control="QUORUM", tenant=tenant, error="another tenant's")
            return None
        self._read[tenant] = mark, found
        return found


async def check_approvals(
    worker: Worker, caller: Caller, decision: Decision, approvals: list[Approval]
) -> bytes | None:
    """What travels beside the event so that others can check its approvals; None where it has none.

    Raises ApprovalMissing."""
    if not decision.steps and not approvals:
        return None
    approvers = worker.approvers.of(caller.tenant)
    needed = what_is_needed(decision.steps, decision.amount, approvers)
    at = instant(worker.clock.read().time_us)
    check_given(decision.draft.draft_text(), needed, approvals, approvers, at)
    check_complete(needed, approvals)
    return event_approvers(approvers, approvals) if approvers is not None and approvals else None


def needed_of(worker: Worker, caller: Caller, decision: Decision) -> tuple[Needed, ...]:
    """What the steps of a draft need. Raises ApprovalMissing where a policy is not there."""
    return what_is_needed(decision.steps, decision.amount, worker.approvers.of(caller.tenant))


def told(needed: tuple[Needed, ...]) -> list[StepNeeded]:
    """As applications are told: numbers and order, and nobody's name."""
    return [
        StepNeeded(
            step=one.step, policy=one.policy, limits=list(one.limits), approvals=one.threshold, in_order=one.in_order,
            heading=one.decides.heading().decode(),
        )
        for one in needed
    ]  # fmt: skip
