"""The report as text that a judge can read: what was checked, what each check proves, in plain words."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from appliance.evidence.findings import Check, Indication
from appliance.evidence.report import FileReport, Report, TimeWord

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
_SIGNS = {"passed": ("✓", "green"), "undecided": ("?", "yellow"), "failed": ("✗", "red"), "note": ("·", "dim")}


def print_report(report: Report, console: Console, *, brief: bool = False) -> None:
    """Print it; `brief`: every check only of files that did not pass. Nothing in the report is taken as markup."""
    for file in report.files:
        if not brief or file.indication not in {Indication.PASSED, None}:
            _print_file(file, console)
    document = report.trust
    kind = "rehearsal" if document.rehearsal else "production"
    _line(console, f"Checked against trust bundle version {document.version} ({kind}, of the line that "
                   f"key {document.constitution[:16]}… began, in force {document.issued} to {document.expires}) "
                   f"at {report.validation_time}.")  # fmt: skip
    for note in report.notes:
        _line(console, note, "yellow")
    _line(console, "")
    for file in report.files:
        if file.indication is not None and (brief or len(report.files) > 1):
            text = Text("  ").append(f"{file.indication.value:15}", style=_STYLES[file.indication])
            _put(console, text.append(f" {file.name}"), indent=18)
    _verdict(console, "Overall: ", report.indication, [str(sub) for sub in report.sub_indications])


def _print_file(file: FileReport, console: Console) -> None:
    size = "" if file.size is None else f", {file.size:,} bytes"
    _line(console, f"{file.name}  ({file.kind}{size})", "bold")
    if file.sha256 is not None:
        _line(console, f"  SHA-256 {file.sha256}", "dim")
    for part in file.parts:
        if len(file.parts) > 1 or part.title != file.kind:
            _line(console, f"  {part.title}")
        for check in part.checks:
            _print_check(check, console)
    if file.indication is None:
        _line(console, "  Used to check the other files; not judged itself.", "dim")
    else:
        _print_times(file, console)
        _verdict(console, "  ", file.indication, [str(sub) for sub in file.sub_indications])
    _line(console, "")


def _print_check(check: Check, console: Console) -> None:
    sign, style = _SIGNS[check.outcome]
    text = Text(f"    {sign} ", style=style)
    text.append(f"{check.name}: ", style="bold")
    text.append(check.text, style="")
    if check.sub_indication is not None:
        text.append(f" [{check.sub_indication}]", style=style)
    _put(console, text, indent=6)


def _print_times(file: FileReport, console: Console) -> None:
    for word in file.claimed:
        _line(console, f"  The box claims: {word.time}{_by(word)}")
    if file.existed_no_later_than is not None:
        word = file.existed_no_later_than
        _line(console, f"  Existed no later than: {word.time}, says someone other than the box: {word.by}.")
    elif file.claimed:
        _line(console, "  Existed no later than: nobody but the box says so.")


def _by(word: TimeWord) -> str:
    return f" ({word.by}, in {word.source})"


def _verdict(console: Console, lead: str, indication: Indication, reasons: list[str]) -> None:
    text = Text(lead)
    text.append(indication.value, style=_STYLES[indication])
    if reasons:
        text.append(f" / {', '.join(reasons)}")
    text.append(f"  {_MEANINGS[indication]}")
    _put(console, text, indent=4)


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
