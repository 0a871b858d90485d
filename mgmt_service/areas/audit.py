"""What stands in the logs: found, read with its proof, counted. A look at content is on record first."""

from __future__ import annotations

import datetime
import json
from typing import Any

import msgspec
from flask import Response
from flask_babel import gettext

from appliance.audit.filters import Filter
from appliance.audit.pages import EntryProof, EntryView
from appliance.errors import NotFound
from mgmt_service import words
from mgmt_service.access import Access, Area
from mgmt_service.dispatch import Context
from mgmt_service.downloads import download
from mgmt_service.forms import FieldError
from mgmt_service.owners import OF_OWNER, scope_of
from mgmt_service.roles import AUDIT
from mgmt_service.texts import pretty

area = Area("audit")
READ = Access(roles=AUDIT, scope=OF_OWNER)
PAGE = 50
MICROSECONDS = 1_000_000
SIGNED_KINDS = ("stamp", "seal", "batch-stamp", "pdf-seal", "court", "letter", "message", "filing")
CLEAR_KINDS = frozenset({"administration", "ceremony", "box-leaf"})
"""Kinds that hold no content of a tenant's: looking at them leaves no record (docs/audit.md)."""
SUFFIXES = {
    "stamp": "tst",
    "seal": "p7s",
    "batch-stamp": "batch",
    "pdf-seal": "pdf-update",
    "court": "p7s",
    "letter": "letter",
    "message": "json",
    "filing": "jws",
}
COUNTED_DAYS = 31


class LogLine(msgspec.Struct, frozen=True):
    """A log that the viewer may search."""

    owner: str
    scope: str
    origin: str
    size: int
    indexed: int


class Logs(msgspec.Struct, frozen=True):
    logs: list[LogLine]


class Search(msgspec.Struct, frozen=True):
    """What of a log is asked for; everything given must hold. `since` and `until`: UTC, 2026-11-22T07:00."""

    kind: str = ""
    key: str = ""
    application: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    oldest: bool = False
    cursor: int | None = None


class EntryLine(msgspec.Struct, frozen=True):
    """An entry in a list."""

    index: int
    record: str
    time: float
    kind: str
    key: str
    application: str
    gist: str
    """What it says, in a few words."""
    content: str
    """JSON, for people."""


class Entries(msgspec.Struct, frozen=True):
    """A page of a log."""

    owner: str
    scope: str
    origin: str
    size: int
    indexed: int
    entries: list[EntryLine]
    next: int | None
    searched: int
    kinds: list[str]
    keys: list[str]
    applications: list[str]
    asked: Search
    recorded: bool
    """Whether this look is on record itself."""


class Entry(msgspec.Struct, frozen=True):
    """One entry with its proof."""

    owner: str
    scope: str
    origin: str
    index: int
    record: str
    time: float
    kind: str
    key: str
    application: str
    content: str
    salt: str
    commitment: str
    artifact_bytes: int
    artifact_file: str
    opening_file: str
    """Empty where there is none."""
    proof: str | None
    """A C2SP tlog-proof; None until the log has a signed head over the entry."""
    recorded: bool


class Day(msgspec.Struct, frozen=True):
    day: str
    counts: dict[str, int]
    total: int


class Counts(msgspec.Struct, frozen=True):
    """Records by day and kind."""

    owner: str
    scope: str
    kinds: list[str]
    days: list[Day]
    asked: Search


@area.read("/audit", access=Access(roles=AUDIT), gives=Logs, template="audit/logs.html")
def logs(context: Context) -> Logs:
    """The logs that the viewer may search."""
    mine = context.viewer.scopes(AUDIT)
    return Logs([line for line in log_lines(context) if line.scope in mine])


def log_lines(context: Context) -> list[LogLine]:
    found = context.services.audit.call(context.viewer.person, lambda client: client.logs())
    return [
        LogLine(one["log"], scope_of(one["log"]), one["origin"], one["size"], one["indexed"])
        for one in sorted(found, key=lambda one: str(one["log"]))
    ]


def log_named(context: Context, owner: str) -> dict[str, Any]:
    """Raises NotFound."""
    found = context.services.audit.call(context.viewer.person, lambda client: client.logs())
    for one in found:
        if one["log"] == owner:
            return one
    raise NotFound("there is no such log")


def wanted(asked: Search) -> Filter:
    """The filter of a search. Raises FieldError."""
    return Filter(
        applications=[asked.application] if asked.application else [],
        keys=[asked.key] if asked.key else [],
        kinds=[asked.kind] if asked.kind else [],
        since=instant_of(asked.since, "since"),
        text=asked.text,
        until=instant_of(asked.until, "until"),
    )


def instant_of(text: str, path: str) -> int | None:
    """A time from a form, UTC, as microseconds since the epoch; None where there is none. Raises FieldError."""
    if not text:
        return None
    try:
        found = datetime.datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=datetime.UTC)
        return int(found.timestamp() * MICROSECONDS)
    except (ValueError, OverflowError):
        raise FieldError("a time is written as 2026-11-22T07:00", path) from None


@area.read("/audit/<owner>", access=READ, gives=Entries, query=Search, template="audit/entries.html")
def entries(context: Context, owner: str, query: Search) -> Entries:
    """Entries of a log by time, kind, key, application and text, the newest first. Reads of content are recorded."""
    return found_entries(context, owner, query, wanted(query))


