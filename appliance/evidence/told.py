"""A report as blocks for people, in one language: what a page and a printed report both show."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.evidence.findings import Indication
from appliance.evidence.language import Language, say, translated
from appliance.evidence.letters.facts import ApprovalFact, EventFact, FieldFact, LetterFacts, Title, number_of, place_of
from appliance.evidence.report import FileReport, Report

MEANINGS = {
    Indication.PASSED: "Everything that was checked holds.",
    Indication.INDETERMINATE: "What was given neither proves nor refutes it.",
    Indication.FAILED: "Something is wrong: do not rely on it.",
}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the report. `style`: passed, undecided, failed, note, or of a heading its level."""

    form: str
    """heading, verdict, line, facts (rows of label and value), table (its first row is the head), or checks."""
    text: str = ""
    style: str = ""
    rows: list[list[str]] = []


class Told(msgspec.Struct, frozen=True, kw_only=True):
    language: Language
    title: str
    blocks: list[Block]


def tell(report: Report, language: Language) -> Told:
    """The whole report. Every text that comes from a file was escaped when the report was made."""
    title = (
        "Report on evidence of a letter" if any(_letter(one) for one in report.files) else "Report of a verification"
    )
    return Told(
        language=language, title=say(language, title), blocks=list(_Teller(language).report(report))
    )  # fmt: skip


def _letter(file: FileReport) -> LetterFacts | None:
    return file.letter if isinstance(file.letter, LetterFacts) else None


