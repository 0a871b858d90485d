"""`cinnabar audit`: what stands in the logs, on the command line of the box."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from appliance.audit.client import AuditClient
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.filters import Filter
from appliance.audit.inventory import known_exports, look
from appliance.audit.pages import EntryView
from appliance.audit.writers import PROOF_SUFFIX
from appliance.box.home import Home
from appliance.errors import CinnabarError, NotFound
from appliance.quoting import escape

_LOOK_S = 0.2
_INSTANT = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d"])

_home = click.option(
    "--home",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: os.environ.get("CINNABAR_HOME", "var"),
    help="The box's home.",
)


def _filtered(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--log", "name", required=True, help="A tenant's name, or @box."),
            click.option("--from", "since", type=_INSTANT, help="Records of this time or later, UTC."),
            click.option("--to", "until", type=_INSTANT, help="Records before this time, UTC."),
            click.option("--kind", "kinds", multiple=True, help="Only this kind; may be repeated."),
            click.option("--key", "keys", multiple=True, help="Only this key; may be repeated."),
            click.option("--application", "applications", multiple=True, help="Only this one; may be repeated."),
            click.option("--text", default="", help="Only records in which this stands."),
        )
    ):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Read, search and export the logs of a running box.

    Whoever is shown content of a tenant's records, or exports them, leaves a record of it in that tenant's log.
    """


@audit.command("list")
@_home
@_filtered
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--oldest-first", is_flag=True)
def list_command(root: Path, limit: int, oldest_first: bool, **given: Any) -> None:
    """Show records of a log, the newest first."""
    with _client(root) as client:
        name, wanted = _wanted(given)
        cursor: int | None = None
        left = limit
        while left:
            page = client.entries(name, wanted, newest=not oldest_first, cursor=cursor, limit=left)
            for entry in page.entries:
                click.echo(_line(entry))
            left -= len(page.entries)
            cursor = page.next
            if cursor is None:
                break


@audit.command("show")
@_home
@click.option("--log", "name", required=True, help="A tenant's name, or @box.")
@click.argument("which")
def show_command(root: Path, name: str, which: str) -> None:
    """Show one record by its index or id, and its log proof."""
    with _client(root) as client:
        found = client.entry(name, int(which) if which.isdecimal() and len(which) < 20 else which)
        click.echo(_line(found.entry))
        click.echo(f"salt {found.salt}")
        click.echo(found.tlog_proof or "not under a signed head yet")


@audit.command("counts")
@_home
@click.option("--log", "name", required=True, help="A tenant's name, or @box.")
def counts_command(root: Path, name: str) -> None:
    """Show how many records of each kind there are a day."""
    with _client(root) as client:
        for day, kind, count in client.counts(name):
            click.echo(f"{day}  {escape(kind):20} {count:>12,}")


@audit.command("exports")
@_home
@click.option("--log", "name", required=True, help="A tenant's name, or @box.")
def exports_command(root: Path, name: str) -> None:
    """Show every export that a log has on record, and whether its file is still there, unchanged.

    Exit status 1 when one was changed. One that is not here was taken away: the log says who asked for it.
    """
    changed = False
    with _client(root) as client:
        for known in known_exports(client, name):
            found = look(Home(root).audit_exports, known)
            changed |= found == "changed"
            at = datetime.fromtimestamp(known.time // 1_000_000, UTC)
            click.echo(f"{known.export}  {at:%Y-%m-%dT%H:%M:%SZ}  {known.shown:>10,} shown  {found:8}"
                       f"  {escape(known.person)}")  # fmt: skip
    sys.exit(1 if changed else 0)


@audit.command("export")
@_home
@_filtered
@click.option("--format", "form", type=click.Choice(["asice", "jsonl", "csv"]), default="asice", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where the export goes.")
def export_command(root: Path, form: str, out: Path, **given: Any) -> None:
    """Export records with the proof of their whole range. With csv, the proof goes beside: FILE.proof.jsonl.

    `cinnabar verify` checks an export offline.
    """
    if out.exists():
        raise click.UsageError(f"{out} is there already")
    with _client(root) as client:
        name, wanted = _wanted(given)
        export = client.export_start(name, wanted, form)
        try:
            _watch(client, export)
        except KeyboardInterrupt:
            client.export_cancel(export)
            raise
        view = client.export_progress(export)
        if view.state != "made":
            raise click.ClickException(f"the export is {view.state}: {view.problem}")
        for number in range(len(view.files)):
            path = out.with_name(out.name + (PROOF_SUFFIX if number else ""))
            with path.open("xb") as file:
                for part in client.export_file(export, number):
                    file.write(part)
            click.echo(f"{path}  {path.stat().st_size:,} bytes")
        rate = (view.end - view.first) / max(view.seconds, 1e-6)
        click.echo(
            f"entries {view.first} to {view.end} of {name}: {view.shown:,} shown, {view.withheld:,} not asked for, "
            f"{view.seconds:.1f} s, {rate:,.0f} a second"
        )


def _watch(client: AuditClient, export: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("exporting", total=None)
        while (view := client.export_progress(export)).state == "running":
            bar.update(task, total=view.end - view.first, completed=view.done)
            time.sleep(_LOOK_S)


@contextmanager
def _client(root: Path) -> Iterator[AuditClient]:
    try:
        with AuditClient(Home(root).audit_socket) as client:
            try:
                yield client
            except NotFound as error:
                if str(error) != NO_SUCH_LOG:
                    raise
                # Whoever may call here may read every log: it is no secret to her which there are.
                there = ", ".join(escape(str(one["log"])) for one in client.logs())
                raise NotFound(f"{error}; there are: {there}") from None
    except CinnabarError as error:
        click.echo(f"{error.title}: {error}", err=True)
        sys.exit(2)


def _wanted(given: dict[str, Any]) -> tuple[str, Filter]:
    wanted = Filter(
        since=_microseconds(given["since"]),
        until=_microseconds(given["until"]),
        kinds=list(given["kinds"]),
        keys=list(given["keys"]),
        applications=list(given["applications"]),
        text=given["text"],
    )
    return given["name"], wanted


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.replace(tzinfo=UTC).timestamp()) * 1_000_000


def _line(entry: EntryView) -> str:
    at = datetime.fromtimestamp(entry.time // 1_000_000, UTC)
    content = "in the archive" if entry.content is None else escape(entry.content, longest=2_000)
    return f"{entry.index:>9}  {at:%Y-%m-%dT%H:%M:%SZ}  {entry.record}  {escape(entry.kind)}  {content}"
