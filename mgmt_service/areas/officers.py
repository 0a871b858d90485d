"""Officers: the constitution in force, its scopes and thresholds, candidates, and who reads without deciding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from appliance.ceremonies import BOX, Constitution, digest_words
from appliance.ceremonies.canonical import Name, Text
from appliance.ceremonies.constitution import ScopeName, everyone
from appliance.errors import NotAuthorised, NotFound
from mgmt_service.access import Access, Area, Next
from mgmt_service.candidacy import candidates, may_send_link
from mgmt_service.dispatch import Context
from mgmt_service.languages import word_list
from mgmt_service.people import Reach, Reader
from mgmt_service.roles import EVERYONE, OFFICERS

area = Area("officers")


class CredentialLine(msgspec.Struct, frozen=True):
    kind: str
    id: str
    model: str
    copyable: bool


class PersonLine(msgspec.Struct, frozen=True):
    id: str
    name: str
    credentials: list[CredentialLine]
    signs_in: bool
    """Whether she has a passkey for this service."""
    recovery_only: bool


class ScopeView(msgspec.Struct, frozen=True):
    name: str
    threshold: int
    officers: list[PersonLine]
    recovery_threshold: int | None
    recovery_hours: int | None
    recovery: list[PersonLine]


class CandidateLine(msgspec.Struct, frozen=True):
    id: str
    person: str
    name: str
    state: str
    kind: str
    model: str
    copyable: bool
    registered: int
    words: str


class ReaderLine(msgspec.Struct, frozen=True):
    person: str
    name: str
    role: str
    scope: str
    named_by: str
    made: int
    signs_in: bool
    """Whether the reader has a passkey for this service."""
    may_invite: bool
    """Whether the viewer may send a one-time link: every scope that the reader serves is hers."""


class OfficersView(msgspec.Struct, frozen=True):
    version: int | None
    digest: str
    words: str
    """The digest in the reader's language."""
    issued: str
    scopes: list[ScopeView]
    rp_id: str
    models: list[str]
    longest_hours: int | None
    candidates: list[CandidateLine]
    readers: list[ReaderLine]
    may_invite: bool


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: Name
    name: Text
    scope: ScopeName | None = None
    """Whose officers see her as a candidate; all of the inviter's scopes where none is said."""


class InvitationMade(msgspec.Struct, frozen=True):
    """A one-time link; it is told once."""

    person: str
    name: str
    link: str


class ReaderForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: Name
    name: Text
    role: Literal["auditor", "supervisor", "overseer"]
    scope: ScopeName


class ReaderName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: Name
    role: Literal["auditor", "supervisor", "overseer"]
    scope: ScopeName


@area.read("/officers", access=Access(roles=EVERYONE), gives=OfficersView, template="officers.html")
def officers(context: Context) -> OfficersView:
    """The constitution as far as it is the viewer's: scopes with officers and thresholds, candidates, readers."""
    law, services = context.constitution, context.services
    mine = context.viewer.scopes()
    deciding = context.viewer.scopes(OFFICERS)
    if law is None:
        raise NotFound("this box has no constitution yet")
    return OfficersView(
        version=law.version,
        digest=law.digest,
        words=digest_words(law.digest, word_list()),
        issued=law.issued,
        scopes=[_scope(context, law, scope.name) for scope in law.scopes if scope.name in mine],
        rp_id=law.rules.rp_id,
        models=law.rules.models,
        longest_hours=law.rules.longest_hours,
        candidates=[
            CandidateLine(
                id=one["id"],
                person=one["person"],
                name=one["name"],
                state=one["state"],
                kind=one["credential"]["kind"],
                model=one["credential"].get("model", ""),
                copyable=one["credential"].get("backup_eligible", False),
                registered=one["registered"],
                words=digest_words(one["fingerprint"], word_list()),
            )
            for one in candidates(context)
            if _is_new(law, one)
        ],
        readers=[_reader(context, one) for one in services.people.readers() if one.scope in mine],
        may_invite=bool(deciding),
    )


