"""Who may still say what about a proposal. It decides nothing: the page offers it, and the engine judges what comes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from appliance.ceremonies import Constitution, Proposal, Tally, VerifiedStatement
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.statements import Verb


class Speaker(msgspec.Struct, frozen=True):
    """`passkeys`: ids of credentials; `cards`: how many she has."""

    id: str
    name: str
    passkeys: list[str]
    cards: int


class Choice(msgspec.Struct, frozen=True):
    verb: Verb
    speakers: list[Speaker]


def choices(
    proposal: Proposal, law: Constitution, found: Tally, state: str, statements: Iterable[VerifiedStatement]
) -> list[Choice]:
    """What may still be said, and by whom."""
    failed = state == "failed"
    if not (failed or state in {"open", "approved"}) or found.outcome not in {"unsigned", "open", "approved"}:
        return []
    said = {(one.verb, one.officer) for one in statements}
    requests: Verb = "take-away" if proposal.takes_away else "request"
    asked = (requests, proposal.requester) in said
    offers: list[tuple[Verb, list[str], Constitution]] = []
    if not asked and not failed:
        offers.append((requests, [proposal.requester], law))
    if not proposal.takes_away:
        undecided = {officer for scope in found.scopes for officer in scope.may_still}
        if found.outcome != "approved" and not failed:
            offers.append(("approve", sorted(undecided), law))
        doubting = undecided | {officer for scope in found.scopes for officer in scope.approved}
        offers.append(("reject", sorted(doubting), law))
        brought = next((one.constitution for one in proposal.actions if isinstance(one, AmendConstitution)), None)
        if brought is not None and not failed:
            offers.append(("accept", list(found.must_accept), brought))
    return [
        Choice(verb, speakers)
        for verb, officers, constitution in offers
        if (speakers := [speaker for one in officers if (speaker := _speaker(constitution, one)) is not None])
    ]


def _speaker(constitution: Constitution, officer: str) -> Speaker | None:
    person = constitution.person(officer)
    if person is None:
        return None
    passkeys = [one.id for one in person.credentials if one.kind == "passkey"]
    return Speaker(person.id, person.name, passkeys, len(person.credentials) - len(passkeys))