class _Teller:
    def __init__(self, language: Language) -> None:
        self.language = language

    def _say(self, english: str, *values: object) -> str:
        return say(self.language, english, *values)

    def _word(self, text: str) -> str:
        return translated(text, self.language)

    def _title(self, title: Title | None, name: str) -> str:
        return name if title is None else f"{title.en if self.language == 'en' else title.zh} ({name})"

    def _heading(self, english: str, level: str = "2") -> Block:
        return Block(form="heading", style=level, text=self._say(english))

    def report(self, report: Report) -> Iterator[Block]:
        yield self._verdict(report.indication)
        document = report.trust
        yield Block(
            form="line",
            text=self._say(
                "Checked against trust bundle version {0} ({1}, of the line that key {2}… began, in force {3} to {4}) "
                "at {5}.",
                document.version, self._say("rehearsal" if document.rehearsal else "production"),
                document.constitution[:16], document.issued, document.expires, report.validation_time,
            ),
        )  # fmt: skip
        for note in report.notes:
            yield Block(form="line", style="undecided", text=self._word(note))
        for file in report.files:
            yield from self._file(file)

    def _verdict(self, indication: Indication) -> Block:
        return Block(
            form="verdict", style=_style(indication), text=indication.value, rows=[[self._say(MEANINGS[indication])]]
        )

    def _file(self, file: FileReport) -> Iterator[Block]:
        yield Block(form="heading", style="1", text=file.name)
        if file.indication is not None:
            yield self._verdict(file.indication)
        for part in file.parts:
            for check in part.checks:
                if check.sub_indication is not None:
                    yield Block(
                        form="line", style="failed" if check.outcome == "failed" else "undecided",
                        text=f"{self._word(part.title)}: {self._word(check.text)} [{check.sub_indication}]",
                    )  # fmt: skip
        letter = _letter(file)
        if letter is not None:
            yield from self._letter(letter, proven=file.indication is Indication.PASSED)
        yield from self._times(file)
        yield self._heading("Every check")
        if file.sha256 is not None:
            yield Block(form="line", style="note", text=f"SHA-256 {file.sha256}")
        for part in file.parts:
            yield Block(form="heading", style="3", text=self._word(part.title))
            yield Block(
                form="checks",
                rows=[[one.outcome, self._word(one.name), self._word(one.text)] for one in part.checks],
            )

    def _times(self, file: FileReport) -> Iterator[Block]:
        rows = [[self._say("The box claims"), f"{one.time} ({self._word(one.by)})"] for one in file.claimed]
        shown = file.existed_no_later_than
        if shown is not None:
            rows.append([self._say("Existed no later than"), f"{shown.time} ({self._word(shown.by)})"])
        elif rows:
            rows.append([self._say("Existed no later than"), self._say("nobody but the box says so")])
        if rows:
            yield self._heading("Two times")
            yield Block(form="facts", rows=rows)

    # --- a letter ----------------------------------------------------------------------------------------------------

    def _letter(self, letter: LetterFacts, *, proven: bool) -> Iterator[Block]:
        if not proven:
            text = self._say("What follows is what the file says. It is not proven.")
            yield Block(form="line", style="undecided", text=text)
        rows = [
            ["Letter", letter.letter],
            ["Kind", self._say("{0}, version {1}", self._title(letter.kind_title, letter.kind), letter.kind_version)],
            ["State", self._title(letter.state_title, letter.state)],
            ["Balance", letter.balance],
            ["Sealed by", ", ".join(letter.events[-1].signers)],
            ["Newest event in the file", f"{number_of(letter.events[-1], letter)}, {letter.changed}"],
            ["Its SHA-256", letter.head],
            ["Hidden fields not shown", str(letter.hidden) if letter.hidden else ""],
        ]
        yield self._heading("Letter")
        yield Block(form="facts", rows=[[self._say(name), value] for name, value in rows if value])
        yield Block(form="line", style="note", text=self._word(_EXTENT))
        yield self._heading("Fields")
        yield Block(form="facts", rows=[self._field(one) for one in letter.fields])
        if len(letter.title_chain) > 1:
            yield self._heading("Chain of title")
            head = [self._say(one) for one in ("Letter", "Split off from", "Time", "Amount", "Fields")]
            rows = [
                [one.letter, one.origin, one.begun, one.amount, self._fields(one.fields)]
                for one in letter.title_chain
            ]  # fmt: skip
            yield Block(form="table", rows=[head, *rows])
        yield self._heading("Events")
        names = ("Number", "Event", "Time", "State", "Value", "Balance", "Asked by", "Verdict")
        yield Block(
            form="table", rows=[[self._say(one) for one in names], *(self._event(one, letter) for one in letter.events)]
        )
        for one in letter.events:
            yield from self._details(one, letter)
        if letter.ledgers:
            yield self._heading("Ledgers")
            columns = ("Ledger", "Shown", "By", "Place", "Ledger's time", "Existed no later than")
            rows = [
                [
                    one.ledger, f"{self._say(one.strength)}{': ' if one.reason else ''}{one.reason}",
                    self._word(one.by.replace("_", " ")), self._word(one.place), one.time, one.existed_no_later_than,
                ]
                for one in letter.ledgers
            ]  # fmt: skip
            yield Block(form="table", rows=[[self._say(one) for one in columns], *rows])
        if letter.renewals:
            yield self._heading("Renewals")
            head = [self._say(one) for one in ("Number", "Hash", "Entries", "Time", "Said by", "Verdict")]
            rows = [
                [str(one.number), one.hash, str(one.entries), one.time, self._word(one.by), one.indication.value]
                for one in letter.renewals
            ]
            yield Block(form="table", rows=[head, *rows])
        if letter.court is not None:
            yield self._heading("Court package")
            yield Block(form="facts", rows=[[one.name, f"SHA-256 {one.sha256}"] for one in letter.court.parts])

    def _field(self, field: FieldFact) -> list[str]:
        form = "" if field.form == "clear" else f" [{self._say(field.form)}]"
        shown = field.value_titles
        value = field.value if shown is None else shown.en if self.language == "en" else shown.zh
        return [self._title(field.title, field.name) + form, value]

    def _fields(self, fields: list[FieldFact]) -> str:
        return "; ".join(" = ".join(self._field(one)) for one in fields)

    def _event(self, event: EventFact, letter: LetterFacts) -> list[str]:
        value = f"{self._say(event.move)} {event.amount}" if event.move else ""
        return [
            number_of(event, letter), self._title(event.title, event.event), event.at,
            self._title(event.state_title, event.state), value, event.balance,
            f"{event.application} ({event.tenant})", event.indication.value,
        ]  # fmt: skip

    def _details(self, event: EventFact, letter: LetterFacts) -> Iterator[Block]:
        rows = [["Sealed by", ", ".join(event.signers)], ["Signature time-stamp", event.stamped]]
        if event.existed_no_later_than:
            rows.append(["Existed no later than", f"{event.existed_no_later_than} ({self._word(event.said_by)})"])
        if event.log:
            rows.append(["Log", self._say("{0}, entry {1}", event.log, event.index)])
        rows += [["Receipt", one] for one in event.receipts]
        rows += [["Condition on", one] for one in event.references]
        rows += [["New letter", one] for one in event.parts]
        for one in event.files:
            rows.append(["File", self._say("{0}, {1} bytes, SHA-256 {2}", one.name, one.size, one.sha256)])
        told = [[self._say(name), value] for name, value in rows if value]
        told += [self._field(one) for one in (*event.changed, *event.data)]
        told += [[self._say("Approval"), self._approval(one)] for one in event.approvals]
        title = self._title(event.title, event.event)
        yield Block(form="heading", style="3", text=f"{self._say('Event')} {number_of(event, letter)}: {title}")
        yield Block(form="facts", rows=told)

    def _approval(self, approval: ApprovalFact) -> str:
        signer = f", {approval.signer}" if approval.signer else ""
        reason = f" {self._word(approval.reason)}" if approval.reason else ""
        return f"{place_of(approval)}: {approval.approver}{signer}: {approval.indication.value}.{reason}"


_EXTENT = "The file tells of the letter up to the newest event in it. Whether later ones exist, only the box can say."


def _style(indication: Indication) -> str:
    return {Indication.PASSED: "passed", Indication.INDETERMINATE: "undecided", Indication.FAILED: "failed"}[indication]
