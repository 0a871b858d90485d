"""The evidence of a letter, judged: the container, every seal and record in it, and the chain of events.

Each event is judged as `cinnabar verify` judges a manifest, its seal and its record given as files, with the same
rounds; then the events are followed as the box follows them (appliance.letters.state), so that a chain that breaks, a
value that does not add up or a letter that comes from nowhere refutes the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from appliance.asic.chain import Line, Step, follow_line
from appliance.asic.names import COURT_RECORD, read_name
from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.bundle import TimeClass
from appliance.evidence.certificates import spoken
from appliance.evidence.context import Context
from appliance.evidence.findings import Journal, Refusal, SubIndication, worst
from appliance.evidence.letters.anchored import judge_anchors
from appliance.evidence.letters.approvals import judge_approvals
from appliance.evidence.letters.confidential import Confidential
from appliance.evidence.letters.facts import CourtFact, EventFact, LetterFacts
from appliance.evidence.letters.kinds import kinds_of
from appliance.evidence.letters.layout import Layout, Sealed, read_layout
from appliance.evidence.letters.pages import SetPage, Setter, judge_page
from appliance.evidence.letters.recorded import JudgedSeal, judge_sealed
from appliance.evidence.letters.renewals import Archived, judge_renewals
from appliance.evidence.letters.seal_objects import judge_seal_objects
from appliance.evidence.letters.telling import (
    amount,
    event_title,
    field_facts,
    file_facts,
    holdings,
    parts_made,
    said,
    state_title,
    title,
)
from appliance.evidence.ocsp import OcspAnswer, read_ocsp_answer
from appliance.evidence.revocation import RevocationList, RevocationWord, read_revocation_list
from appliance.evidence.signers import readable_certificates
from appliance.instants import microseconds
from appliance.letters.errors import EventDamaged
from appliance.letters.event import APPROVERS, Event
from appliance.letters.kind import Kind, LoadedKind
from appliance.letters.page import DOCUMENT
from appliance.quoting import escape, quote

_SECOND_US = 1_000_000


@dataclass
class JudgedLetter:
    """What the evidence of a letter shows."""

    parts: list[tuple[str, Journal]] = field(default_factory=list)
    table: str | None = None
    missing: str | None = None
    claimed_us: int | None = None
    claimed_by: str = "the newest event in the file"
    shown: tuple[int, TimeClass, str] | None = None
    """By when the whole file's events are shown to have existed, by whom."""
    digests: frozenset[str] = frozenset()
    """SHA-256 of the files that its seals cover, hexadecimal."""
    facts: LetterFacts | None = None


def judge_letter(
    content: bytes, context: Context, accepted: frozenset[str], kinds: Sequence[LoadedKind] = (),
    set_page: SetPage | None = None, archived: Archived | None = None,
) -> JudgedLetter:  # fmt: skip
    """Judge a file. `accepted`: the classes of time that count; `kinds`: files of kinds that the file may lack, for
    titles and pages; `set_page`: sets pages again, None: they are not compared; `archived`: what files beside it show
    of all of it."""
    judged = JudgedLetter()
    journal = Journal()
    judged.parts.append(("evidence of a letter", journal))
    layout = read_layout(content, journal)
    if layout is None:
        return judged
    judged.digests = layout.digests
    try:
        line = follow_line([event for event, _ in layout.events], layout.letter)
    except EventDamaged as error:
        journal.refuse("events", SubIndication.HASH_FAILURE, f"The events do not hold together: {escape(str(error))}.")
        return judged
    except (ValueError, KeyError) as error:
        journal.refuse("events", SubIndication.FORMAT_FAILURE, f"The events say what is no value: {quote(str(error))}.")
        return judged
    for step, (_, sealed) in zip(line.steps, layout.events, strict=True):
        if step.tail != sealed.tail:
            journal.refuse("events", SubIndication.FORMAT_FAILURE, f"{quote(sealed.names.event)} has a foreign name.")
            return judged
    journal.passed(
        "events",
        f"{len(line.steps)} event(s), each naming the one before by its SHA-256; followed to the letter "
        f"{line.state.letter}, its value conserved.",
    )
    journal.note(
        "extent",
        "The file tells of the letter up to the newest event in it. Whether later ones exist, only the box can say.",
    )
    if layout.page:
        journal.note(
            "page for people",
            "The file holds a page for people, META-INF/for-people.html. Nothing vouches for it; this report "
            "replaces it.",
        )
    journal.complete()
    context = _with_helpers(context, layout)
    archived = archived or Archived()
    judge_renewals(layout.renewals, layout.entries, context, accepted, judged.parts, archived)
    if archived.tells:
        context = replace(context, lists=_shown_lists(context.lists, layout, archived))
    _Work(judged, layout, line, context, accepted, kinds, set_page, archived).judge()
    return judged


