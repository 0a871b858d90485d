"""Amending the constitution: a version that the quorum before it approved takes effect when the token pins it."""

from __future__ import annotations

import base64

from appliance.ceremonies import DocumentRefused, Proposal, instant_text
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.chain import ConstitutionVersion
from appliance.ceremonies.constitution import Constitution, Person
from appliance.keymaster.approvers import publish_approvers
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.envelopes import recipient_key
from appliance.keymaster.officers.founding_rules import check_given
from appliance.keymaster.registry import StepResult, executor


async def only_confirmed(room: Room, _proposal: Proposal, action: AmendConstitution) -> None:
    """A credential that is new to a person must be a candidate's that the console confirmed for that person; other
    rules must be ones by which officers of this box can approve, and another key for shares one that takes them."""
    current, following = room.constitutions.in_force(), action.constitution
    refuse_strangers(room, current, following)
    if following.rules != current.rules:
        check_given(following.rules, room.settings)
    for person in following.persons:
        known = current.person(person.id)
        if person.card_decryption and (known is None or known.card_decryption != person.card_decryption):
            _check_recipient(person)


def _check_recipient(person: Person) -> None:
    try:
        recipient_key(base64.b64decode(person.card_decryption, validate=True))
    except ValueError as error:  # of which RecipientRefused is one
        raise DocumentRefused(f"the key for backup shares of {person.id} cannot be used: {error}") from None


def refuse_strangers(room: Room, current: Constitution, following: Constitution) -> None:
    """Raises DocumentRefused."""
    for person in following.persons:
        known = current.person(person.id)
        for credential in person.credentials:
            if known is not None and credential in known.credentials:
                continue
            if not room.candidates.is_confirmed(person.id, credential):
                raise DocumentRefused(f"{person.id} has a credential that no confirmed candidate made")


@executor(AmendConstitution, check=only_confirmed)
async def amend(ctx: ExecutionContext, action: AmendConstitution) -> StepResult:
    """Adopt the version. A run after a crash finds it adopted, or does what is left."""
    made = ConstitutionVersion(
        constitution=action.constitution,
        proposal=ctx.proposal,
        statements=ctx.statements,
        adopted=instant_text(ctx.judged),
    )
    chain = ctx.room.constitutions
    await chain.adopt(made, int(ctx.judged.timestamp() * 1_000_000))
    await publish_approvers(ctx.room)
    document = action.constitution
    return StepResult(
        {"version": document.version, "constitution": document.digest},
        {"constitution.json": chain.version(document.version)},
    )
