"""The chain of constitutions as files: each version with the proposal and the statements that made it. Pure.

Whoever holds the files can hold the chain again, offline, against the digest of its first version, which people
compared at the founding: no version takes effect that the quorum before it, as `tally` counts it, did not approve.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.canonical import DOCUMENT_BYTES, Instant, instant
from appliance.ceremonies.constitution import Constitution, check_constitution, everyone
from appliance.ceremonies.errors import DocumentRefused, QuorumMissing, StatementRefused, SuccessionRefused
from appliance.ceremonies.evidence import governing, verify_statement
from appliance.ceremonies.proposal import Proposal, check_proposal, proposal_digest
from appliance.ceremonies.quorum import require
from appliance.ceremonies.statements import ReceivedStatement, VerifiedStatement

VERSION_BYTES = 32 * DOCUMENT_BYTES
"""Largest version that is read: it holds its document twice, and every officer's statements besides."""


class ConstitutionVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version and why it is lawful. The first was confirmed on the box's console: no proposal brings it."""

    format: Literal["cinnabar-constitution-version/1"] = "cinnabar-constitution-version/1"
    constitution: Constitution
    proposal: Proposal | None
    statements: list[ReceivedStatement]
    adopted: Instant
    """When the quorum held and it took effect."""


def verified_statements(
    proposal: Proposal,
    current: Constitution,
    statements: Sequence[ReceivedStatement],
    versions: Sequence[ConstitutionVersion] = (),
) -> list[VerifiedStatement]:
    """Those of the statements whose evidence holds under this constitution; others do not count and are left out.

    `versions`: the chain that leads to it. What a revoked officer, or a replaced credential, had said falls for good:
    it must hold under every version that took effect since it was received. Who comes back says it anew."""
    digest = proposal_digest(proposal)
    found: list[VerifiedStatement] = []
    for one in statements:
        if one.statement.proposal != digest:
            continue
        try:
            law, received = governing(one.statement, proposal, current), instant(one.received)
            verified = verify_statement(law, one.statement, received)
            if verified.verb == "accept" or all(
                _stood(proposal, current, between, one) for between in _since(versions, received)
            ):
                found.append(verified)
        except StatementRefused:
            continue
    return found


def _since(versions: Sequence[ConstitutionVersion], received: datetime.datetime) -> list[Constitution]:
    """The version that was in force at the end of the second of receipt, and each one after it."""
    before = [one.constitution for one in versions if instant(one.adopted) <= received]
    return before[-1:] + [one.constitution for one in versions if instant(one.adopted) > received]


def _stood(proposal: Proposal, current: Constitution, between: Constitution, said: ReceivedStatement) -> bool:
    """Whether a statement also held under a version in between, and its officer had the same seats in the scopes."""
    try:
        verify_statement(between, said.statement, instant(said.received))
    except StatementRefused:
        return False
    officer = said.statement.officer
    for part in proposal.quorum:
        now, then = current.scope(part.scope), between.scope(part.scope)
        if now is not None and officer in everyone(now) and (then is None or officer not in everyone(then)):
            return False
    return True


def waiting_ends(proposal: Proposal, current: Constitution, reached: datetime.datetime) -> datetime.datetime:
    """When a proposal that reached its threshold at `reached` may be executed: at once, but for a recovery."""
    amendment = next((action for action in proposal.actions if isinstance(action, AmendConstitution)), None)
    if amendment is None or not amendment.recovery:
        return reached
    scopes = [current.scope(part.scope) for part in proposal.quorum]
    hours = [scope.recovery.waiting_hours for scope in scopes if scope is not None and scope.recovery is not None]
    return reached + datetime.timedelta(hours=max(hours, default=0))


def check_chain(versions: Sequence[ConstitutionVersion]) -> Constitution:
    """The constitution that the chain leads to. Raises DocumentRefused, SuccessionRefused, QuorumMissing."""
    if not versions:
        raise DocumentRefused("there is no constitution")
    first = versions[0]
    if first.constitution.version != 1 or first.proposal is not None or first.statements:
        raise DocumentRefused("the chain does not begin with a founding")
    check_constitution(first.constitution)
    current = first.constitution
    for following in versions[1:]:
        check_succession(current, following)
        current = following.constitution
    return current


def check_succession(current: Constitution, following: ConstitutionVersion) -> None:
    """Whether the quorum of `current` approved it. Raises DocumentRefused, SuccessionRefused, QuorumMissing."""
    proposal = following.proposal
    if proposal is None or not isinstance(proposal.actions[-1], AmendConstitution):
        raise SuccessionRefused("no proposal brings this version")
    if proposal.actions[-1].constitution != following.constitution:
        raise SuccessionRefused("the proposal brings another version")
    adopted = instant(following.adopted)
    check_proposal(proposal, current, adopted)
    require(proposal, current, verified_statements(proposal, current, following.statements), adopted)
    last = max(instant(one.received) for one in following.statements)
    if adopted < last:
        raise SuccessionRefused("a statement came after the version took effect")
    if proposal.actions[-1].recovery and not _waited(current, following, adopted):
        raise SuccessionRefused("the waiting period of the recovery was not over")


def _waited(current: Constitution, following: ConstitutionVersion, adopted: datetime.datetime) -> bool:
    """Whether the quorum stood, by the statements received until then, for the whole waiting period."""
    assert following.proposal is not None  # noqa: S101 - the caller has looked
    ends = waiting_ends(following.proposal, current, adopted)
    threshold_time = adopted - (ends - adopted)
    early = [one for one in following.statements if instant(one.received) <= threshold_time]
    verified = verified_statements(following.proposal, current, early)
    try:
        require(following.proposal, current, verified, threshold_time)
    except QuorumMissing:
        return False
    return True
