"""Intake runs: files of many letters, row by row, with the verdict on each row."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from flask import Response
from flask_babel import force_locale

from appliance.audit.intakes import Intake, RowVerdict
from appliance.ceremonies import BOX
from appliance.errors import NotFound
from mgmt_service.access import Access, Area
from mgmt_service.areas.audit import Logs, log_lines
from mgmt_service.dispatch import Context
from mgmt_service.downloads import streamed
from mgmt_service.kinds import KindBook, event_of, is_chinese, told
from mgmt_service.owners import OF_TENANT, scope_of
from mgmt_service.roles import AUDIT
from mgmt_service.words_letters import ROW_REFUSALS

area = Area("intakes")
READ = Access(roles=AUDIT, scope=OF_TENANT)
ROW_BYTES: Final = 80
"""About what a verdict takes in the table."""
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
_RUN: Final = re.compile(r"[0-9a-f]{32}")


class RunLine(msgspec.Struct, frozen=True):
    """A run as it stands."""

    run: str
    kind_title: str
    event_title: str
    application: str
    checks: bool
    """It only judges, and makes nothing."""
    state: str
    received: int
    size: int
    rows: int | None
    decided: int
    accepted: int
    duplicate: int
    refused: int
    created: str
    finished: str
    fault: str


class Runs(msgspec.Struct, frozen=True):
    owner: str
    scope: str
    runs: list[RunLine]
    next: int | None


class VerdictLine(msgspec.Struct, frozen=True):
    row: int
    verdict: str
    letter: str
    code: str
    column: str
    text: str


class Run(msgspec.Struct, frozen=True):
    owner: str
    scope: str
    line: RunLine
    verdicts: list[VerdictLine]
    only: str
    next: int | None


class Page(msgspec.Struct, frozen=True):
    before: Number = 0


class Which(msgspec.Struct, frozen=True):
    """Which verdicts: all, or accepted, duplicate or refused; from which row of the run on."""

    only: str = ""
    first: Number = 0


@area.read("/intakes", access=Access(roles=AUDIT), gives=Logs, template="intakes/tenants.html")
def tenants(context: Context) -> Logs:
    """The tenants whose intake runs the viewer may read."""
    mine = context.viewer.scopes(AUDIT) - {BOX}
    return Logs([line for line in log_lines(context) if line.scope in mine])


@area.read("/intakes/<owner>", access=READ, gives=Runs, query=Page, template="intakes/list.html")
def runs(context: Context, owner: str, query: Page) -> Runs:
    """Intake runs with their progress, the newest first. Reads are recorded."""
    found = context.services.audit.call(context.viewer.person, lambda client: client.intakes(owner, query.before))
    book = KindBook.of(context.services.desk, owner)
    return Runs(owner, scope_of(owner), [_line(book, one) for one in found.runs], found.next)


@area.read("/intakes/<owner>/<run>", access=READ, gives=Run, query=Which, template="intakes/show.html")
def run(context: Context, owner: str, run: str, query: Which) -> Run:
    """One run with the verdicts on its rows. Reads are recorded."""
    only = query.only if query.only in {"accepted", "duplicate", "refused"} else ""
    found = context.services.audit.call(
        context.viewer.person, lambda client: client.intake(owner, _known(run), only, query.first)
    )
    return Run(
        owner=owner,
        scope=scope_of(owner),
        line=_line(KindBook.of(context.services.desk, owner), found.run),
        verdicts=[_verdict(one) for one in found.verdicts],
        only=only,
        next=found.next,
    )


@area.read("/intakes/<owner>/<run>/verdicts", access=READ, gives=bytes)
def verdicts(context: Context, owner: str, run: str) -> Response:
    """Every verdict of a run as a table (CSV). Reads are recorded."""
    person = context.viewer.person
    found = context.services.audit.call(person, lambda client: client.intake(owner, _known(run)))
    return streamed(
        lambda: context.services.audit.table(person, owner, run), f"intake-{run[:16]}.csv",
        found.run.decided * ROW_BYTES, exact=False,
    )  # fmt: skip


def _known(run: str) -> str:
    if not _RUN.fullmatch(run):
        raise NotFound("there is no such run")
    return run


def _line(book: KindBook, one: Intake) -> RunLine:
    loaded = book.version(one.kind)
    rule = event_of(loaded, one.event)
    return RunLine(
        run=one.intake,
        kind_title=one.kind if loaded is None else told(loaded.kind.title),
        event_title=one.event if rule is None else told(rule.title),
        application=one.application,
        checks=one.check,
        state=one.state,
        received=one.received,
        size=one.size,
        rows=one.rows,
        decided=one.decided,
        accepted=one.accepted,
        duplicate=one.duplicate,
        refused=one.refused,
        created=one.created,
        finished=one.finished or "",
        fault="" if one.fault is None else str(one.fault.detail or one.fault.title),
    )


def _verdict(one: RowVerdict) -> VerdictLine:
    code = one.code or ""
    return VerdictLine(
        one.row, one.verdict, one.letter or "", code, one.column or "", refusal_text(code, one.text or "")
    )


def refusal_text(code: str, text: str) -> str:
    """Why a row was refused: for who reads Chinese the title of its code, and the detail as the box told it."""
    title = ROW_REFUSALS.get(code)
    if title is None or not is_chinese():
        return text
    with force_locale("en"):
        english = str(title)
    return str(title) if text == english else f"{title}：{text}"
