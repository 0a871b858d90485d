"""A tenant's letters: found, read event by event, taken away as evidence. Each look is on record first."""

from __future__ import annotations

from typing import Final

import msgspec
from flask import Response

from appliance.audit.letters import EventView, LetterFilter, LetterLine, LettersView, LetterView
from appliance.ceremonies import BOX
from appliance.errors import NotAuthorised, NotFound
from appliance.letters.event import Event, read_event
from appliance.letters.kind import LoadedKind
from mgmt_service.access import Access, Area
from mgmt_service.areas.audit import MICROSECONDS, Logs, instant_of, log_lines
from mgmt_service.dispatch import Context
from mgmt_service.downloads import download
from mgmt_service.kinds import KindBook, event_of, field_label, grouped, told
from mgmt_service.letter_lines import LETTER, FieldLine, LetterRow, field_line, letter_fields, letter_row
from mgmt_service.owners import OF_TENANT, scope_of
from mgmt_service.roles import AUDIT, LETTER_READERS

area = Area("letters")
READ = Access(roles=LETTER_READERS, scope=OF_TENANT)
PAGE: Final = 50


class LetterSearch(msgspec.Struct, frozen=True):
    """Which letters. `since` and `until`: of the newest event, UTC, 2026-11-22T07:00."""

    kind: str = ""
    state: str = ""
    since: str = ""
    until: str = ""
    letter: str = ""
    cursor: str | None = None


class Choice(msgspec.Struct, frozen=True):
    name: str
    title: str


class Letters(msgspec.Struct, frozen=True):
    """A page of a tenant's letters."""

    owner: str
    scope: str
    letters: list[LetterRow]
    next: str | None
    searched: int
    total: int | None
    """Letters of the tenant; None: one was asked for by its id, and nothing was counted."""
    kinds: list[Choice]
    states: list[Choice]
    asked: LetterSearch


class ApprovalLine(msgspec.Struct, frozen=True):
    person: str
    name: str
    step: int
    policy: str
    """Empty: the event is from before approvals named it."""
    limits: list[str]
    """That the event exceeds and whose approval it is."""
    form: str
    """cms or webauthn."""


class FileLine(msgspec.Struct, frozen=True):
    name: str
    size: int


class LinkLine(msgspec.Struct, frozen=True):
    """Another letter, and what it is to this one."""

    letter: str
    what: str
    """origin, part, sibling, condition or named."""
    state: str
    """As it was at that event; empty: not known."""


class EventLine(msgspec.Struct, frozen=True):
    """An event of the timeline."""

    number: int
    event: str
    title: str
    at: str
    stamped: float | None
    stamp: str
    """Its record: id, or leaf of the log."""
    application: str
    state: str
    state_title: str
    fields: list[FieldLine]
    data: list[FieldLine]
    value: str
    """What it did to the letter's value; empty: nothing."""
    move: str
    approvals: list[ApprovalLine]
    receipts: list[str]
    files: list[FileLine]
    links: list[LinkLine]
    record: str
    leaf: int
    key: str
    digest: str
    of_parent: bool
    """Whether it is the split of another letter that made this one."""


class Letter(msgspec.Struct, frozen=True):
    """One letter."""

    owner: str
    scope: str
    row: LetterRow
    version: int
    kind_digest: str
    kind_known: bool
    head: str
    begun: str
    fields: list[FieldLine]
    links: list[LinkLine]
    events: list[EventLine]
    more: int
    """Later events that are not shown here."""
    disclosed: bool
    """Whether hidden values are shown."""
    hidden: list[Choice]
    """Fields that an evidence file can tell."""


class Disclosing(msgspec.Struct, frozen=True):
    """Whether hidden values are shown; the log says so."""

    hidden: bool = False


class EvidenceQuery(msgspec.Struct, frozen=True):
    """Names of hidden fields that the evidence file tells."""

    disclose: list[str] = []


@area.read("/letters", access=Access(roles=LETTER_READERS), gives=Logs, template="letters/tenants.html")
def tenants(context: Context) -> Logs:
    """The tenants whose letters the viewer may read."""
    mine = context.viewer.scopes(LETTER_READERS) - {BOX}
    return Logs([line for line in log_lines(context) if line.scope in mine])


@area.read("/letters/<owner>", access=READ, gives=Letters, query=LetterSearch, template="letters/list.html")
def letters(context: Context, owner: str, query: LetterSearch) -> Letters:
    """Letters by kind, state, time of the newest event and id, the newest first. Reads are recorded."""
    book = KindBook.of(context.services.desk, owner)
    wanted = LetterFilter(
        kind=query.kind or None,
        since=instant_of(query.since, "since"),
        state=query.state or None,
        until=instant_of(query.until, "until"),
    )
    cursor = query.cursor if query.cursor and LETTER.fullmatch(query.cursor) else None
    if query.letter:
        found = LettersView(letters=_named(context, owner, query.letter), next=None, searched=0, counts=[])
    else:
        found = context.services.audit.call(
            context.viewer.person, lambda client: client.letters(owner, wanted, cursor=cursor, limit=PAGE)
        )
    states = book.states() | {state: state for _, state, _ in found.counts if state not in book.states()}
    kinds = book.titles() | {kind: kind for kind, _, _ in found.counts if kind not in book.titles()}
    return Letters(
        owner=owner,
        scope=scope_of(owner),
        letters=[letter_row(book, one) for one in found.letters],
        next=found.next,
        searched=found.searched,
        total=None if query.letter else sum(count for _, _, count in found.counts),
        kinds=[Choice(name, title) for name, title in sorted(kinds.items(), key=lambda one: one[1])],
        states=[Choice(name, title) for name, title in sorted(states.items(), key=lambda one: one[1])],
        asked=query,
    )