def _reader(context: Context, one: Reader) -> ReaderLine:
    passkeys = context.services.people.passkeys(one.person)
    may_invite = context.viewer.has(OFFICERS, one.scope) and may_send_link(context, one.person)
    return ReaderLine(one.person, one.name, one.role, one.scope, one.named_by, one.made, bool(passkeys), may_invite)


def _is_new(law: Constitution, candidate: Mapping[str, Any]) -> bool:
    credential = candidate["credential"]
    known = {one.id for person in law.persons for one in person.credentials}
    return isinstance(credential, dict) and credential["id"] not in known


def _scope(context: Context, law: Constitution, name: str) -> ScopeView:
    scope = law.scope(name)
    if scope is None:
        raise NotFound("there is no such scope")
    recovery = scope.recovery
    return ScopeView(
        name=name,
        threshold=scope.threshold,
        officers=[_person(context, law, one) for one in scope.officers],
        recovery_threshold=recovery.threshold if recovery else None,
        recovery_hours=recovery.waiting_hours if recovery else None,
        recovery=[_person(context, law, one) for one in recovery.officers] if recovery else [],
    )


def _person(context: Context, law: Constitution, identifier: str) -> PersonLine:
    person = law.person(identifier)
    if person is None:
        raise NotFound("there is no such person")
    return PersonLine(
        id=identifier,
        name=person.name,
        credentials=[CredentialLine(one.kind, one.id, one.model, one.backup_eligible) for one in person.credentials],
        signs_in=bool(context.services.people.passkeys(identifier)),
        recovery_only=all(identifier not in scope.officers for scope in law.scopes if identifier in everyone(scope)),
    )


@area.act(
    "/officers/invite",
    access=Access(roles=OFFICERS, recent=True),
    takes=Invitation,
    gives=InvitationMade,
    template="invited.html",
)
def invite(context: Context, body: Invitation) -> InvitationMade:
    """Make a one-time link by which a person makes a sign-in passkey. It gives no role."""
    deciding = context.viewer.scopes(OFFICERS)
    if body.scope is not None and body.scope not in deciding:
        raise NotFound("there is no such scope, or it is not yours")
    if not may_send_link(context, body.person):
        raise NotAuthorised(
            "this person is invited to, or serves, scopes that are not yours; their officers invite her"
        )
    known = context.constitution.person(body.person) if context.constitution else None
    scopes = deciding if body.scope is None else {body.scope}
    code = context.services.people.invite(
        body.person, known.name if known else body.name, scopes, reach=_reach(context)
    )
    return InvitationMade(body.person, body.name, f"{context.site.origin}/enrol/{code}")


def _reach(context: Context) -> Reach:
    """Of a passkey made by the viewer's link: her own scopes; and where she decides for the box, all that are not
    others' by now, since the box's officers place the people of tenants that are still to be made."""
    deciding = context.viewer.scopes(OFFICERS)
    if BOX not in deciding or context.constitution is None:
        return Reach(deciding)
    return Reach(None, frozenset(scope.name for scope in context.constitution.scopes) - deciding)


@area.act("/officers/readers", access=Access(roles=OFFICERS, recent=True), takes=ReaderForm)
def name_reader(context: Context, body: ReaderForm) -> Next:
    """Let an auditor or a supervisor read a scope that the viewer is an officer of."""
    if not context.viewer.has(OFFICERS, body.scope):
        raise NotFound("there is no such scope, or it is not yours")
    if not may_send_link(context, body.person):
        # Whoever holds her passkeys would read here: others may have made them.
        raise NotAuthorised("this name is of a person of other scopes: give your reader a name of her own")
    context.services.people.name_reader(body.person, body.name, body.role, body.scope, context.viewer.person)
    return Next("/officers", "reader-named")


@area.act("/officers/readers/dismiss", access=Access(roles=OFFICERS), takes=ReaderName)
def dismiss_reader(context: Context, body: ReaderName) -> Next:
    """End a reader's reading of a scope, at once."""
    if not context.viewer.has(OFFICERS, body.scope):
        raise NotFound("there is no such scope, or it is not yours")
    context.services.people.dismiss_reader(body.person, body.role, body.scope)
    return Next("/officers", "reader-dismissed")


__all__ = ["BOX", "area"]
