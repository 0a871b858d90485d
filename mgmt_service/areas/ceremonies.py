"""Ceremonies as they stand: listed, read in plain words, led to the approval origin, executed, watched."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.ceremonies import Constitution, Proposal, decode, digest_words, read_proposal
from appliance.ceremonies.actions import RenewLogs
from appliance.ceremonies.explain import Part, explain
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import NotFound
from appliance.keymaster.errors import ExecutionBusy
from mgmt_service.access import WORKING, Access, Area, Named, Next
from mgmt_service.areas.entry import approval_origin
from mgmt_service.changes import Change, Now, changes_of
from mgmt_service.dispatch import Context
from mgmt_service.languages import TAGS, chosen_language, word_list
from mgmt_service.owners import scope_of
from mgmt_service.problems import AnotherExecuting
from mgmt_service.roles import EVERYONE, OFFICERS
from mgmt_service.services import Services
from mgmt_service.texts import pretty

area = Area("ceremonies")
MICROSECONDS = 1_000_000


def scopes_of(services: Services, digest: str) -> frozenset[str]:
    """The scopes of a proposal. Raises NotFound."""
    if len(digest) != 64 or not all(character in "0123456789abcdef" for character in digest):
        raise NotFound("there is no such proposal")
    return frozenset(services.desk.call(lambda client: client.proposal(digest))["scopes"])


OF_PROPOSAL = Named("digest", scopes_of)
READ = Access(roles=EVERYONE, scope=OF_PROPOSAL)


class Line(msgspec.Struct, frozen=True):
    """A proposal in the list."""

    digest: str
    title: str
    state: str
    requester: str
    scopes: list[str]
    actions: list[str]
    submitted: int
    expires: str
    approved: int
    needed: int


class Filter(msgspec.Struct, frozen=True):
    state: str = ""


class Ceremonies(msgspec.Struct, frozen=True):
    lines: list[Line]
    state: str
    counts: dict[str, int]


class Fact(msgspec.Struct, frozen=True):
    label: str
    value: str


class PlainPart(msgspec.Struct, frozen=True):
    """One sentence of a proposal in plain words, and what belongs to it."""

    sentence: str
    facts: list[Fact]


class PlainWords(msgspec.Struct, frozen=True):
    """A proposal as its reader's language says it, made by the same code as the keymaster's own page."""

    summary: PlainPart
    steps: list[PlainPart]
    order: list[str]
    """The steps' actions, as they are done one after another."""
    binding: list[Fact]


class ScopeStanding(msgspec.Struct, frozen=True):
    scope: str
    threshold: int
    approved: list[str]
    rejected: list[str]
    may_still: list[str]


class StatementLine(msgspec.Struct, frozen=True):
    verb: str
    officer: str
    received: str


class StepLine(msgspec.Struct, frozen=True):
    step: int
    action: str
    state: str
    begun: int | None
    ended: int | None
    facts: dict[str, Any]
    outputs: list[str]
    error: str | None


class Asked(msgspec.Struct, frozen=True):
    """What the ceremony waits for at the console."""

    number: int
    kind: str
    """ask or show."""
    prompt: str
    shown: bool
    """It was shown, and waits for the word that it was taken down."""
    until: int
    """When the step fails by itself, seconds since the epoch."""


class Ceremony(msgspec.Struct, frozen=True):
    """One proposal and how it stands."""

    digest: str
    words: str
    title: str
    state: str
    requester: str
    takes_away: bool
    scopes: list[str]
    plain: PlainWords
    changes: list[list[Change]]
    """By step."""
    standing: list[ScopeStanding]
    must_accept: list[str]
    statements: list[StatementLine]
    steps: list[StepLine]
    waiting: list[Asked]
    """At the console."""
    error: str | None
    submitted: int
    expires: str
    approval_link: str
    my_part: str
    """What the viewer may say next on the approval origin: request, approve, accept, take-away, or nothing."""
    may_execute: bool
    still_to_do: str
    """A command that somebody has to give at the box before what was decided is so; empty: none."""
    version: str
    """Changes whenever the page would."""


class Entry(msgspec.Struct, frozen=True):
    """One entry of a ceremony in a log."""

    event: str
    log: str
    scope: str
    """Whose log it is."""
    attempt: int | None
    """Which execution, from 1; None of what is no part of one."""
    step: int | None
    """From 0; None of what is no step."""
    action: str
    officer: str
    """Whose word it is; empty of what the keymaster did."""
    verb: str
    outcome: str
    """Of a step: done or failed."""
    facts: dict[str, Any]
    error: str
    leaf: int | None
    time: int
    record: str
    """JSON."""
    refused: str | None


class Output(msgspec.Struct, frozen=True):
    step: int
    name: str
    size: int
    text: str
    """Where it is text, such as PEM."""