def _named(context: Context, owner: str, letter: str) -> list[LetterLine]:
    try:
        return [_read(context, owner, letter.strip().lower(), disclose=False).line]
    except NotFound:
        return []


def _read(context: Context, owner: str, letter: str, *, disclose: bool) -> LetterView:
    if not LETTER.fullmatch(letter):
        raise NotFound("there is no such letter")
    return context.services.audit.call(
        context.viewer.person, lambda client: client.letter(owner, letter, disclose=disclose)
    )


@area.read("/letters/<owner>/<letter>", access=READ, gives=Letter, query=Disclosing, template="letters/show.html")
def letter(context: Context, owner: str, letter: str, query: Disclosing) -> Letter:
    """One letter: its values, and its events as a timeline. Reads are recorded, those of hidden values as such."""
    _may_disclose(context, owner, asked=query.hidden)
    found = _read(context, owner, letter, disclose=query.hidden)
    book = KindBook.of(context.services.desk, owner)
    line, loaded = found.line, book.of_digest(found.line.kind_digest)
    events = [_event(context, book, letter, one) for one in found.events]
    fields = {} if loaded is None else loaded.kind.fields
    shown = letter_fields(fields, line, found.values)
    return Letter(
        owner=owner,
        scope=scope_of(owner),
        row=letter_row(book, line),
        version=line.version,
        kind_digest=line.kind_digest,
        kind_known=loaded is not None,
        head=line.head,
        begun=line.begun,
        fields=shown,
        links=_links(line, shown, events),
        events=events,
        more=max(0, line.number - len(events)),
        disclosed=query.hidden,
        hidden=[Choice(name, field_label(fields, name)) for name in line.hidden],
    )


def _may_disclose(context: Context, owner: str, *, asked: bool) -> None:
    """Raises NotAuthorised where hidden values are asked for by somebody whom the tenant shows its letters alone."""
    if asked and not context.viewer.has(AUDIT, scope_of(owner)):
        raise NotAuthorised("hidden values are for the tenant's own officers and auditors")


def _links(line: LetterLine, fields: list[FieldLine], events: list[EventLine]) -> list[LinkLine]:
    found = [] if line.origin is None else [LinkLine(line.origin, "origin", "")]
    found += [LinkLine(one.letter, "named", one.label) for one in fields if one.letter]
    known = {one.letter for one in found}
    for event in events:
        found += [one for one in event.links if one.letter not in known and one.letter != line.letter]
        known |= {one.letter for one in event.links}
    return found


def _event(context: Context, book: KindBook, letter: str, view: EventView) -> EventLine:
    event = read_event(view.event)
    loaded = book.of_digest(event.kind.digest)
    rule = event_of(loaded, event.event)
    state = None if loaded is None else loaded.kind.states.get(event.state)
    fields = {} if loaded is None else loaded.kind.fields
    data = fields if rule is None else fields | rule.data
    return EventLine(
        number=event.number,
        event=event.event,
        title=event.event if rule is None else told(rule.title),
        at=event.at,
        stamped=None if view.stamped is None else view.stamped / MICROSECONDS,
        stamp=view.stamp,
        application=event.actor.application,
        state=event.state,
        state_title=event.state if state is None else told(state.title),
        fields=[field_line(fields, name, value) for name, value in event.fields.items()],
        data=[field_line(data, name, value) for name, value in event.data.items()],
        value="" if event.value is None else f"{grouped(event.value.amount)} {event.value.currency}",
        move="" if event.value is None else event.value.move,
        approvals=[
            ApprovalLine(one.approver, _name(context, one.approver), one.step, one.policy, one.limits, one.form)
            for one in event.approvals
        ],
        receipts=[f"{one.registry} {one.number}" for one in event.receipts],
        files=[FileLine(name, size) for name, size in view.files],
        links=_event_links(book, event, letter, loaded),
        record=view.record,
        leaf=view.leaf,
        key=view.key,
        digest=event.digest(),
        of_parent=event.letter != letter,
    )


def _event_links(book: KindBook, event: Event, letter: str, loaded: LoadedKind | None) -> list[LinkLine]:
    def title(state: str) -> str:
        known = None if loaded is None else loaded.kind.states.get(state)
        return state if known is None else told(known.title)

    what = "part" if event.letter == letter else "sibling"
    parts = [LinkLine(one.letter, what, title(one.state)) for one in event.parts if one.letter != letter]
    # Of a letter of another kind; several kinds have states of one name, and mean the same by it.
    states = book.states()
    return parts + [LinkLine(one.letter, "condition", states.get(one.state, one.state)) for one in event.references]


def _name(context: Context, person: str) -> str:
    known = None if context.constitution is None else context.constitution.person(person)
    return person if known is None else known.name


@area.read("/letters/<owner>/<letter>/evidence", access=READ, gives=bytes, query=EvidenceQuery)
def evidence(context: Context, owner: str, letter: str, query: EvidenceQuery) -> Response:
    """The letter's evidence (ASiC-E): the same bytes as applications get. Reads are recorded."""
    if not LETTER.fullmatch(letter):
        raise NotFound("there is no such letter")
    _may_disclose(context, owner, asked=bool(query.disclose))
    file = context.services.audit.call(
        context.viewer.person, lambda client: client.letter_evidence(owner, letter, query.disclose)
    )
    return download(file, f"{letter}.asice")