def found_entries(context: Context, owner: str, query: Search, asked: Filter) -> Entries:
    told = log_named(context, owner)
    page = context.services.audit.call(
        context.viewer.person,
        lambda client: client.entries(owner, asked, newest=not query.oldest, cursor=query.cursor, limit=PAGE),
    )
    return Entries(
        owner=owner,
        scope=scope_of(owner),
        origin=told["origin"],
        size=page.size,
        indexed=page.indexed,
        entries=[_line(one) for one in page.entries],
        next=page.next,
        searched=page.searched,
        kinds=told["kinds"],
        keys=told["keys"],
        applications=told["applications"],
        asked=query,
        recorded=any(one.kind not in CLEAR_KINDS for one in page.entries),
    )


def _line(one: EntryView) -> EntryLine:
    content = one.content or ""
    return EntryLine(
        one.index, one.record, one.time / MICROSECONDS, one.kind, one.key, one.application, gist(content),
        pretty(content.encode()),
    )  # fmt: skip


def gist(content: str) -> str:
    """What a record says, in a few words."""
    try:
        said = json.loads(content)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    about = next((said[name] for name in ("event", "action", "content_digest") if isinstance(said.get(name), str)), "")
    about = (
        about[:16] + "…" if "content_digest" in said else str(words.DEEDS.get(about) or words.EVENTS.get(about, about))
    )
    if isinstance(said.get("step"), int) and isinstance(said.get("action"), str):
        about = f"{gettext('Step %(number)s', number=said['step'] + 1)}: {words.action_name(said['action'])}"
    who = next((said[n] for n in ("person", "officer", "application", "export") if isinstance(said.get(n), str)), "")
    return " · ".join(part for part in (about, who if "content_digest" not in said else "") if part)


@area.read("/audit/<owner>/counts", access=READ, gives=Counts, query=Search, template="audit/counts.html")
def counts(context: Context, owner: str, query: Search) -> Counts:
    """How many records of each kind a log has by day; of the last month where no time is given."""
    since, until = instant_of(query.since, "since"), instant_of(query.until, "until")
    if since is None and until is None:
        first = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=COUNTED_DAYS - 1)
        since = int(first.timestamp()) * MICROSECONDS
    found = context.services.audit.call(context.viewer.person, lambda client: client.counts(owner, since, until))
    days: dict[str, dict[str, int]] = {}
    for day, kind, number in found:
        days.setdefault(day, {})[kind] = number
    return Counts(
        owner=owner,
        scope=scope_of(owner),
        kinds=sorted({kind for _, kind, _ in found}),
        days=[Day(day, by_kind, sum(by_kind.values())) for day, by_kind in sorted(days.items(), reverse=True)],
        asked=query,
    )


@area.read("/audit/<owner>/entries/<which>", access=READ, gives=Entry, template="audit/entry.html")
def entry(context: Context, owner: str, which: str) -> Entry:
    """One entry, by its number in the log or its record id, with its proof. Reads of content are recorded."""
    found = read_entry(context, owner, which)
    shown = found.entry
    return Entry(
        owner=owner,
        scope=scope_of(owner),
        origin=found.origin,
        index=shown.index,
        record=shown.record,
        time=shown.time / MICROSECONDS,
        kind=shown.kind,
        key=shown.key,
        application=shown.application,
        content=pretty((shown.content or "").encode()),
        salt=found.salt,
        commitment=shown.commitment,
        artifact_bytes=len(found.artifact),
        artifact_file=artifact_file(found) if found.artifact else "",
        opening_file=f"{artifact_file(found)}.record.json" if found.opening else "",
        proof=found.tlog_proof,
        recorded=shown.kind not in CLEAR_KINDS,
    )


def read_entry(context: Context, owner: str, which: str) -> EntryProof:
    """Raises NotFound."""
    name: int | str = which
    if which.isascii() and which.isdigit() and len(which) <= 18:
        name = int(which)
    elif len(which) != 44 or not all(one in "0123456789abcdef" for one in which):
        raise NotFound("there is no such entry")
    return context.services.audit.call(context.viewer.person, lambda client: client.entry(owner, name))


def artifact_file(found: EntryProof) -> str:
    return f"{found.entry.record}.{SUFFIXES.get(found.entry.kind, 'bin')}"


@area.read("/audit/<owner>/entries/<which>/artifact", access=READ, gives=bytes)
def artifact(context: Context, owner: str, which: str) -> Response:
    """What the signature was handed out in: a time-stamp token, a CMS signature, or a ceremony's document."""
    found = read_entry(context, owner, which)
    if not found.artifact:
        raise NotFound("nothing was handed out with this entry")
    return download(found.artifact, artifact_file(found))


@area.read("/audit/<owner>/entries/<which>/opening", access=READ, gives=bytes)
def opening(context: Context, owner: str, which: str) -> Response:
    """The record opening, which `cinnabar verify` takes beside the artifact."""
    found = read_entry(context, owner, which)
    if not found.opening:
        raise NotFound("this entry is no signature's record")
    return download(found.opening, f"{artifact_file(found)}.record.json")


@area.read("/audit/<owner>/entries/<which>/proof", access=READ, gives=bytes)
def proof(context: Context, owner: str, which: str) -> Response:
    """The entry's proof in the log (C2SP tlog-proof)."""
    found = read_entry(context, owner, which)
    if found.tlog_proof is None:
        raise NotFound("the log has no signed head over this entry yet")
    return download(found.tlog_proof.encode(), f"{found.entry.record or found.entry.index}.tlog-proof")
