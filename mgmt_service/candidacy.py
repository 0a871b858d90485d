"""Whose business a person is who may become an officer: which scopes' officers see her and may send her links.

Candidates stand in the keymaster's journal without a scope, for there a credential has no power before a constitution
names it. Who sees them is decided here (control CHANNEL): a tenant's plans for its people are its own.
"""

from __future__ import annotations

from typing import Any

from appliance.ceremonies import BOX, Constitution
from appliance.ceremonies.constitution import everyone
from mgmt_service.dispatch import Context
from mgmt_service.people import People
from mgmt_service.roles import OFFICERS


def scopes_of_person(person: str, law: Constitution | None, people: People) -> frozenset[str]:
    """The scopes that a person serves, reads, or was invited for; the box where there is none.

    Who was invited at the console for no scope belongs to the box's officers: they alone place people who are nobody's
    yet, such as those of a tenant that is still to be made."""
    found = {scope.name for scope in law.scopes if person in everyone(scope)} if law is not None else set()
    found |= {one.scope for one in people.readers(person)} | people.invited_for(person)
    return frozenset(found or {BOX})


def may_send_link(context: Context, person: str) -> bool:
    """Whether every scope of a person is the viewer's: whoever holds a link sees what its person may see, now or once
    she is an officer. Nobody knows her yet: anybody's."""
    people, law = context.services.people, context.constitution
    known = people.person(person) is not None or (law is not None and law.person(person) is not None)
    if not known and all(one["person"] != person for one in _all(context)):
        return True
    return scopes_of_person(person, law, people) <= context.viewer.scopes(OFFICERS)


def candidates(context: Context) -> list[dict[str, Any]]:
    """The keymaster's candidates who are the viewer's business: she decides in one of their scopes."""
    deciding = context.viewer.scopes(OFFICERS)
    if not deciding:
        return []
    people, law = context.services.people, context.constitution
    return [one for one in _all(context) if scopes_of_person(str(one["person"]), law, people) & deciding]


def _all(context: Context) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = context.services.desk.call(lambda client: client.candidates())
    return told
