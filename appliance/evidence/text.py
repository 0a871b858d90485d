"""The report as text that a judge can read: what was checked, what each check proves, in plain words."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from appliance.evidence.findings import Check, Indication
from appliance.evidence.language import Language, say, translated
from appliance.evidence.letters.facts import LetterFacts, Title, number_of
from appliance.evidence.report import FileReport, Report

_STYLES = {
    Indication.PASSED: "bold green",
    Indication.INDETERMINATE: "bold yellow",
    Indication.FAILED: "bold red",
}
_MEANINGS = {
    Indication.PASSED: "Everything that was checked holds.",
    Indication.INDETERMINATE: "What was given neither proves nor refutes it.",
    Indication.FAILED: "Something is wrong: do not rely on it.",
}
_CHECKED_AGAINST = (
    "Checked against trust bundle version {0} ({1}, of the line that key {2}… began, in force {3} to {4}) at {5}."
)
_SIGNS = {"passed": ("✓", "green"), "undecided": ("?", "yellow"), "failed": ("✗", "red"), "note": ("·", "dim")}


def print_report(report: Report, console: Console, *, brief: bool = False, language: Language = "en") -> None:
    """Print it; `brief`: every check only of files that did not pass. Nothing in the report is taken as markup."""
    _Printer(console, language).print(report, brief=brief)


class _Printer:
    def __init__(self, console: Console, language: Language) -> None:
        self._console = console
        self._language = language

    def print(self, report: Report, *, brief: bool) -> None:
        for file in report.files:
            if not brief or file.indication not in {Indication.PASSED, None}:
                self._file(file)
        document = report.trust
        self._say(
            _CHECKED_AGAINST,
            document.version,
            self._word("rehearsal" if document.rehearsal else "production"),
            document.constitution[:16],
            document.issued,
            document.expires,
            report.validation_time,
        )
        for note in report.notes:
            _line(self._console, self._word(note), "yellow")
        _line(self._console, "")
        for file in report.files:
            if file.indication is not None and (brief or len(report.files) > 1):
                text = Text("  ").append(f"{file.indication.value:15}", style=_STYLES[file.indication])
                _put(self._console, text.append(f" {file.name}"), indent=18)
        self._verdict(self._text("Overall: "), report.indication, [str(sub) for sub in report.sub_indications])

    def _text(self, english: str, *values: object) -> str:
        return say(self._language, english, *values)

    def _word(self, text: str) -> str:
        return translated(text, self._language)

    def _say(self, english: str, *values: object, style: str = "", indent: str = "") -> None:
        _line(self._console, indent + self._text(english, *values), style)

    def _file(self, file: FileReport) -> None:
        kind = self._word(file.kind)
        size = ("  ({0})", kind) if file.size is None else ("  ({0}, {1} bytes)", kind, f"{file.size:,}")
        _line(self._console, file.name + self._text(*size), "bold")
        if file.sha256 is not None:
            _line(self._console, f"  SHA-256 {file.sha256}", "dim")
        for part in file.parts:
            if len(file.parts) > 1 or part.title != file.kind:
                _line(self._console, f"  {self._word(part.title)}")
            for check in part.checks:
                self._check(check)
        if isinstance(file.letter, LetterFacts):
            self._letter(file.letter)
        if file.indication is None:
            self._say("Used to check the other files; not judged itself.", style="dim", indent="  ")
        else:
            self._times(file)
            self._verdict("  ", file.indication, [str(sub) for sub in file.sub_indications])
        _line(self._console, "")

    def _letter(self, letter: LetterFacts) -> None:
        """How the letter stands, and its events one a line; --report tells it all."""
        rows = [
            ("Letter", letter.letter),
            ("Kind", f"{self._title(letter.kind_title, letter.kind)} {letter.kind_version}"),
            ("State", self._title(letter.state_title, letter.state)),
            ("Balance", letter.balance),
            ("Sealed by", ", ".join(letter.events[-1].signers)),
        ]
        for name, value in rows:
            if value:
                _line(self._console, f"  {self._text('{0}: ', self._text(name))}{value}")
        for renewal in letter.renewals:
            self._say(
                "Renewed at {0} under {1}, by {2}", renewal.time or "?", renewal.hash, self._word(renewal.by) or "?",
                indent="    ",
            )  # fmt: skip
        for one in letter.events:
            move = f"  {self._text(one.move)} {one.amount}" if one.move else ""
            event, state = self._title(one.title, one.event), self._title(one.state_title, one.state)
            _line(self._console, f"    {number_of(one, letter)}  {one.at}  {event}  {state}{move}")

        for ledger in letter.ledgers:
            name = self._text("{0}: ", self._text("Ledger"))
            words = [ledger.ledger, self._text(ledger.strength), self._word(ledger.by.replace("_", " "))]
            words.append(ledger.existed_no_later_than)
            _line(self._console, f"  {name}{'  '.join(filter(None, words))}")

    def _title(self, title: Title | None, name: str) -> str:
        return name if title is None else f"{title.en if self._language == 'en' else title.zh} ({name})"

    def _check(self, check: Check) -> None:
        sign, style = _SIGNS[check.outcome]
        text = Text(f"    {sign} ", style=style)
        text.append(self._text("{0}: ", self._word(check.name)), style="bold")
        text.append(self._word(check.text), style="")
        if check.sub_indication is not None:
            text.append(f" [{check.sub_indication}]", style=style)
        _put(self._console, text, indent=6)

    def _times(self, file: FileReport) -> None:
        for word in file.claimed:
            self._say("The box claims: {0} ({1}, in {2})", word.time, self._word(word.by), word.source, indent="  ")
        if file.existed_no_later_than is not None:
            time, by = file.existed_no_later_than.time, self._word(file.existed_no_later_than.by)
            self._say("Existed no later than: {0}, says someone other than the box: {1}.", time, by, indent="  ")
        elif file.claimed:
            self._say("Existed no later than: nobody but the box says so.", indent="  ")

    def _verdict(self, lead: str, indication: Indication, reasons: list[str]) -> None:
        text = Text(lead)
        text.append(indication.value, style=_STYLES[indication])
        if reasons:
            text.append(f" / {', '.join(reasons)}")
        text.append(f"  {self._text(_MEANINGS[indication])}")
        _put(self._console, text, indent=4)


def _line(console: Console, text: str, style: str = "") -> None:
    indent = len(text) - len(text.lstrip()) + 2
    _put(console, Text(text, style=style), indent)


def _put(console: Console, text: Text, indent: int) -> None:
    """One paragraph; on a terminal wrapped with a hanging indent, elsewhere one line for tools to search."""
    if not console.is_terminal:
        console.print(text, soft_wrap=True, highlight=False)
        return
    lead = len(text.plain) - len(text.plain.lstrip())
    lines = text.wrap(console, max(console.width - indent, 20)) if len(text) > console.width else [text]
    for number, line in enumerate(lines):
        hanging = Text(" " * indent) if number and lead else Text()
        console.print(hanging.append(line), highlight=False)
