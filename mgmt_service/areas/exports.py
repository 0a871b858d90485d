"""Exports of a log for an auditor: begun, watched, taken away. Each is on record in that log, before and after."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec
from flask import Response
from flask_babel import gettext as _

from appliance.audit.exporting import ExportView
from appliance.audit.filters import Filter
from appliance.errors import NotFound
from mgmt_service.access import Access, Area, Named, Next
from mgmt_service.areas.audit import MICROSECONDS, Search, log_named, wanted
from mgmt_service.dispatch import Context
from mgmt_service.downloads import streamed
from mgmt_service.owners import OF_OWNER, scope_of
from mgmt_service.roles import AUDIT
from mgmt_service.services import Services
from mgmt_service.words import KINDS

area = Area("exports")


def scopes_of(services: Services, export: str) -> frozenset[str]:
    """The scope of the log that an export is of. Raises NotFound."""
    view = services.audit.call("", lambda client: client.export_progress(export))
    return frozenset({scope_of(view.log)})


OF_EXPORT = Named("export", scopes_of)
READ = Access(roles=AUDIT, scope=OF_EXPORT)


class ExportFile(msgspec.Struct, frozen=True):
    number: int
    name: str
    size: int


class ExportLine(msgspec.Struct, frozen=True):
    """How an export is."""

    export: str
    owner: str
    scope: str
    form: str
    asked: str
    """The filter, JSON."""
    asked_for: str
    """The same in the reader's words; empty: everything."""
    state: str
    problem: str
    range: int
    """Leaves of its range."""
    done: int
    shown: int
    withheld: int
    files: list[ExportFile]
    begun: float
    seconds: float
    version: str
    """Changes when more than numbers do."""


class Exports(msgspec.Struct, frozen=True):
    owner: str
    scope: str
    size: int
    kinds: list[str]
    keys: list[str]
    applications: list[str]
    exports: list[ExportLine]
    asked: Search


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to export. `since` and `until`: UTC, 2026-11-22T07:00."""

    form: Literal["asice", "jsonl", "csv"] = "asice"
    kind: str = ""
    key: str = ""
    application: str = ""
    since: str = ""
    until: str = ""
    text: str = ""


def in_words(asked: Filter) -> str:
    """A filter as an auditor reads it."""
    parts = [
        (_("From"), [instant_text(asked.since)] if asked.since is not None else []),
        (_("Until"), [instant_text(asked.until)] if asked.until is not None else []),
        (_("Kind"), [str(KINDS.get(one, one)) for one in asked.kinds]),
        (_("Key"), asked.keys),
        (_("Application"), asked.applications),
        (_("Text"), [asked.text] if asked.text else []),
    ]
    return " · ".join(
        str(_("%(field)s: %(what)s", field=name, what=", ".join(values))) for name, values in parts if values
    )


def instant_text(microseconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(microseconds / MICROSECONDS, datetime.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def line_of(view: ExportView) -> ExportLine:
    return ExportLine(
        export=view.export,
        owner=view.log,
        scope=scope_of(view.log),
        form=view.form,
        asked="" if view.filter == "{}" else view.filter,
        asked_for=in_words(msgspec.json.decode(view.filter, type=Filter)),
        state=view.state,
        problem=view.problem,
        range=view.end - view.first,
        done=view.done,
        shown=view.shown,
        withheld=view.withheld,
        files=[
            ExportFile(number, name, size)
            for number, (name, size) in enumerate(zip(view.files, view.sizes, strict=True))
        ],
        begun=view.begun / MICROSECONDS,
        seconds=view.seconds,
        version=view.state,
    )


@area.read(
    "/audit/<owner>/exports",
    access=Access(roles=AUDIT, scope=OF_OWNER),
    gives=Exports,
    query=Search,
    template="audit/exports.html",
)
def exports(context: Context, owner: str, query: Search) -> Exports:
    """The exports of a log that the box has made since it started, and what a new one may ask for."""
    told = log_named(context, owner)
    found = context.services.audit.call(context.viewer.person, lambda client: client.exports())
    return Exports(
        owner=owner,
        scope=scope_of(owner),
        size=told["size"],
        kinds=told["kinds"],
        keys=told["keys"],
        applications=told["applications"],
        exports=[line_of(one) for one in found if one.log == owner],
        asked=query,
    )


@area.act("/audit/<owner>/exports", access=Access(roles=AUDIT, scope=OF_OWNER), takes=Start)
def start(context: Context, owner: str, body: Start) -> Next:
    """Begin an export. It is on record in the log before a record of it is opened."""
    asked = wanted(Search(body.kind, body.key, body.application, body.since, body.until, body.text))
    name = context.services.audit.call(
        context.viewer.person, lambda client: client.export_start(owner, asked, body.form)
    )
    return Next(f"/exports/{name}", "export-begun")


@area.read("/exports/<export>", access=READ, gives=ExportLine, template="audit/export.html")
def export(context: Context, export: str) -> ExportLine:
    """How far an export is, and its files."""
    return line_of(context.services.audit.call(context.viewer.person, lambda client: client.export_progress(export)))


@area.read(
    "/live/exports/<export>",
    access=Access(roles=AUDIT, scope=OF_EXPORT, touches=False),
    gives=ExportLine,
    page=False,
)
def live_export(context: Context, export: str) -> ExportLine:
    """The same, for pages that ask by themselves; it keeps no session alive."""
    return line_of(context.services.audit.call(context.viewer.person, lambda client: client.export_progress(export)))


@area.act("/exports/<export>/cancel", access=READ)
def cancel(context: Context, export: str) -> Next:
    """Stop an export; its files go."""
    context.services.audit.call(context.viewer.person, lambda client: client.export_cancel(export))
    return Next(f"/exports/{export}", "export-cancelled")


@area.read("/exports/<export>/files/<number>", access=READ, gives=bytes)
def file(context: Context, export: str, number: str) -> Response:
    """A file of a made export, as a stream."""
    person = context.viewer.person
    view = context.services.audit.call(person, lambda client: client.export_progress(export))
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else -1
    if not 0 <= at < len(view.files):
        raise NotFound("there is no such file")
    return streamed(lambda: context.services.audit.file(person, export, at), view.files[at], view.sizes[at])
