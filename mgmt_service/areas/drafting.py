"""Writing a ceremony: from a template to a proposal that is read in plain words before the keymaster takes it in."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import msgspec
from flask import Response, g, render_template
from flask_babel import gettext as _

from appliance.ceremonies import (
    BOX,
    DocumentRefused,
    QuorumMissing,
    SuccessionRefused,
    digest_words,
    proposal_digest,
    read_proposal,
)
from appliance.ceremonies.actions import Action, AmendConstitution
from appliance.ceremonies.canonical import Text
from appliance.errors import BadRequest, CinnabarError, Conflict, NotFound, Unavailable
from mgmt_service import forms, scripts
from mgmt_service.access import WORKING, Access, Area, Next
from mgmt_service.areas.ceremonies import PlainWords, changes_by_step, plain_words
from mgmt_service.candidacy import candidates
from mgmt_service.changes import Change
from mgmt_service.dispatch import Context
from mgmt_service.fields import Field, Known, fields_of, known_to, label
from mgmt_service.languages import word_list
from mgmt_service.log_forms import SHAPES, form_of, standing_of
from mgmt_service.ordering import rearranged
from mgmt_service.problems import Malformed
from mgmt_service.roles import OFFICERS
from mgmt_service.wording import in_words
from mgmt_service.words import scope_name
from mgmt_service.writing import OfficersForm, actions_of, amended, brought, carried, packed

area = Area("drafting")
WRITE = Access(roles=OFFICERS, states=WORKING)
DEFAULT_HOURS = 48


class ScriptLine(msgspec.Struct, frozen=True):
    slug: str
    title: str
    about: str
    group: str
    actions: list[str]
    served: bool
    """Whether the keymaster has all that it needs."""


class Scripts(msgspec.Struct, frozen=True):
    scripts: list[ScriptLine]
    actions: list[str]
    """Tags of single actions, for a ceremony of one's own."""


class Pick(msgspec.Struct, frozen=True):
    """Actions of one's own ceremony, and what a link from another page fills in: `shared.key=K`, `actions.0.key=K`."""

    add: list[str] = []
    shared: dict[str, Any] = {}
    actions: list[dict[str, Any]] = []


class Section(msgspec.Struct, frozen=True):
    """Fields that belong together: the shared ones (action empty), or those of one action."""

    action: str
    fields: list[dict[str, Any]]
    at: int = -1
    """Place of the action, from 0; -1 of the shared fields."""


class CandidateChoice(msgspec.Struct, frozen=True):
    id: str
    person: str
    name: str
    known: bool
    """Whether the person is in the constitution, so that the passkey would replace hers."""


class OfficersChoice(msgspec.Struct, frozen=True):
    """What a form for a change of officers is made from."""

    scopes: list[dict[str, Any]]
    people: list[dict[str, str]]
    candidates: list[CandidateChoice]


class Form(msgspec.Struct, frozen=True):
    """A template with its fields."""

    slug: str
    title: str
    about: str
    sections: list[Section]
    officers: OfficersChoice | None
    hours: int
    longest_hours: int
    proposal_title: str
    reason: str
    picked: list[str]
    """Of a ceremony of one's own: its actions, in the order in which they are done."""
    more: list[str]
    """Actions that can be added to it."""
    error: str
    """Of the last attempt."""
    wrong: str
    """Identifier of the field that the error is about; empty: of none."""


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template as filled in."""

    title: Text
    reason: Text
    hours: int = DEFAULT_HOURS
    shared: dict[str, Any] = {}
    actions: list[dict[str, Any]] = []
    officers: OfficersForm | None = None
    add: list[str] = []


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One's own ceremony as far as it is written, and a change of its list of actions."""

    change: str
    """up.N, down.N, remove.N (N from 0), or add."""
    another: str = ""
    """The action that is added."""
    title: str = ""
    reason: str = ""
    hours: int = DEFAULT_HOURS
    actions: list[dict[str, Any]] = []
    add: list[str] = []


class Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal of any actions."""

    title: Text
    reason: Text
    actions: list[Action]
    hours: int = DEFAULT_HOURS


class Draft(msgspec.Struct, frozen=True):
    """A proposal as it would be. Nothing is kept of it before it is submitted."""

    proposal: str
    """Its canonical bytes, base64."""
    digest: str
    words: str
    title: str
    plain: PlainWords
    changes: list[list[Change]]
    slug: str


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    proposal: str
    """Canonical bytes, base64."""


@area.read("/ceremonies/new", access=WRITE, gives=Scripts, template="ceremonies/new.html")
def new(context: Context) -> Scripts:
    """The templates of ceremonies, and the single actions."""
    served = _served(context)
    lines = [
        ScriptLine(
            slug=one.slug,
            title=str(one.title),
            about=str(one.about),
            group=one.group,
            actions=[step.tag for step in one.steps] + (["amend-constitution"] if one.amends else []),
            served=all(step.tag in served for step in one.steps),
        )
        for one in scripts.SCRIPTS
        if not one.box_only or context.viewer.has(OFFICERS, BOX)
    ]
    return Scripts(lines, _addable(context))


def _served(context: Context) -> list[str]:
    return list(context.services.desk.call(lambda client: client.status())["actions"])


def _script(context: Context, slug: str, picked: list[str]) -> scripts.Script:
    found = scripts.free_script(picked) if slug == "free" else scripts.BY_SLUG.get(slug)
    if found is None or (found.box_only and not context.viewer.has(OFFICERS, BOX)):
        raise NotFound("there is no such template")
    return found


@area.read("/ceremonies/new/<slug>", access=WRITE, gives=Form, query=Pick, template="ceremonies/form.html")
def form(context: Context, slug: str, query: Pick) -> Form:
    """A template's form: every member of its actions."""
    return _form(context, _script(context, slug, query.add), None, filled=query)


def _form(
    context: Context,
    script: scripts.Script,
    entered: Written | None,
    error: CinnabarError | None = None,
    filled: Pick | None = None,
) -> Form:
    path = getattr(error, "path", "")
    said = "" if error is None else in_words(str(error))
    known = known_to(context.viewer, context.services.settings(), context.constitution)
    places = path.split(".") if path else []  # an item of a list is shown by the field that the list is
    errors = {".".join(places[:many]): said for many in range(1, len(places) + 1)}
    settings, owners = context.services.settings(), known.owners
    standing = standing_of(settings, owners, context.services.trust())
    known = _with_errors(replace(known, for_backup=_for_backup(context, script), standing=standing), errors)
    filled = filled or Pick()
    tokens = known.tokens[::-1] if script.box_only else known.tokens  # the box's own is the last
    shared = entered.shared if entered is not None else {"token": next(iter(tokens), "")} | filled.shared
    sections = []
    if script.shared:
        sections.append(Section("", [_plain_field(one) for one in _shared_fields(script, known, shared)]))
    for at, step in enumerate(script.steps):
        shape, link = SHAPES.get(step.action), filled.actions[at] if at < len(filled.actions) else {}
        owner = str(link.get("tenant", next(iter(owners), "")))
        begins = {} if shape is None else shape.begins(standing, owner)
        given = dict(step.preset) | begins | link
        if entered is not None and at < len(entered.actions):
            given = entered.actions[at]
        skip = {*step.shared, *step.fixed}
        asked = replace(known, standing=replace(standing, owner=owner))
        sections.append(
            Section(
                step.tag,
                [_plain_field(one) for one in fields_of(form_of(step.action), f"actions.{at}.", asked, given, skip)],
                at,
            )
        )
    named = next((one for section in sections for one in section.fields if one["error"]), None)
    law = context.constitution
    longest = law.rules.longest_hours if law is not None else DEFAULT_HOURS
    return Form(
        slug=script.slug,
        title=str(script.title),
        about=str(script.about),
        sections=sections,
        officers=_officers(context, script, entered) if script.amends else None,
        hours=min(entered.hours if entered is not None else DEFAULT_HOURS, longest),
        longest_hours=longest,
        proposal_title=entered.title if entered is not None else str(script.title),
        reason=entered.reason if entered is not None else "",
        picked=[step.tag for step in script.steps] if script.slug == "free" else [],
        more=_addable(context) if script.slug == "free" else [],
        error=said if named is None else _("%(field)s: %(what)s", field=named["label"], what=said),
        wrong="" if named is None else named["id"],
    )