def _shown_lists(words: Sequence[RevocationWord], layout: Layout, archived: Archived) -> tuple[RevocationWord, ...]:
    """The lists and answers, those in the file with the time at which a record over it shows them."""
    shown: dict[bytes, int] = {}
    for name, content in layout.entries.items():
        place, known = read_name(name), archived.trusted([name])
        if place is not None and place.role in {"crl", "ocsp"} and known is not None:
            with contextlib.suppress(DerError):
                read = read_revocation_list(content) if place.role == "crl" else read_ocsp_answer(content)
                shown[read.signed] = known.time_us
    return tuple(
        replace(one, shown_us=shown[one.signed])
        if isinstance(one, RevocationList | OcspAnswer) and one.shown_us is None and one.signed in shown
        else one
        for one in words
    )


def _with_helpers(context: Context, layout: Layout) -> Context:
    lists: list[RevocationWord] = list(context.lists)
    seals = [sealed.seal for _, sealed in layout.events] + ([layout.court.seal] if layout.court else [])
    encoded = list(layout.lists)
    for seal in seals:
        try:
            encoded += cms.read_signed_data(seal).crls
        except DerError:
            continue
    for read, found in ((read_revocation_list, encoded), (read_ocsp_answer, layout.answers)):
        for one in dict.fromkeys(found):
            with contextlib.suppress(DerError, Refusal):  # what cannot be read is of no use to anyone
                lists.append(read(one))
    return replace(context, lists=tuple(lists), others=(*context.others, *readable_certificates(layout.certificates)))


