"""Approvers' work list: events of letters that wait for approvals, who has signed, and where one signs.

Nothing is signed here: each draft leads to its page on the approval origin, which shows the very text.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from flask import Response

from appliance.audit.drafts import DraftView
from appliance.audit.letters import LetterLine
from appliance.ceremonies import tenant_scope
from appliance.errors import NotFound
from appliance.letters.draft_words import read_draft_text
from appliance.letters.event import Event
from mgmt_service.access import Access, Area
from mgmt_service.areas.entry import approval_origin
from mgmt_service.dispatch import Context
from mgmt_service.downloads import download
from mgmt_service.kinds import KindBook, event_of, grouped, told
from mgmt_service.letter_lines import FieldLine, LetterRow, letter_fields, letter_row
from mgmt_service.owners import OF_TENANT, owner_of, scope_of
from mgmt_service.roles import LETTER_READERS, WORK_LIST

area = Area("approvals")
READ = Access(roles=WORK_LIST, scope=OF_TENANT)
_DRAFT: Final = re.compile(r"[0-9a-f]{64}")


class StepLine(msgspec.Struct, frozen=True):
    step: int
    policy: str
    limits: list[str]
    """That the event exceeds and whose approval it is."""
    approvals: int
    """How many sign."""
    in_order: bool
    signed: list[str]
    """Names of those who have."""


class DraftLine(msgspec.Struct, frozen=True):
    """A draft on the list."""

    owner: str
    scope: str
    draft: str
    kind_title: str
    event_title: str
    letter: str
    begins: bool
    """Whether it begins the letter."""
    row: LetterRow | None
    """The letter as it stands now; None: the event begins it."""
    fields: list[FieldLine]
    """What the letter says now."""
    amount: str
    application: str
    asked: str
    expires: str
    state: str
    steps: list[StepLine]
    may_sign: list[str]
    """Names of those who can sign next."""
    mine: bool
    """Whether it waits for the viewer's own signature."""
    step: int | None
    sign: str
    """Its page on the approval origin."""


class WorkList(msgspec.Struct, frozen=True):
    owner: str
    """Empty: of all the viewer's tenants."""
    scope: str
    drafts: list[DraftLine]
    tenants: list[str]


@area.read("/approvals", access=Access(roles=WORK_LIST), gives=WorkList, template="approvals/list.html")
def work_list(context: Context) -> WorkList:
    """What waits for approvals in the viewer's tenants, her own first. Reads are recorded."""
    owners = sorted(owner_of(scope) for scope in context.viewer.scopes(WORK_LIST) if scope.startswith("tenant/"))
    return WorkList("", "", _ordered([one for owner in owners for one in _lines(context, owner)]), owners)


@area.read("/approvals/<owner>", access=READ, gives=WorkList, template="approvals/list.html")
def tenants_list(context: Context, owner: str) -> WorkList:
    """What waits for approvals in one tenant. Reads are recorded."""
    return WorkList(owner, scope_of(owner), _ordered(_lines(context, owner)), [owner])


@area.read("/approvals/<owner>/<draft>", access=READ, gives=DraftLine, template="approvals/show.html")
def draft(context: Context, owner: str, draft: str) -> DraftLine:
    """One draft: who has signed, who can, and how. Reads are recorded."""
    return _line(context, KindBook.of(context.services.desk, owner), owner, _read(context, owner, draft))


@area.read("/approvals/<owner>/<draft>/file", access=READ, gives=bytes)
def draft_file(context: Context, owner: str, draft: str) -> Response:
    """The draft as `cinnabar approve-letter` takes it, for approvers with cards. Reads are recorded."""
    found = _read(context, owner, draft).draft
    return download(msgspec.json.encode(found), f"{draft[:16]}.draft.json")


def _read(context: Context, owner: str, draft: str) -> DraftView:
    if not _DRAFT.fullmatch(draft):
        raise NotFound("there is no such draft")
    return context.services.audit.call(context.viewer.person, lambda client: client.draft(owner, draft))


def _lines(context: Context, owner: str) -> list[DraftLine]:
    found = context.services.audit.call(context.viewer.person, lambda client: client.drafts(owner))
    book = KindBook.of(context.services.desk, owner) if found else KindBook([])
    return [_line(context, book, owner, one) for one in found]


def _ordered(lines: list[DraftLine]) -> list[DraftLine]:
    """One's own first, then what wants approvals; within these what expires first."""
    return sorted(lines, key=lambda one: (not one.mine, one.state != "open", one.expires))


def _line(context: Context, book: KindBook, owner: str, view: DraftView) -> DraftLine:
    kept = view.draft
    event = read_draft_text(kept.text)
    loaded = book.of_digest(event.kind.digest)
    rule = event_of(loaded, event.event)
    return DraftLine(
        owner=owner,
        scope=tenant_scope(owner),
        draft=kept.draft,
        kind_title=event.kind.id if loaded is None else told(loaded.kind.title),
        event_title=event.event if rule is None else told(rule.title),
        letter=event.letter,
        begins=event.previous is None,
        row=None if view.letter is None else letter_row(book, view.letter),
        fields=[] if view.letter is None else _fields(context, book, owner, view.letter),
        amount=_amount(event),
        application=kept.application,
        asked=kept.asked,
        expires=kept.expires,
        state=kept.state,
        steps=[
            StepLine(
                one.step, one.policy, one.limits, one.approvals, one.in_order,
                [_name(context, given.approver) for given in kept.approved if given.step == one.step],
            )
            for one in kept.needed
        ],
        may_sign=[_name(context, person) for person in view.may_sign],
        mine=context.viewer.person in view.may_sign,
        step=view.step,
        sign=f"{approval_origin(context)}/drafts/{kept.draft}",
    )  # fmt: skip


def _fields(context: Context, book: KindBook, owner: str, letter: LetterLine) -> list[FieldLine]:
    """What the letter says; other letters are linked for whoever may read them."""
    loaded = book.of_digest(letter.kind_digest)
    fields = letter_fields({} if loaded is None else loaded.kind.fields, letter, {})
    if context.viewer.has(LETTER_READERS, scope_of(owner)):
        return fields
    return [msgspec.structs.replace(one, letter="") for one in fields]


def _amount(event: Event) -> str:
    return "" if event.value is None else f"{grouped(event.value.amount)} {event.value.currency}"


def _name(context: Context, person: str) -> str:
    known = None if context.constitution is None else context.constitution.person(person)
    return person if known is None else known.name
