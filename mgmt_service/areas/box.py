"""The box itself, read-only: settings without secrets, approved updates, what supervision sees, who signed in."""

from __future__ import annotations

from typing import Any

import msgspec
from flask_babel import gettext as _

from appliance.box.states import State, StateReport
from appliance.ceremonies import BOX, digest_words
from appliance.errors import Unavailable
from mgmt_service.access import Access, Area, Fixed
from mgmt_service.areas.ceremonies import line_of
from mgmt_service.areas.overview import Cause
from mgmt_service.dispatch import Context
from mgmt_service.languages import word_list
from mgmt_service.owners import scope_of
from mgmt_service.people import Visit
from mgmt_service.roles import AUDIT, EVERYONE

area = Area("box")
OF_BOX = Fixed(BOX)
BY_CEREMONY = {
    "tokens": "initialise-token",
    "tenants": "create-tenant",
    "units": "activate-key",
    "seal_keys": "activate-key",
    "logs": "create-tenant",
    "authorities": "create-authority",
    "witnesses": "set-witnesses",
    "federations": "create-federation",
}
"""Members of the settings that a ceremony changes, and the one that does. Others are changed at the box itself."""
_HIDDEN = frozenset(
    {
        "pin_file",
        "standby_pin_file",
        "tsa_passwords",
        "syslog_key",
        "data_key",
        "environment",
        "password_file",
        "token_file",
    }
)
"""Paths of secrets, and what could be one."""
VISITS = 200


class Fact(msgspec.Struct, frozen=True):
    name: str
    value: str


class Item(msgspec.Struct, frozen=True):
    """One member of a list, such as a token."""

    name: str
    facts: list[Fact]


class Part(msgspec.Struct, frozen=True):
    """A member of box.json."""

    name: str
    facts: list[Fact]
    items: list[Item]
    ceremony: str
    """Tag of the action that changes it; empty: it is changed at the box itself."""


class SettingsView(msgspec.Struct, frozen=True):
    """box.json without paths of secrets."""

    parts: list[Part]


class UpdateLine(msgspec.Struct, frozen=True):
    version: str
    bundle: str
    proposal: str
    approved: str


class Updates(msgspec.Struct, frozen=True):
    updates: list[UpdateLine]


class ScopeLine(msgspec.Struct, frozen=True):
    scope: str
    threshold: int
    officers: int
    recovery: bool


class HeadLine(msgspec.Struct, frozen=True):
    """The newest signed head of a log."""

    owner: str
    scope: str
    origin: str
    size: int
    """Of this head; a log that was renewed counts on from the first entry of its successor."""
    checkpoint: str
    """The signed note; empty before the first."""


class Supervision(msgspec.Struct, frozen=True):
    """What a scope shows its supervision: who decides, which heads were signed, what was decided. No content."""

    state: str
    causes: list[Cause]
    since: int
    version: int | None
    digest: str
    words: str
    issued: str
    scopes: list[ScopeLine]
    heads: list[HeadLine]
    ceremonies: dict[str, int]
    """By state."""
    latest: list[dict[str, Any]]
    audit: str
    """working or silent."""


class VisitLine(msgspec.Struct, frozen=True):
    time: int
    person: str
    name: str
    event: str
    address: str
    passkey: str


class Visits(msgspec.Struct, frozen=True):
    visits: list[VisitLine]


@area.read("/settings", access=Access(roles=EVERYONE, scope=OF_BOX), gives=SettingsView, template="box/settings.html")
def settings(context: Context) -> SettingsView:
    """The box's settings without secrets, and which ceremony changes what."""
    document = msgspec.to_builtins(context.services.settings())
    general = [Fact(name, _text(value)) for name, value in document.items() if not isinstance(value, dict | list)]
    parts = [Part("general", general, [], "")]
    for name, value in document.items():
        if name in _HIDDEN or not isinstance(value, dict | list):
            continue
        facts = _facts(value) if isinstance(value, dict) else []
        items = [item_of(one) for one in value] if isinstance(value, list) else []
        parts.append(Part(name, facts, items, BY_CEREMONY.get(name, "")))
    return SettingsView(parts)


