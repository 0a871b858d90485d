"""`cinnabar counts`: the numbers of control RECORD, of a running or a stopped box."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from appliance.box.home import Home
from appliance.box.options import home_option
from appliance.errors import CinnabarError
from appliance.files import acting_as_owner_of
from appliance.recorder.admin import AdminClient
from appliance.recorder.counts import Counts, read_counts
from appliance.recorder.errors import RecorderUnavailable
from appliance.store import rows, schema

MOST_RUNS = 1_000
EXIT_BALANCED, EXIT_UNBALANCED, EXIT_UNUSABLE = 0, 1, 2


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One life of a process that signs."""

    run: str
    """Random id, hexadecimal."""
    user: int
    process: int
    started: int
    ended: int | None
    """Microseconds since the epoch."""
    state: str
    """open; clean and unbalanced after a goodbye; lost without one."""
    signed: int
    """Calls of C_Sign."""
    rows: int
    """Signatures on record."""
    drops: dict[str, int]
    """Signatures that never left the box, by reason."""

    @property
    def difference(self) -> int:
        """Calls that are neither: under way in an open run, in flight at the end of a lost one."""
        return self.signed - self.rows - sum(self.drops.values())


@click.command()
@home_option("The box's home; the box may be running or not.")
@click.option("--state", type=click.Choice(["open", "clean", "lost", "unbalanced"]), help="Only runs of this state.")
@click.option("--limit", type=click.IntRange(1, MOST_RUNS), default=20, show_default=True, help="Newest runs to show.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def counts(root: Path, state: str | None, limit: int, as_json: bool) -> None:
    """Show, for each life of a signing process: signatures made, recorded, and dropped by reason (control RECORD).

    After a clean stop, made = recorded + dropped. Exit codes: 0 no run is unbalanced, 1 one is, 2 it could not be read.
    """
    home = Home(root.resolve())
    try:
        runs, unbalanced = _read(home, state, limit)
    except (CinnabarError, OSError, sqlite3.Error) as error:
        click.echo(f"Error: the counts of {root} cannot be read: {error}", err=True)
        raise SystemExit(EXIT_UNUSABLE) from None
    if as_json:
        shown = [{**msgspec.structs.asdict(run), "difference": run.difference} for run in runs]
        click.echo(msgspec.json.format(msgspec.json.encode({"unbalanced": unbalanced, "runs": shown}), indent=2))
    else:
        _print(runs, unbalanced)
    raise SystemExit(EXIT_UNBALANCED if unbalanced else EXIT_BALANCED)


def _read(home: Home, state: str | None, limit: int) -> tuple[list[RunCounts], int]:
    """The newest runs, and how many of all are unbalanced."""
    with _open(home) as query:
        found = query(state, limit)
        unbalanced = len(query("unbalanced", MOST_RUNS))
    # What a killed process counted last stands in its page until the recorder settles it.
    settled = []
    for run in found:
        page = read_counts(home.counters, run.run) if run.state in {"open", "lost"} else None
        known = Counts(run.signed, run.drops).newest(page)
        settled.append(msgspec.structs.replace(run, signed=known.signed, drops=known.drops))
    return settled, unbalanced


class _Query:
    def __init__(self, source: AdminClient | sqlite3.Connection) -> None:
        self._source = source

    def __call__(self, state: str | None, limit: int) -> list[RunCounts]:
        if isinstance(self._source, AdminClient):
            return [msgspec.convert(run, RunCounts) for run in self._source.query("runs", state, limit)]
        found = rows.read_runs(self._source, state, limit)
        return [RunCounts(**{**row._asdict(), "drops": rows.unpack_counts(row.drops)}) for row in found]


@contextlib.contextmanager
def _open(home: Home) -> Iterator[_Query]:
    """From the recorder where one runs, else from its database. Raises RecorderUnavailable, sqlite3.Error."""
    client = None
    if home.admin_socket.exists():
        with contextlib.suppress(RecorderUnavailable):  # a box that was killed leaves a socket where nobody listens
            client = AdminClient(home.admin_socket)
    if client is not None:
        with client:
            yield _Query(client)
        return
    with contextlib.ExitStack() as opened:
        with acting_as_owner_of(home.records):
            connection = opened.enter_context(contextlib.closing(schema.open_reader(home.records)))
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens what lies beside the database as well
        yield _Query(connection)


def _print(runs: list[RunCounts], unbalanced: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("Started", "User", "Process", "State", "Signed", "Recorded", "Dropped", "Difference"):
        left = heading in {"Started", "State", "Dropped"}
        table.add_column(heading, no_wrap=True, justify="left" if left else "right")
    for run in runs:
        started = datetime.datetime.fromtimestamp(run.started / 1_000_000, datetime.UTC)
        drops = ", ".join(f"{reason} {count:,}" for reason, count in sorted(run.drops.items())) or "none"
        numbers = (f"{run.signed:,}", f"{run.rows:,}", drops, f"{run.difference:,}")
        table.add_row(f"{started:%Y-%m-%d %H:%M:%S}Z", str(run.user), str(run.process), run.state, *numbers)
    Console(highlight=False, width=200 if not Console().is_terminal else None).print(table)
    if unbalanced:
        click.echo(f"{unbalanced} runs signed more or less than they recorded and dropped: control RECORD is broken.")
