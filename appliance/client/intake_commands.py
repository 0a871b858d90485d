"""`cinnabar intake`: send a file of rows, watch its run, see its verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from appliance.client.options import as_given, connection_options

if TYPE_CHECKING:
    from appliance.api.intakes.schemas import Intake, Verdict
    from appliance.client.synchronous import Client

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _run_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    found = value.strip().lower()
    if len(found) != 32 or found.strip("0123456789abcdef"):
        raise click.BadParameter(f"{value} is not a run's id (32 hexadecimal digits)", context, parameter)
    return found


_ID = click.argument("intake_id", metavar="RUN", callback=_run_id)


@click.group("intake")
def intake_group() -> None:
    """Files of rows: each row begins a letter, or is an event of one."""


@intake_group.command("send")
@click.argument("kind")
@click.argument("file", type=_FILE)
@click.option("--event", help="The rows' event; the kind's first that begins a letter if left out.")
@click.option("--format", "form", type=click.Choice(("csv", "xlsx", "ndjson")), help="By the file's name if left out.")
@click.option("--encoding", type=click.Choice(("utf-8", "gb18030")), default="utf-8", help="Of CSV.")
@click.option("--delimiter", type=click.Choice((",", ";", "tab", "|")), default=",", help="Of CSV.")
@click.option("--sheet", help="Of a workbook; its first one if left out.")
@click.option("--mapping", type=_FILE, help='JSON object: {"header": "fields.NAME"}; null passes a column over.')
@click.option("--constants", type=_FILE, help='JSON object: {"fields.NAME": value} for all rows.')
@click.option("--batch", help="Your number of the batch: a corrected file under it completes what was left.")
@click.option("--row-key", multiple=True, metavar="HEADER", help="A column by which rows are known again.")
@click.option("--check", is_flag=True, help="Only judge: nothing is made.")
@click.option("--seal-key", help="Seal key; the first one allowed if left out.")
@click.option("--watch", is_flag=True, help="Wait for the run's end, and show what was refused.")
@connection_options
def send_command(client: Client, kind: str, file: Path, watch: bool, **given: Any) -> None:
    """Send FILE, whose rows are letters of KIND. The same file again does nothing twice."""
    from appliance.client.intake_files import send_intake  # noqa: PLC0415 - only a command that runs needs it

    options = {name: value for name, value in given.items() if value not in (None, ())}
    for name in ("mapping", "constants"):
        if name in options:
            options[name] = _object(options[name])
    if options.get("delimiter") == "tab":
        options["delimiter"] = "\t"
    try:
        run = send_intake(client, kind, file, **options)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"run {run.intake}: {run.received} bytes sent")
    if watch:
        _watched(client, run.intake)
    else:
        click.echo(f"cinnabar intake watch {' '.join(as_given())} {run.intake}")


@intake_group.command("watch")
@_ID
@connection_options
def watch_command(client: Client, intake_id: str) -> None:
    """Show how a run goes until it ends, and what it refused. Exit status 1 unless every row was taken."""
    _watched(client, intake_id)


@intake_group.command("verdicts")
@_ID
@click.option("--only", type=click.Choice(("accepted", "duplicate", "refused")), help="Only these.")
@connection_options
def verdicts_command(client: Client, intake_id: str, only: str | None) -> None:
    """Show the verdict on every row that is decided."""
    _show(client, intake_id, cast("Verdict | None", only))


@intake_group.command("result")
@_ID
@click.option("--format", "form", type=click.Choice(("ndjson", "csv")), default="csv", help="Of the file.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new file.")
@connection_options
def result_command(client: Client, intake_id: str, form: str, output: Path) -> None:
    """Write every verdict into a file."""
    after: int | None = 0
    with output.open("xb") as file:
        while after is not None:
            part = client.intake_result(intake_id, form="csv" if form == "csv" else "ndjson", after=after)
            file.write(part.content)
            after = part.next
    click.echo(str(output))


@intake_group.command("list")
@connection_options
def list_command(client: Client) -> None:
    """Show the tenant's runs, the newest first."""
    for run in client.intakes().intakes:
        click.echo(f"{run.intake}  {run.created[:19]}  {run.kind} {run.event}  {_told(run)}")


@intake_group.command("stop")
@_ID
@connection_options
def stop_command(client: Client, intake_id: str) -> None:
    """Stop a run; what is decided stays."""
    click.echo(_told(client.stop_intake(intake_id)))


@intake_group.command("resume")
@_ID
@click.option("--file", type=_FILE, help="The file, where parts of it have still to come.")
@connection_options
def resume_command(client: Client, intake_id: str, file: Path | None) -> None:
    """Have a stopped run go on, or send what is missing of its file."""
    from appliance.client.intake_files import send_parts  # noqa: PLC0415 - only a command that runs needs it

    run = client.intake(intake_id)
    if run.state == "stopped":
        run = client.resume_intake(intake_id)
    if file is not None:
        run = send_parts(client, run, file)
    click.echo(_told(run))


def _watched(client: Client, intake_id: str) -> None:
    from appliance.client.intake_files import watch_intake  # noqa: PLC0415 - only a command that runs needs it

    said: list[str] = [""]

    def progress(run: Intake) -> None:
        told = _told(run)
        if told != said[0]:
            click.echo(told)
            said[0] = told

    run = watch_intake(client, intake_id, progress=progress, every_s=0.5)
    if run.refused:
        _show(client, intake_id, "refused")
    if run.state != "done" or run.refused:
        raise SystemExit(1)


def _show(client: Client, intake_id: str, only: Verdict | None) -> None:
    from appliance.client.intake_files import all_verdicts  # noqa: PLC0415 - only a command that runs needs it

    for one in all_verdicts(client, intake_id, only):
        words = [f"row {one.row}", one.verdict, one.letter, one.code, one.column, one.text]
        click.echo("  ".join(word for word in words if word))


def _told(run: Intake) -> str:
    rows = "?" if run.rows is None else run.rows
    counts = f"{run.accepted} accepted, {run.duplicate} duplicate, {run.refused} refused"
    why = f": {run.fault.detail}" if run.fault is not None else ""
    return f"{run.state}{' (check)' if run.check else ''}  {run.decided}/{rows} rows: {counts}{why}"


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from None
    if not isinstance(found, dict):
        raise click.ClickException(f"{path}: a JSON object is wanted")
    return found