def _with_errors(known: Known, errors: dict[str, str]) -> Known:
    return replace(known, errors=errors)


def _addable(context: Context) -> list[str]:
    return sorted(set(_served(context)) - {"amend-constitution"})


def _for_backup(context: Context, script: scripts.Script) -> tuple[str, ...]:
    """Keys that a backup takes, with whose they are: those that were made for it, of the viewer's own scopes."""
    if not any(step.tag == "back-up-keys" for step in script.steps):
        return ()
    scopes = sorted(context.viewer.scopes(OFFICERS))
    found = context.services.desk.call(lambda client: client.inventory(scopes))
    return tuple(
        f"{one['name']} ({scope_name(one['scope'])})"
        for one in found
        if one["for_backup"] and one["state"] not in {"destroyed", "compromised"}
    )


def _shared_fields(script: scripts.Script, known: Known, values: dict[str, Any]) -> list[Field]:
    """The shared fields, each made as the first step that takes it would make it."""
    found = []
    for name in script.shared:
        step, member = next(
            (step, member) for step in script.steps for member, shared in step.shared.items() if shared == name
        )
        others = {one.name for one in msgspec.structs.fields(step.action)} - {member}
        (made,) = fields_of(step.action, "shared.", known, {member: values.get(name)}, others)
        found.append(
            Field(**{**{one: getattr(made, one) for one in made.__dataclass_fields__}, "path": f"shared.{name}",
                     "label": label(name), "error": known.errors.get(f"shared.{name}", "")})
        )  # fmt: skip
    return found


def _plain_field(field: Field) -> dict[str, Any]:
    return {name: getattr(field, name) for name in field.__dataclass_fields__} | {"id": field.identifier}


def _officers(context: Context, script: scripts.Script, entered: Written | None) -> OfficersChoice:
    law = context.constitution
    if law is None:
        raise Conflict("the box has no constitution yet")
    held = {one.id for person in law.persons for one in person.credentials}
    fresh = [one for one in candidates(context) if one["state"] == "confirmed" and one["credential"]["id"] not in held]
    mine = context.viewer.scopes(OFFICERS)
    chosen = {one.name: one for one in entered.officers.scopes} if entered is not None and entered.officers else {}
    scopes = []
    rosters = {scope.name: scope for scope in law.scopes if scope.name in mine}
    if script.steps:  # a new tenant: its officers alone are written here
        new = str((entered.shared if entered is not None else {}).get("name", ""))
        rosters = {}
        scopes.append(_scope_choice(f"tenant/{new}", [], 2, None, chosen.get(f"tenant/{new}"), new=True))
    scopes += [
        _scope_choice(one.name, one.officers, one.threshold, one.recovery, chosen.get(one.name), new=False)
        for one in rosters.values()
    ]
    visible = {person for scope in law.scopes if scope.name in mine for person in scope.officers}
    people = {one: law.person(one) for one in sorted(visible)}
    return OfficersChoice(
        scopes,
        [{"id": one, "name": person.name} for one, person in people.items() if person is not None]
        + [{"id": one["person"], "name": one["name"]} for one in fresh if one["person"] not in people],
        [
            CandidateChoice(one["id"], one["person"], one["name"], law.person(one["person"]) is not None)
            for one in fresh
        ],
    )