class Transcript(msgspec.Struct, frozen=True):
    digest: str
    title: str
    state: str
    entries: list[Entry]
    outputs: list[Output]
    questions: list[dict[str, Any]]
    text: str
    """The proposal's canonical text."""


@area.read(
    "/ceremonies", access=Access(roles=EVERYONE), gives=Ceremonies, query=Filter, template="ceremonies/list.html"
)
def ceremonies(context: Context, query: Filter) -> Ceremonies:
    """The proposals of the viewer's scopes, the newest first."""
    scopes = sorted(context.viewer.scopes())
    lines = [line_of(one) for one in context.services.desk.call(lambda client: client.proposals(scopes))]
    counts: dict[str, int] = {}
    for one in lines:
        counts[one.state] = counts.get(one.state, 0) + 1
    return Ceremonies([one for one in lines if query.state in {"", one.state}], query.state, counts)


def line_of(summary: dict[str, Any]) -> Line:
    tally = summary["tally"] or {"scopes": [], "outcome": ""}
    return Line(
        digest=summary["digest"],
        title=summary["title"],
        state=state_of(summary),
        requester=summary["requester"],
        scopes=summary["scopes"],
        actions=summary["actions"],
        submitted=summary["submitted"] // MICROSECONDS,
        expires=summary["expires"],
        approved=sum(min(len(part["approved"]), part["threshold"]) for part in tally["scopes"]),
        needed=sum(part["threshold"] for part in tally["scopes"]),
    )


def state_of(summary: dict[str, Any]) -> str:
    """The keymaster's state; `unsigned` for one that its requester has not signed."""
    tally = summary["tally"] or {}
    return "unsigned" if summary["state"] == "open" and tally.get("outcome") == "unsigned" else str(summary["state"])


def plain_words(proposal: Proposal, law: Constitution | None) -> PlainWords:
    language = "en" if TAGS[chosen_language()] == "en" else "zh-Hans"
    found = explain(proposal, language, law)  # type: ignore[arg-type]
    return PlainWords(
        _plain(found.summary),
        [_plain(step) for step in found.steps],
        [str(action.__struct_config__.tag) for action in proposal.actions],
        [Fact(fact.label, fact.value) for fact in found.binding],
    )


def _plain(part: Part) -> PlainPart:
    return PlainPart(part.sentence, [Fact(fact.label, fact.value) for fact in part.facts])


def changes_by_step(context: Context, proposal: Proposal) -> list[list[Change]]:
    now = Now(context.services.settings(), context.constitution, context.services.trust())
    return [changes_of(action, now) for action in proposal.actions]


@area.read("/ceremonies/<digest>", access=READ, gives=Ceremony, template="ceremonies/show.html")
def ceremony(context: Context, digest: str) -> Ceremony:
    """One proposal: in plain words, against the state now, who has said what, how its execution goes."""
    return _ceremony(context, digest)


@area.read(
    "/live/ceremonies/<digest>",
    access=Access(roles=EVERYONE, scope=OF_PROPOSAL, touches=False),
    gives=Ceremony,
    page=False,
)
def live_ceremony(context: Context, digest: str) -> Ceremony:
    """The same, for pages that ask by themselves; it keeps no session alive."""
    return _ceremony(context, digest)


def law_of(context: Context, proposal: Proposal) -> Constitution | None:
    """The constitution that a proposal was made under: what it changes is told against that one, for ever."""
    law = context.constitution
    if law is None or law.digest == proposal.constitution:
        return law
    return decode(context.services.desk.call(lambda client: client.constitution(proposal.constitution)), Constitution)


