"""A tenant's kinds of letters: what each is, how it lives, and what is different between two versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from flask import Response
from flask_babel import gettext as _

from appliance.ceremonies import BOX
from appliance.ceremonies.proposal import digest_words
from appliance.errors import NotFound
from appliance.letters.differences import differences
from appliance.letters.errors import KindRefused
from appliance.letters.kind import SETS, Event, Kind, LoadedKind
from appliance.letters.picture import picture
from appliance.letters.words import describe_field
from mgmt_service.access import Access, Area
from mgmt_service.dispatch import Context, url_with
from mgmt_service.kinds import KindBook, field_label, grouped, is_chinese, told
from mgmt_service.languages import word_list
from mgmt_service.owners import OF_TENANT, owner_of, scope_of
from mgmt_service.roles import EVERYONE, LETTER_READERS, OFFICERS
from mgmt_service.words_letters import MOVES

area = Area("kinds")
READERS = EVERYONE | LETTER_READERS
READ = Access(roles=READERS, scope=OF_TENANT)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")


class TenantLine(msgspec.Struct, frozen=True):
    owner: str
    scope: str


class Tenants(msgspec.Struct, frozen=True):
    tenants: list[TenantLine]


class KindLine(msgspec.Struct, frozen=True):
    kind: str
    title: str
    about: str
    version: int
    versions: int
    events: int
    states: int


class Kinds(msgspec.Struct, frozen=True):
    """The kinds that are installed for a tenant."""

    owner: str
    scope: str
    kinds: list[KindLine]
    install: str
    """Where a ceremony begins that installs one; empty for who decides nothing."""


class FieldRow(msgspec.Struct, frozen=True):
    name: str
    label: str
    what: str
    """Type and limits in words."""
    required: bool
    confidentiality: str
    public: bool


class TierRow(msgspec.Struct, frozen=True):
    up_to: str
    """With its currency; empty: without end."""
    currency: str
    policies: list[str]
    """In order; empty: nobody needs to approve."""


class FactRow(msgspec.Struct, frozen=True):
    label: str
    text: str


class EventRow(msgspec.Struct, frozen=True):
    name: str
    title: str
    facts: list[FactRow]
    amount: str
    """What the tiers go by."""
    tiers: list[TierRow]


class UniqueRow(msgspec.Struct, frozen=True):
    name: str
    fields: list[str]
    scope: str
    free_in: list[str]
    capacity: str


class QuotaRow(msgspec.Struct, frozen=True):
    name: str
    title: str
    measure: str
    period: str
    by: str


class DifferenceRow(msgspec.Struct, frozen=True):
    path: str
    effect: str
    running: bool
    """Letters under way keep the old rule."""
    text: str


class KindPage(msgspec.Struct, frozen=True):
    """One version of a kind."""

    owner: str
    scope: str
    kind: str
    title: str
    about: str
    version: int
    versions: list[int]
    digest: str
    words: str
    retention_years: int
    zone: str
    value: str
    fields: list[FieldRow]
    states: list[tuple[str, str, bool]]
    """(name, title, final)"""
    events: list[EventRow]
    unique: list[UniqueRow]
    quotas: list[QuotaRow]
    second: str
    against: int | None
    """The version that the differences are from."""
    differences: list[DifferenceRow]
    replace: str
    """Where a ceremony begins that installs another version; empty for who decides nothing."""


class Version(msgspec.Struct, frozen=True):
    """Which version; and from which one the differences are told."""

    version: str = ""
    against: str = ""


@area.read("/kinds", access=Access(roles=READERS), gives=Tenants, template="kinds/tenants.html")
def tenants(context: Context) -> Tenants:
    """The tenants whose kinds of letters the viewer may see."""
    scopes = sorted(context.viewer.scopes(READERS) - {BOX})
    return Tenants([TenantLine(owner_of(scope), scope) for scope in scopes])


@area.read("/kinds/<owner>", access=READ, gives=Kinds, template="kinds/list.html")
def kinds(context: Context, owner: str) -> Kinds:
    """The kinds of letters that are installed for a tenant."""
    book = _book(context, owner)
    return Kinds(
        owner=owner,
        scope=scope_of(owner),
        kinds=[
            KindLine(
                kind=one.kind.id,
                title=told(one.kind.title),
                about=told(one.kind.about),
                version=one.kind.version,
                versions=sum(other.kind.id == one.kind.id for other in book.versions),
                events=len(one.kind.events),
                states=len(one.kind.states),
            )
            for one in book.newest()
        ],
        install=_install(context, owner),
    )


@area.read("/kinds/<owner>/<kind>", access=READ, gives=KindPage, query=Version, template="kinds/show.html")
def kind(context: Context, owner: str, kind: str, query: Version) -> KindPage:
    """One kind: fields, life cycle, approvals by amount, what is unique, and what a version changed."""
    book = _book(context, owner)
    loaded = _version(book, kind, query.version)
    versions = sorted(one.kind.version for one in book.versions if one.kind.id == kind)
    before = _number(query.against) or max((one for one in versions if one < loaded.kind.version), default=None)
    return _page(context, owner, book, loaded, versions, before)


@area.read("/kinds/<owner>/<kind>/picture", access=READ, gives=bytes, query=Version)
def life_picture(context: Context, owner: str, kind: str, query: Version) -> Response:
    """The picture of a kind's life cycle, SVG, in the reader's language."""
    loaded = _version(_book(context, owner), kind, query.version)
    return Response(picture(loaded.kind, "zh" if is_chinese() else "en"), mimetype="image/svg+xml")


def _book(context: Context, owner: str) -> KindBook:
    return KindBook.of(context.services.desk, owner)


def _version(book: KindBook, kind: str, number: str) -> LoadedKind:
    found = book.version(kind, _number(number))
    if found is None:
        raise NotFound("there is no such kind, or no such version of it")
    return found


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _install(context: Context, owner: str) -> str:
    if not context.viewer.has(OFFICERS, scope_of(owner)):
        return ""
    return url_with("/ceremonies/new/install-kind", **{"actions.0.tenant": owner})


def _page(
    context: Context, owner: str, book: KindBook, loaded: LoadedKind, versions: list[int], before: int | None
) -> KindPage:
    kind = loaded.kind
    old = None if before is None else book.version(kind.id, before)
    return KindPage(
        owner=owner,
        scope=scope_of(owner),
        kind=kind.id,
        title=told(kind.title),
        about=told(kind.about),
        version=kind.version,
        versions=versions,
        digest=loaded.digest,
        words=digest_words(loaded.digest, word_list()),
        retention_years=kind.retention_years,
        zone=kind.zone,
        value="" if kind.value is None else kind.value.rule,
        fields=_fields(kind),
        states=[(name, told(state.title), state.final) for name, state in kind.states.items()],
        events=[_event(kind, name, event) for name, event in kind.events.items()],
        unique=[
            UniqueRow(
                name,
                [_place(kind, field) for field in one.fields],
                one.scope,
                [_state(kind, state) for state in one.free_in],
                "" if one.capacity is None else field_label(kind.fields, one.capacity),
            )
            for name, one in kind.unique.items()
        ],
        quotas=[
            QuotaRow(name, told(one.title), one.measure, one.period, "" if one.by is None else _place(kind, one.by))
            for name, one in kind.quotas.items()
        ],
        second="" if kind.second is None else field_label(kind.fields, kind.second),
        against=None if old is None else old.kind.version,
        differences=[] if old is None else _differences(old.kind, kind),
        replace=_install(context, owner),
    )


def _fields(kind: Kind) -> list[FieldRow]:
    language = "zh" if is_chinese() else "en"
    return [
        FieldRow(
            name, told(field.label), describe_field(field, language), field.required, field.confidentiality,
            name in kind.public,
        )
        for name, field in kind.fields.items()
    ]  # fmt: skip


def _event(kind: Kind, name: str, event: Event) -> EventRow:
    tiers, amount = [], ""
    if event.approvals is not None:
        amount = "" if event.approvals.amount is None else field_label(kind.fields | event.data, event.approvals.amount)
        tiers = [
            TierRow(
                "" if tier.up_to is None else f"{grouped(tier.up_to)} {tier.currency}",
                tier.currency or "",
                [step.policy for step in tier.steps],
            )
            for tier in event.approvals.tiers
        ]
    return EventRow(name, told(event.title), [FactRow(*one) for one in _facts(kind, event)], amount, tiers)


def _facts(kind: Kind, event: Event) -> Iterator[tuple[str, str]]:
    """When it may happen and what it does, but for its approvals."""
    fields = kind.fields | event.data
    states = ", ".join(_state(kind, name) for name in event.from_)
    yield _("In the states"), states or _("it begins the letter")
    yield _("State after it"), _state(kind, event.to) if event.to else _("the same")
    yield _("By applications that are"), " / ".join(event.by)
    for role, whose in event.acts_for.items():
        label = field_label(fields, whose.removeprefix(SETS))
        yield _("Only acting for"), f"{role}: " + (_("%(field)s as set here", field=label) if SETS in whose else label)
    for label, names in ((_("Comes with"), event.data), (_("Sets"), event.fields), (_("Opens"), event.opens)):
        if names and (event.from_ or names is not event.fields):
            yield label, ", ".join(field_label(fields, name) for name in names)
    if event.value is not None:
        emptied = "" if event.value.emptied is None else _state(kind, event.value.emptied)
        yield (
            _("Value"),
            str(MOVES[event.value.move]) + (_(" (nothing left: %(state)s)", state=emptied) if emptied else ""),
        )
    for label, moment in ((_("Not before"), event.not_before), (_("Not after"), event.not_after)):
        if moment is not None:
            yield label, field_label(kind.fields, moment)
    for condition in event.conditions:
        yield _("Waits for"), f"{field_label(fields, condition.letter)} ({', '.join(condition.kinds)})"
    if event.receipts:
        yield _("Receipts of"), ", ".join(event.receipts)


def _place(kind: Kind, place: str) -> str:
    field, dot, member = place.partition(".")
    return field_label(kind.fields, field) + (f" {dot}{member}" if dot else "")


def _state(kind: Kind, name: str) -> str:
    state = kind.states.get(name)
    return name if state is None else told(state.title)


def _differences(old: Kind, new: Kind) -> list[DifferenceRow]:
    try:
        found = differences(old, new)
    except KindRefused:
        return []
    return [DifferenceRow(one.path, one.effect, one.running, one.zh if is_chinese() else one.en) for one in found]
