"""The first constitution: the confirmed candidates, on the console's word, for there is no quorum yet to decide."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from appliance.box.settings import BoxSettings
from appliance.ceremonies import (
    BOX,
    Constitution,
    DocumentRefused,
    check_constitution,
    encode,
    instant_text,
    tenant_scope,
)
from appliance.ceremonies.chain import ConstitutionVersion
from appliance.ceremonies.constitution import ApprovalRules, Person, Scope
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import Conflict
from appliance.keymaster.context import Room
from appliance.keymaster.officers.candidates import Candidate
from appliance.recorder.messages import BOX_LOG


def first_constitution(
    settings: BoxSettings,
    rules: ApprovalRules,
    candidates: Sequence[Candidate],
    threshold: int,
    scopes: Mapping[str, Sequence[str]],
    now: datetime.datetime,
) -> Constitution:
    """Version 1. Every candidate is an officer of the box and of each tenant, but for the `scopes` that name others.

    Raises DocumentRefused."""
    persons: dict[str, Person] = {}
    for one in sorted(candidates, key=lambda candidate: (candidate.person, candidate.registered, candidate.id)):
        known = persons.get(one.person)
        credentials = [*(known.credentials if known is not None else []), one.credential]
        name = known.name if known is not None else one.name
        persons[one.person] = Person(id=one.person, name=name, credentials=credentials)
    names = [BOX, *(tenant_scope(tenant.name) for tenant in settings.tenants)]
    strangers = sorted(set(scopes) - set(names))
    if strangers:
        raise DocumentRefused(f"the box has no {', '.join(strangers)}")
    made = Constitution(
        box=settings.box_id,
        rehearsal=settings.rehearsal,
        version=1,
        previous=None,
        issued=instant_text(now),
        rules=rules,
        persons=list(persons.values()),
        scopes=[Scope(name=name, officers=sorted(scopes.get(name, persons)), threshold=threshold) for name in names],
    )
    check_constitution(made)
    return made


async def found(room: Room, document: Constitution, now: datetime.datetime) -> None:
    """Let the first constitution take effect. Called only after a person confirmed its words on the console.

    Raises Conflict where there is one, ConstitutionRefused, DocumentRefused, RecorderUnavailable."""
    if room.constitutions.refusal is None and room.constitutions.founded:
        raise Conflict("the box has a constitution")
    for person in document.persons:
        for credential in person.credentials:
            if not room.candidates.is_confirmed(person.id, credential):
                raise DocumentRefused(f"{person.id} has a credential that no confirmed candidate made")
    version = ConstitutionVersion(constitution=document, proposal=None, statements=[], adopted=instant_text(now))
    now_us = int(now.timestamp() * 1_000_000)
    artifact = encode(document)
    record = CeremonyRecord(
        event="founding",
        facts={"version": 1, "constitution": document.digest},
        time=now_us,
    )
    # On record first: a founding that is not in the box's log has not begun.
    room.recording.keep_in(BOX_LOG, document.digest, now_us // 1000, "founding", record, artifact)
    await room.recording.send(document.digest)
    await room.constitutions.adopt(version, now_us)
    await govern(room)


async def govern(room: Room) -> None:
    """From now on the recorder takes power over the register from ceremonies only. Again is no error."""
    first = room.constitutions.first
    await room.administer(lambda admin: admin.govern(first))