def item_of(one: dict[str, Any]) -> Item:
    """One member of a list of the settings, without what is secret."""
    # A witness has no other name than that in its verifier key.
    name = str(one.get("name") or one.get("origin") or str(one.get("key", "")).partition("+")[0])
    return Item(name, [fact for fact in _facts(one) if fact.name != "name"])


def _facts(document: dict[str, Any]) -> list[Fact]:
    found = []
    for name, value in document.items():
        if name in _HIDDEN:
            continue
        if isinstance(value, dict):
            found += [Fact(f"{name}.{fact.name}", fact.value) for fact in _facts(value)]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, inner in enumerate(value):
                found += [Fact(f"{name}.{number}.{fact.name}", fact.value) for fact in _facts(inner)]
        else:
            found.append(Fact(name, _text(value)))
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@area.read("/updates", access=Access(roles=EVERYONE, scope=OF_BOX), gives=Updates, template="box/updates.html")
def updates(context: Context) -> Updates:
    """The updates that officers have approved, by the digest of the whole file; the box takes no other."""
    found = context.services.desk.call(lambda client: client.updates())
    decoded = [msgspec.json.decode(one, type=UpdateLine) for one in found]
    return Updates(sorted(decoded, key=lambda one: one.approved, reverse=True))


@area.read("/supervision", access=Access(roles=EVERYONE), gives=Supervision, template="box/supervision.html")
def supervision(context: Context) -> Supervision:
    """Who decides in the viewer's scopes, which heads their logs have signed, what was decided. No content."""
    law, mine, report = context.constitution, context.viewer.scopes(), context.state
    proposals = context.services.desk.call(lambda client: client.proposals(sorted(mine)))
    counts: dict[str, int] = {}
    for one in proposals:
        counts[one["state"]] = counts.get(one["state"], 0) + 1
    heads, audit = _heads(context)
    return Supervision(
        state=report.state,
        causes=_causes(report),
        since=report.since,
        version=law.version if law else None,
        digest=law.digest if law else "",
        words=digest_words(law.digest, word_list()) if law else "",
        issued=law.issued if law else "",
        scopes=[
            ScopeLine(scope.name, scope.threshold, len(scope.officers), scope.recovery is not None)
            for scope in (law.scopes if law else [])
            if scope.name in mine
        ],
        heads=[head for head in heads if head.scope in mine],
        ceremonies=counts,
        latest=[msgspec.to_builtins(line_of(one)) for one in proposals[:5]],
        audit=audit,
    )


def _causes(report: StateReport) -> list[Cause]:
    return [] if report.state == State.OPERATIONAL.label else [Cause(*one) for one in report.causes.items()]


def _heads(context: Context) -> tuple[list[HeadLine], str]:
    try:
        found = context.services.audit.call(context.viewer.person, lambda client: client.logs())
    except Unavailable:
        return [], "silent"
    heads = []
    for one in found:
        note = one["checkpoint"] or ""
        size = int(note.split("\n", 2)[1]) if note else 0  # the second line of a checkpoint (C2SP tlog-checkpoint)
        heads.append(HeadLine(one["log"], scope_of(one["log"]), one["origin"], size, note))
    return sorted(heads, key=lambda head: head.owner), "working"


@area.read("/sign-ins", access=Access(roles=AUDIT), gives=Visits, template="box/sign_ins.html")
def sign_ins(context: Context) -> Visits:
    """Who of the viewer's scopes came in, and when, from where, by which passkey; refusals too."""
    services, viewer = context.services, context.viewer
    mine = viewer.scopes(AUDIT)
    served: dict[str, set[str]] = {}
    for scope in context.constitution.scopes if context.constitution else []:
        for person in (*scope.officers, *(scope.recovery.officers if scope.recovery else ())):
            served.setdefault(person, set()).add(scope.name)
    for reader in services.people.readers():
        served.setdefault(reader.person, set()).add(reader.scope)
    people = {person for person, scopes in served.items() if scopes & mine} | {viewer.person}
    return Visits([_visit(one) for one in services.people.visits(people, VISITS)])


def _visit(one: Visit) -> VisitLine:
    return VisitLine(one.time, one.person, one.name, one.event, one.address, one.passkey)