def _scope_choice(
    name: str, officers: list[str], threshold: int, recovery: Any, entered: Any, *, new: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "officers": entered.officers if entered is not None else officers,
        "threshold": entered.threshold if entered is not None else threshold,
        "recovery": entered.recovery if entered is not None else (recovery.officers if recovery else []),
        "recovery_threshold": entered.recovery_threshold if entered else (recovery.threshold if recovery else 2),
        "waiting_hours": entered.waiting_hours if entered else (recovery.waiting_hours if recovery else 72),
        "new": new,
    }


@area.act("/ceremonies/new/<slug>", access=WRITE, takes=Written, gives=Draft, template="ceremonies/review.html")
def draft_script(context: Context, slug: str, body: Written) -> Draft | Response:
    """A proposal from a filled-in template, to be read; nothing is kept."""
    script = _script(context, slug, body.add)
    try:
        made: list[Any] = list(actions_of(script, body.shared, body.actions))
        if script.amends:
            made.append(_amendment(context, script, body))
        return _drafted(context, body.title, body.reason, made, body.hours, slug)
    except (BadRequest, DocumentRefused, SuccessionRefused, QuorumMissing, Conflict) as error:
        if g.api:
            raise
        page = render_template("ceremonies/form.html", it=_form(context, script, body, error), context=context)
        return Response(page, 422, mimetype="text/html")


@area.act(
    "/ceremonies/new/free/order", access=WRITE, takes=Order, gives=Form, template="ceremonies/form.html", api=False
)
def order(context: Context, body: Order) -> Form:
    """One's own ceremony with its actions in another order, one more or one less; what was entered stays."""
    tags, entered = rearranged(scripts.known_tags(body.add), body.actions, body.change, body.another)
    written = Written(body.title, body.reason, body.hours, {}, entered, None, tags)
    return _form(context, scripts.free_script(tags), written)


def _amendment(context: Context, script: scripts.Script, body: Written) -> AmendConstitution:
    if context.constitution is None or body.officers is None:
        raise Malformed("a change of officers says which")
    officers = body.officers
    if script.steps:
        name = f"tenant/{body.shared.get('name', '')}"
        scopes = [msgspec.structs.replace(one, name=name) for one in officers.scopes[:1]]
        officers = msgspec.structs.replace(officers, scopes=scopes)
    now = datetime.datetime.now(datetime.UTC)
    document = amended(context.constitution, officers, candidates(context), now)
    return AmendConstitution(constitution=document, recovery=officers.recovery)


@area.act("/ceremonies/draft", access=WRITE, takes=Plain, gives=Draft, page=False)
def draft(context: Context, body: Plain) -> Draft:
    """A proposal of any actions, to be read; nothing is kept."""
    return _drafted(context, body.title, body.reason, list(body.actions), body.hours, "")


def _drafted(context: Context, title: str, reason: str, made: list[Any], hours: int, slug: str) -> Draft:
    deciding = context.viewer.scopes(OFFICERS)
    owned = {action.scope_of() for action in made if not isinstance(action, AmendConstitution)}
    if not owned <= deciding:
        raise NotFound("there is no such tenant, or it is not yours")
    text = context.services.desk.call(
        lambda client: client.draft(context.viewer.person, title, reason, packed(made), hours)
    )
    proposal = read_proposal(text)
    digest = proposal_digest(proposal)
    return Draft(
        proposal=carried(text),
        digest=digest,
        words=digest_words(digest, word_list()),
        title=proposal.title,
        plain=plain_words(proposal, context.constitution),
        changes=changes_by_step(context, proposal),
        slug=slug,
    )


@area.act("/ceremonies", access=WRITE, takes=Submission)
def submit(context: Context, body: Submission) -> Next:
    """Hand a proposal to the keymaster. It waits there for its requester's signature."""
    text = brought(body.proposal)
    proposal = read_proposal(text)
    if proposal.requester != context.viewer.person:
        raise NotFound("only its requester hands a proposal in")
    digest = context.services.desk.call(lambda client: client.submit(text))
    return Next(f"/ceremonies/{digest}", "drafted")


__all__ = ["Unavailable", "area", "forms"]
