"""The rule of decision (control QUORUM): what the officers' statements amount to. Pure: no I/O, no clock of its own.

1. The requester's own signed request is required, and counts for no approval.
2. Approvals count by person, not by credential; only officers of the scope, as the constitution in force says now.
3. A scope approves when so many distinct officers as its threshold have approved and have not rejected.
4. A scope rejects when so many have rejected that its threshold can no longer be reached.
5. Every scope that the proposal names must approve.
6. Persons new in a constitution that it brings must have accepted.
7. What only takes power away needs the requester's own take-away statement, and nobody else. The word is for now: where
   the box could not act on it within minutes, it is spent.
8. A recovery counts its recovery roster, and is stopped when the scope's own quorum rejects it.
9. After an execution that failed nothing but rejections is taken. So they withdraw it (`withdrawn`) as soon as they
   leave a scope with fewer approvals than its threshold.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.canonical import instant
from appliance.ceremonies.constitution import Constitution, newcomers
from appliance.ceremonies.errors import QuorumMissing
from appliance.ceremonies.proposal import Proposal, proposal_digest
from appliance.ceremonies.statements import VerifiedStatement

TAKE_AWAY_LIFE = datetime.timedelta(minutes=10)
"""From the receipt of one officer's word to the beginning of its execution, at most."""
CLOCK_STEP = datetime.timedelta(minutes=5)
"""So far the box's clock may have been put back since; a word from a later time to come is spent."""

Outcome = Literal["unsigned", "open", "approved", "rejected", "expired"]


@dataclass(frozen=True)
class ScopeTally:
    """How one scope stands. Persons by id, sorted."""

    scope: str
    threshold: int
    approved: tuple[str, ...]
    rejected: tuple[str, ...]
    may_still: tuple[str, ...]
    """Officers who have said nothing yet and may approve."""


@dataclass(frozen=True)
class Tally:
    """How a proposal stands."""

    outcome: Outcome
    scopes: tuple[ScopeTally, ...]
    must_accept: tuple[str, ...]
    """Persons whose acceptance is missing."""


def tally(
    proposal: Proposal, current: Constitution, statements: Iterable[VerifiedStatement], now: datetime.datetime
) -> Tally:
    """How a proposal stands under the constitution in force. `statements` may hold others' too; those do not count."""
    digest = proposal_digest(proposal)
    own = [one for one in statements if one.proposal == digest]
    said: set[tuple[str, str]] = {(one.verb, one.officer) for one in own}
    lives = -CLOCK_STEP, TAKE_AWAY_LIFE
    spent = [one for one in own if one.verb == "take-away" and not lives[0] < now - one.received < lives[1]]
    amendment = next((action for action in proposal.actions if isinstance(action, AmendConstitution)), None)
    recovery = amendment is not None and amendment.recovery
    scopes = tuple(
        _tally_scope(proposal, current, part.scope, part.threshold, said, recovery) for part in proposal.quorum
    )
    new = newcomers(current, amendment.constitution) if amendment is not None else frozenset()
    missing = tuple(sorted(person for person in new if ("accept", person) not in said))
    over = now >= instant(proposal.expires) or any(one.officer == proposal.requester for one in spent)
    return Tally(_outcome(proposal, current, scopes, said, missing, recovery, over), scopes, missing)


def _tally_scope(
    proposal: Proposal, current: Constitution, name: str, threshold: int, said: set[tuple[str, str]], recovery: bool
) -> ScopeTally:
    scope = current.scope(name)
    roster = (scope.recovery if recovery else scope) if scope is not None else None
    officers = set(roster.officers) - {proposal.requester} if roster is not None else set()
    rejected = {officer for officer in officers if ("reject", officer) in said}
    approved = {officer for officer in officers if ("approve", officer) in said} - rejected
    # The higher of what the proposal was made under and what holds now: a lowered threshold helps no open proposal.
    needed = max(threshold, roster.threshold if roster is not None else threshold, 1)
    undecided = officers - approved - rejected
    return ScopeTally(name, needed, tuple(sorted(approved)), tuple(sorted(rejected)), tuple(sorted(undecided)))


def _outcome(
    proposal: Proposal,
    current: Constitution,
    scopes: tuple[ScopeTally, ...],
    said: set[tuple[str, str]],
    missing: tuple[str, ...],
    recovery: bool,
    over: bool,
) -> Outcome:
    if over:
        return "expired"
    if not _may_request(proposal, current, recovery):
        return "unsigned"
    if proposal.takes_away:
        return "approved" if ("take-away", proposal.requester) in said else "unsigned"
    if recovery and any(_vetoed(current, part.scope, said) for part in scopes):
        return "rejected"
    if any(len(part.approved) + len(part.may_still) < part.threshold for part in scopes):
        return "rejected"
    if ("request", proposal.requester) not in said:
        return "unsigned"
    if missing or any(len(part.approved) < part.threshold for part in scopes):
        return "open"
    return "approved"


def withdrawn(found: Tally) -> bool:
    """Whether officers have withdrawn a proposal whose execution failed (rule 9). `found`: how it stands now."""
    if found.outcome == "rejected":
        return True
    short = any(len(part.approved) < part.threshold for part in found.scopes)
    return short and any(part.rejected for part in found.scopes)


def _may_request(proposal: Proposal, current: Constitution, recovery: bool) -> bool:
    """The requester is, now, an officer of a scope that the proposal is about."""
    for part in proposal.quorum:
        scope = current.scope(part.scope)
        roster = (scope.recovery if recovery else scope) if scope is not None else None
        if roster is not None and proposal.requester in roster.officers:
            return True
    return False


def _vetoed(current: Constitution, name: str, said: set[tuple[str, str]]) -> bool:
    scope = current.scope(name)
    if scope is None:
        return True
    return len([officer for officer in scope.officers if ("reject", officer) in said]) >= scope.threshold


def require(
    proposal: Proposal, current: Constitution, statements: Iterable[VerifiedStatement], now: datetime.datetime
) -> Tally:
    """The tally of an approved proposal. Raises QuorumMissing, saying what is missing."""
    found = tally(proposal, current, statements, now)
    if found.outcome != "approved":
        raise QuorumMissing(f"the proposal is {found.outcome}")
    return found