class _Work:
    def __init__(
        self, judged: JudgedLetter, layout: Layout, line: Line, context: Context, accepted: frozenset[str],
        kinds: Sequence[LoadedKind], set_page: SetPage | None, archived: Archived,
    ) -> None:  # fmt: skip
        self.archived = archived
        self.judged = judged
        self.layout = layout
        self.line = line
        self.context = context
        self.accepted = accepted
        self.kinds = kinds_of(layout, kinds, judged.parts[0][1])
        self.setter = None if set_page is None else Setter(set_page)
        self.anchored = judge_anchors(layout, context, archived)
        self.confidential = Confidential(line.state.letter)
        self.logged: dict[str, int] = {}
        """The newest record's place in each log."""

    def _kind(self, digest: str) -> Kind | None:
        loaded = self.kinds.get(digest)
        return None if loaded is None else loaded.kind

    def judge(self) -> None:
        self.judged.parts += self.anchored.parts
        facts = [
            self._event(step, sealed) for step, (_, sealed) in zip(self.line.steps, self.layout.events, strict=True)
        ]
        court = None if self.layout.court is None else self._court(self.layout.court)
        newest, state = facts[-1], self.line.state
        kind = self._kind(state.kind.digest)
        declared = kind.fields if kind is not None else {}
        self.judged.facts = LetterFacts(
            letter=state.letter,
            kind=said(state.kind.id),
            kind_title=None if kind is None else title(kind.title),
            kind_version=state.kind.version,
            kind_digest=state.kind.digest,
            state=said(state.state),
            state_title=state_title(kind, state.state),
            events=facts,
            head=state.head,
            balance=amount(state.balance, state.currency),
            begun=said(state.begun),
            changed=said(state.changed),
            existed_no_later_than=newest.existed_no_later_than,
            said_by=newest.said_by,
            fields=[
                *field_facts(state.fields, declared),
                *field_facts(self.confidential.disclosed, declared, "disclosed"),
                *field_facts(
                    {name: one for name, one in state.sealed.items() if name not in state.fields}, declared, "encrypted"
                ),
            ],
            hidden=self.confidential.hidden,
            title_chain=holdings(self.line, kind),
            court=court,
            ledgers=self.anchored.facts,
            renewals=self.archived.facts,
        )

    # --- one event ---------------------------------------------------------------------------------------------------

    def _event(self, step: Step, sealed: Sealed) -> EventFact:
        event = step.event
        journal = Journal()
        anchored = self.anchored.times.get(sealed.tail, ())
        found = judge_sealed(sealed, self.context, self.accepted, journal, self.archived, anchored)
        kind = self._kind(event.kind.digest)
        journal.passed(
            "manifest", f"{quote(sealed.names.event)} and {len(sealed.files)} file(s) beside it are, byte for byte, "
            "those that the sealed manifest names.",
        )  # fmt: skip
        self._check_record(event, found, journal)
        self._check_times(event, found, journal)
        self.confidential.check_beside(event, sealed, journal)
        beside = {name.rpartition("/")[2]: content for name, content in sealed.files.items()}
        judge_seal_objects(event, beside, sealed.seal, _instant(event.at), self.context, journal)
        if DOCUMENT in beside:
            judge_page(
                event, step.after, beside[DOCUMENT], self.kinds.get(event.kind.digest), self.setter, journal,
                rehearsal=self.context.trust.document.rehearsal,
            )  # fmt: skip
        declared = kind.fields if kind is not None else {}
        disclosed = self.confidential.disclosed_by(event, self.layout.disclosures.get(sealed.tail), declared, journal)
        approvals = judge_approvals(event, self.context, found.trusted_us, journal, beside.get(APPROVERS))
        journal.complete()
        which = f"event {event.number} of {event.letter[:8]}…" if "-" in step.tail else f"event {event.number}"
        self.judged.parts.append((which, journal))
        self.judged.parts += [(f"{which}: {name}", one) for name, one in found.journals]
        self.judged.claimed_us = _instant(event.at)
        self.judged.shown = (
            None if found.outside is None else (found.outside.time_us, found.outside.time_class, found.outside.by)
        )
        rule = kind.events.get(event.event) if kind is not None else None
        state = step.after
        return EventFact(
            number=event.number,
            letter=event.letter,
            event=said(event.event),
            title=event_title(kind, event.event),
            at=said(event.at),
            state=said(event.state),
            state_title=state_title(kind, event.state),
            move="" if event.value is None else event.value.move,
            amount="" if event.value is None else f"{said(event.value.amount)} {said(event.value.currency)}",
            balance=amount(state.balance, state.currency),
            application=said(event.actor.application),
            tenant=said(event.actor.tenant),
            signers=found.signers,
            stamped="" if found.stamped_us is None else spoken(found.stamped_us),
            existed_no_later_than="" if found.outside is None else spoken(found.outside.time_us),
            said_by="" if found.outside is None else found.outside.by,
            log=said(found.origin),
            index=found.index,
            sha256=state.head,
            approvals=approvals,
            receipts=[f"{said(one.registry)} {said(one.number)}" for one in event.receipts],
            references=[f"{said(one.field)}: {one.letter} ({said(one.state)})" for one in event.references],
            data=field_facts(event.data, rule.data if rule is not None else {}),
            changed=[
                *field_facts(event.fields, declared),
                *disclosed,
                *field_facts(event.sealed, declared, "encrypted"),
            ],
            files=file_facts(sealed.files),
            parts=parts_made(event),
            indication=worst([journal.indication, found.indication]),
        )  # fmt: skip

    def _check_record(self, event: Event, found: JudgedSeal, journal: Journal) -> None:
        record = found.record
        if record is None:
            return
        journal.expect(
            (record.kind, record.tenant, record.application) == ("letter", event.actor.tenant, event.actor.application),
            "record",
            "The record in the log is of an event, asked for by the application and tenant that the event names.",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "Contradiction: the record in the log names another application or tenant, or is of no event.",
        )
        if found.index is None:
            return
        before = self.logged.get(found.origin)
        if before is not None and found.index <= before:
            journal.refuse(
                "log order", SubIndication.TIMESTAMP_ORDER_FAILURE,
                f"Contradiction: entry {found.index} of the log stands before that of an earlier event.",
            )  # fmt: skip
        elif any(found.origin in self._before(origin) for origin in self.logged):
            journal.refuse(
                "log order", SubIndication.TIMESTAMP_ORDER_FAILURE,
                f"Contradiction: the log {quote(found.origin)} had ended when an earlier event was recorded.",
            )  # fmt: skip
        self.logged[found.origin] = found.index

    def _before(self, origin: str) -> Iterator[str]:
        """The logs that had ended before this one began, as the trust bundle says."""
        before = self.context.trust.succeeds.get(origin)
        while before is not None:
            yield before
            before = self.context.trust.succeeds.get(before)

    def _check_times(self, event: Event, found: JudgedSeal, journal: Journal) -> None:
        at_us = _instant(event.at)
        if at_us is None:
            journal.refuse("time", SubIndication.FORMAT_FAILURE, "The event's time is none.")
            return
        journal.note("time", f"The box says that it happened at {spoken(at_us)}.")
        if found.stamped_us is None:
            journal.refuse(
                "time", SubIndication.NO_POE,
                "The seal has no time-stamp that holds, neither inside it nor by an evidence record beside it.",
            )  # fmt: skip
            return
        shown = min([found.stamped_us, *([found.outside.time_us] if found.outside is not None else [])])
        if at_us > shown + _SECOND_US:
            journal.refuse(
                "time", SubIndication.TIMESTAMP_ORDER_FAILURE,
                f"Contradiction: the event says {spoken(at_us)}, but its seal existed no later than {spoken(shown)}.",
            )  # fmt: skip

    def _court(self, sealed: Sealed) -> CourtFact:
        journal = Journal()
        found = judge_sealed(sealed, self.context, self.accepted, journal, self.archived)
        journal.passed("manifest", f"{len(sealed.files)} part(s), byte for byte those that the sealed manifest names.")
        tenant = self.line.steps[-1].event.actor.tenant
        if found.record is not None:
            journal.expect(
                (found.record.kind, found.record.tenant) == (COURT_RECORD, tenant),
                "record",
                "The record in the log is of a court package that the box made for the letter's tenant.",
                SubIndication.SIG_CONSTRAINTS_FAILURE,
                "Contradiction: the record in the log is of no court package of the letter's tenant.",
            )
        journal.complete()
        self.judged.parts.append(("court package", journal))
        self.judged.parts += [(f"court package: {name}", one) for name, one in found.journals]
        return CourtFact(
            parts=file_facts(sealed.files), signers=found.signers,
            indication=worst([journal.indication, found.indication]),
        )  # fmt: skip


def _instant(text: str) -> int | None:
    try:
        when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return microseconds(when)