def _ceremony(context: Context, digest: str) -> Ceremony:
    found = context.services.desk.call(lambda client: client.proposal(digest))
    proposal = read_proposal(found["proposal"])
    tally = found["tally"] or {"scopes": [], "must_accept": [], "outcome": ""}
    standing = [msgspec.convert(part, ScopeStanding) for part in tally["scopes"]]
    if found["state"] in {"executing", "executed"}:
        # What it needed then; the constitution in force may need more by now.
        needed = {part.scope: part.threshold for part in proposal.quorum}
        standing = [msgspec.structs.replace(part, threshold=needed[part.scope]) for part in standing]
    statements = [_statement(one) for one in found["statements"]]
    state = state_of(found)
    open_ = state in {"unsigned", "open", "approved"}
    may_withdraw = state == "failed" and not found["takes_away"]
    steps = [
        StepLine(
            step=one["step"],
            action=one["action"],
            state=one["state"],
            begun=one["begun"],
            ended=one["ended"],
            facts=one["facts"],
            outputs=one["outputs"],
            error=one["error"],
        )
        for one in found["steps"]
    ]
    finished = [one.state for one in steps]
    waiting = [msgspec.convert(one, Asked) for one in found["waiting"]]
    asked = [f"{one.number} {one.shown}" for one in waiting]
    return Ceremony(
        digest=digest,
        words=digest_words(digest, word_list()),
        title=proposal.title,
        state=state,
        requester=proposal.requester,
        takes_away=bool(found["takes_away"]),
        scopes=found["scopes"],
        plain=plain_words(proposal, law_of(context, proposal)),
        changes=changes_by_step(context, proposal) if open_ else [],
        standing=standing,
        must_accept=tally["must_accept"],
        statements=statements,
        steps=steps,
        waiting=waiting,
        error=found["error"],
        submitted=found["submitted"] // MICROSECONDS,
        expires=proposal.expires,
        approval_link=f"{approval_origin(context)}/proposals/{digest}" if open_ or may_withdraw else "",
        my_part=_my_part(context.viewer.person, proposal, state, standing, tally["must_accept"]),
        may_execute=state in {"approved", "failed"} and bool(context.viewer.scopes(OFFICERS) & set(found["scopes"])),
        still_to_do=_still_to_do(context, proposal) if state == "executed" else "",
        version="|".join([state, str(found["changed"]), str(len(statements)), *finished, *asked]),
    )


def _still_to_do(context: Context, proposal: Proposal) -> str:
    """The logs go on under another hash once somebody says so at the stopped box, and not before."""
    settings = context.services.settings()
    wanted = [one.hash for one in proposal.actions if isinstance(one, RenewLogs)]
    once = {
        origin.rpartition("/")[2] for log in settings.logs for origin in (log.origin, *(e.origin for e in log.ended))
    }
    return next((f"cinnabar log renew --hash {name}" for name in wanted if name not in once), "")


def _statement(text: bytes) -> StatementLine:
    received = msgspec.json.decode(text)
    return StatementLine(received["statement"]["verb"], received["statement"]["officer"], received["received"])


def _my_part(person: str, proposal: Proposal, state: str, standing: list[ScopeStanding], must_accept: list[str]) -> str:
    if state == "unsigned" and proposal.requester == person:
        return "take-away" if proposal.takes_away else "request"
    if state == "open" and person in must_accept:
        return "accept"
    if state == "open" and any(person in part.may_still for part in standing):
        return "approve"
    return ""


@area.act("/ceremonies/<digest>/execute", access=Access(roles=OFFICERS, scope=OF_PROPOSAL, states=WORKING), gives=Next)
def execute(context: Context, digest: str) -> Next:
    """Ask the keymaster to execute what the quorum has approved. Asking carries no authority."""
    desk = context.services.desk
    try:
        desk.call(lambda client: client.execute(digest))
    except ExecutionBusy as busy:
        mine = sorted(context.viewer.scopes())
        running = [one for one in desk.call(lambda client: client.proposals(mine)) if one["state"] == "executing"]
        raise AnotherExecuting(str(busy), [(one["digest"], one["title"]) for one in running]) from None
    return Next(f"/ceremonies/{digest}", "executing")


@area.read("/ceremonies/<digest>/transcript", access=READ, gives=Transcript, template="ceremonies/transcript.html")
def transcript(context: Context, digest: str) -> Transcript:
    """Everything that happened, with times and places in the logs: the box's own, and those of the viewer's tenants.

    A ceremony of several scopes stands in each one's log, and a place in a log tells its size (control CHANNEL)."""
    found = context.services.desk.call(lambda client: client.transcript(digest))
    shown = {"@box", *context.viewer.tenants}
    return Transcript(
        digest=digest,
        title=found["title"],
        state=state_of(found),
        entries=[_entry(one) for one in found["entries"] if one["log"] in shown],
        outputs=[
            Output(step=one["step"], name=one["name"], size=len(one["data"]), text=_text(one["data"]))
            for one in found["outputs"]
        ],
        questions=found["questions"],
        text=pretty(found["proposal"]),
    )


def _entry(told: dict[str, Any]) -> Entry:
    try:
        record = msgspec.json.decode(told["record"], type=CeremonyRecord)
    except msgspec.MsgspecError:  # a signature that the ceremony made: its record is another kind's
        record = CeremonyRecord(event=told["event"])
    return Entry(
        event=record.event,
        log=told["log"],
        scope=scope_of(told["log"]),
        attempt=record.attempt or None,
        step=record.step if record.step >= 0 else None,
        action=record.action,
        officer=record.officer,
        verb=record.verb,
        outcome=record.outcome if record.step >= 0 else "",
        facts=record.facts,
        error=record.error,
        leaf=told["leaf"],
        time=told["time"] // MICROSECONDS,
        record=pretty(told["record"]),
        refused=told["refused"],
    )


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() or text.startswith(("-----BEGIN", "{")) else ""
