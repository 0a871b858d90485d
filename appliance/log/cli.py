"""`cinnabar log check`, `cinnabar log repair` and `cinnabar log resume`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from appliance.box.home import Home
from appliance.box.options import home_option
from appliance.box.settings import BoxSettings, LogSettings, read_settings
from appliance.box.witnesses import Witnesses, WitnessesRefused, read_witnesses
from appliance.errors import CinnabarError
from appliance.files import closing_descriptor, open_directory, open_file, owner_of, read_file, sync_directory
from appliance.log.asking import ask_witnesses
from appliance.log.check import LogReport, RecordSource, check_log
from appliance.log.check_openings import check_openings
from appliance.log.check_successor import check_successor
from appliance.log.checkpoint import LogKey
from appliance.log.derive import Finding
from appliance.log.eras import Era, EraSource, LinesSource, eras_of, first_entry, line_of
from appliance.log.errors import LogDamaged
from appliance.log.exports import export_directory, export_file, read_export, write_export
from appliance.log.keys import KEYS_FILE, log_keys
from appliance.log.note import MAXIMUM_NOTE_BYTES
from appliance.log.reader import FOLLOWER_LOCK, log_directory
from appliance.log.renew_cli import renew
from appliance.log.renewed_since import check_not_renewed_since, later_origins
from appliance.log.repair import LogRepair, next_steps
from appliance.log.resume import Given, KnownLog, check_resume
from appliance.log.sources import deleted_records, open_records
from appliance.log.witnesses import WitnessPolicy
from appliance.monitor.cli import fork, watch
from appliance.recorder.messages import BOX_LOG

EXIT_SOUND, EXIT_DAMAGED, EXIT_UNUSABLE = 0, 1, 2

_home = home_option("The box's home.")


@click.group()
def log() -> None:
    """Check and repair the box's logs; open a restored box again; follow a log from outside."""


log.add_command(watch)
log.add_command(fork)
log.add_command(renew)


@log.command()
@_home
@click.option("--tenant", help="Only this tenant's log; @box for the box's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(root: Path, tenant: str | None, as_json: bool) -> None:
    """Derive every tile and root again and check every signature; name what differs.

    Works on a running and on a stopped box. Exit codes: 0 all sound, 1 something differs, 2 it could not be checked.
    """
    home, settings = _open(root)
    chosen = _chosen(settings, tenant)
    try:
        with open_records(home) as records:
            reports = [report for entry in chosen for report in _check_line(home, settings, entry, records)]
    except (CinnabarError, OSError, sqlite3.Error) as error:
        _unusable(str(error))
    if as_json:
        shown = [{"sound": report.sound, **asdict(report)} for report in reports]
        click.echo(json.dumps({"sound": all(report.sound for report in reports), "logs": shown}, indent=2))
    else:
        for report in reports:
            _print(report)
        exports = export_directory(home.root, settings.checkpoint_exports)
        for step in next_steps([finding.file for report in reports for finding in report.findings], exports, root):
            click.echo(f"next: {step}")
    sys.exit(EXIT_SOUND if all(report.sound for report in reports) else EXIT_DAMAGED)


@log.command()
@_home
@click.option("--tenant", help="Only this tenant's log; @box for the box's own.")
def repair(root: Path, tenant: str | None) -> None:
    """Derive the files again that `check` names, if they give the signed head; say what was done.

    Entries are taken from the bundles and from the recorder; nothing is replaced unless they give the signed root.
    Works beside a running box, except for the newest tiles, which the follower writes. Exit codes: 0 all sound now,
    1 something still differs, 2 it could not be tried.
    """
    home, settings = _open(root)
    reports = []
    try:
        with open_records(home) as records, _alone(home) as alone:
            for entry in _chosen(settings, tenant):
                for era in eras_of(entry):
                    reports.append(_repair_one(home, settings, entry, era, records, alone=alone))
    except (CinnabarError, OSError, sqlite3.Error) as error:
        _unusable(str(error))
    for report in reports:
        _print(report)
    sys.exit(EXIT_SOUND if all(report.sound for report in reports) else EXIT_DAMAGED)


def _repair_one(
    home: Home, settings: BoxSettings, entry: LogSettings, era: Era, records: RecordSource | None, *, alone: bool
) -> LogReport:
    report = _check_one(home, settings, entry, era, records)
    if report.sound:
        return report
    directory = log_directory(home.logs, era.origin)
    keys, _ = _keys(directory, _one_of(entry, era))
    exports = export_directory(home.root, settings.checkpoint_exports)
    owner = owner_of(home.logs) if os.geteuid() == 0 else None
    log = entry.tenant or BOX_LOG
    mine = _of_era(home, records, era)
    mending = LogRepair(era.origin, log, directory, exports, keys, mine, owner, alone=alone)
    try:
        mending.run()
    except LogDamaged as error:
        click.echo(str(error), err=True)
    finally:
        for line in mending.done:
            click.echo(line)
    return _check_one(home, settings, entry, era, records)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[bool]:
    """Whether no follower writes these logs; none starts to meanwhile."""
    try:
        held = open_file(home.logs / FOLLOWER_LOCK, write=True)
    except FileNotFoundError:
        yield True
        return
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _chosen(settings: BoxSettings, tenant: str | None) -> list[LogSettings]:
    chosen = [entry for entry in settings.logs if tenant is None or (entry.tenant or BOX_LOG) == tenant]
    if not chosen:
        _unusable(f"There is no log of tenant {tenant!r} on this box.")
    return chosen


def _check_line(
    home: Home, settings: BoxSettings, entry: LogSettings, records: RecordSource | None
) -> Iterator[LogReport]:
    """A log, those that it goes on from, and that it does."""
    before: Era | None = None
    for era in eras_of(entry):
        report = _check_one(home, settings, entry, era, records)
        if before is not None:
            keys, _ = _keys(log_directory(home.logs, before.origin), _one_of(entry, before))
            report.findings += check_successor(home.logs, before, keys, era)
        yield report
        before = era


def _one_of(entry: LogSettings, era: Era) -> LogSettings:
    return next(one for one in line_of(entry) if one.origin == era.origin)


def _of_era(home: Home, records: RecordSource | None, era: Era) -> RecordSource | None:
    return None if records is None else EraSource(records, era, first_entry(home.logs, era))


def _check_one(
    home: Home, settings: BoxSettings, entry: LogSettings, era: Era, records: RecordSource | None
) -> LogReport:
    directory = log_directory(home.logs, era.origin)
    keys, unreadable = _keys(directory, _one_of(entry, era))
    mine = _of_era(home, records, era)
    with _progress(era.origin) as progress:
        report = check_log(
            era.origin,
            entry.tenant or BOX_LOG,
            directory,
            export_directory(home.root, settings.checkpoint_exports),
            keys,
            mine,
            progress,
            locked=home.history_lock.exists(),
        )
    if unreadable is not None:
        report.findings.insert(0, unreadable)
    gone = deleted_records(home) if records is None and report.size else None
    if gone is not None:
        report.findings.append(Finding(str(gone), "is missing: the records that the signed head is of"))
    if entry.tenant is None:
        from_the_end = len(eras_of(entry)) - eras_of(entry).index(era)
        lines = {log.tenant: eras_of(log) for log in settings.logs if log.tenant is not None}
        # Logs are renewed together: those that were there while this one was are as far from the end of their lines.
        tenants = {name: line[-from_the_end].origin for name, line in lines.items() if from_the_end <= len(line)}

        def recorded(index: int) -> bytes | None:
            return None if mine is None else mine.leaves(BOX_LOG, index, 1)

        report.findings += check_openings(directory, report.size, tenants, recorded, era.hashing)
    return report


def _keys(directory: Path, entry: LogSettings) -> tuple[list[LogKey], Finding | None]:
    try:
        return [key for key in log_keys(directory, entry) if key is not None], None
    except CinnabarError as error:
        return [], Finding(str(directory / KEYS_FILE), str(error))


@contextlib.contextmanager
def _progress(origin: str) -> Iterator[Callable[[int], None] | None]:
    """A line of progress on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    yield lambda entries: click.echo(f"\r{origin}: {entries:,} entries", nl=False, err=True)
    click.echo("\r\033[K", nl=False, err=True)


def _print(report: LogReport) -> None:
    if report.size:
        click.echo(f"{report.origin}: head of {report.size:,} entries, root {report.root}")
        click.echo(f"  signed by {', '.join(report.signed_by)}")
    else:
        click.echo(f"{report.origin}: no head yet")
    records = "compared with the records" if report.compared_with_records else "the records could not be read"
    click.echo(f"  {report.entries:,} entries and {report.files:,} files derived again; {records}")
    for note in report.notes:
        click.echo(f"  {note}")
    for finding in report.findings:
        click.echo(f"  DIFFERS {finding.file}: {finding.problem}")
    if report.sound:
        click.echo("  sound")


@log.command()
@_home
@click.option(
    "--checkpoint",
    "files",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    required=True,
    help="The last exported checkpoint of a log, or a head that its witnesses show; each log once at least.",
)
@click.option(
    "--ask/--no-ask",
    default=True,
    help="Ask the logs' witnesses whether these heads are the newest; without, their cosignatures stand in the files.",
)
def resume(root: Path, files: tuple[Path, ...], *, ask: bool) -> None:
    """Open a locked box again, if the last exported checkpoints lie on its history.

    Where a log has witnesses, its quorum must have cosigned the largest head: they are asked to, now.

    Exit codes: 0 opened, 1 it stays locked, 2 it could not be decided.
    """
    home, settings = _open(root)
    if not home.history_lock.exists():
        click.echo("The box is not locked.")
        return
    exports = export_directory(home.root, settings.checkpoint_exports)
    try:
        witnesses = read_witnesses(settings)
    except WitnessesRefused as error:
        _unusable(f"{home.settings}: {error}")
    try:
        check_not_renewed_since(exports, settings.logs)
        with open_records(home) as found:
            if found is None:
                _unusable("The records cannot be read by this user.")
            records = LinesSource(home.logs, settings, found)
            entries = [one for entry in settings.logs for one in _signed(entry, records)]
            later = {log.origin: later_origins(log) for log in settings.logs}
            logs = [_known(home, entry, witnesses, later.get(entry.origin, ())) for entry in entries]
            given = [Given(str(file), _given(file, home, exports)) for file in files]
            # What stands where checkpoints are exported was not restored with the box: it counts as well.
            for entry in entries:
                note = read_export(exports, entry.origin)
                if note is not None:
                    given.append(Given(str(export_file(exports, entry.origin)), note))
            if ask:
                # Nobody is asked about a head that does not lie on the records.
                check_resume([replace(log, witnesses=WitnessPolicy()) for log in logs], given, records)
                for log in logs:
                    asked = asyncio.run(ask_witnesses(log, witnesses.known, given, records))
                    given += asked.given
                    for line in asked.told:
                        click.echo(line)
            resumed = check_resume(logs, given, records)
    except CinnabarError as error:
        click.echo(f"The box stays locked ({error.control or 'FORK'}): {error}", err=True)
        sys.exit(EXIT_DAMAGED)
    except (OSError, sqlite3.Error) as error:
        _unusable(str(error))
    try:
        # What root writes here, the follower of a running box, whose the logs are, must be able to replace.
        owner = owner_of(home.logs) if os.geteuid() == 0 else None
        for origin, checkpoint in resumed.checkpoints.items():
            write_export(exports, origin, checkpoint, owner)
        if owner is not None:
            with closing_descriptor(open_directory(exports)) as made:
                os.fchown(made, *owner)
        home.history_lock.unlink()
        sync_directory(home.history_lock.parent)
    except OSError as error:
        _unusable(f"The box stays locked: {error}")
    click.echo(f"The box is open again: {len(resumed.checkpoints)} checkpoints lie on its history.")
    click.echo("A running box goes on by itself within seconds.")


def _given(file: Path, home: Home, exports: Path) -> bytes:
    """A file that the command was given; from where the box writes no pipe, and nothing that a link leads to."""
    theirs = any(file.absolute().is_relative_to(place) for place in (home.root, exports))
    return read_file(file, MAXIMUM_NOTE_BYTES) if theirs else file.read_bytes()


def _signed(entry: LogSettings, records: RecordSource) -> list[LogSettings]:
    """The logs of a line that a box is held to: the one that goes on, and the one before it until that was signed."""
    line = line_of(entry)
    return line[-2:] if records.head(entry.origin) is None else line[-1:]


def _known(home: Home, entry: LogSettings, witnesses: Witnesses, later: Sequence[str]) -> KnownLog:
    keys, unreadable = _keys(log_directory(home.logs, entry.origin), entry)
    if unreadable is not None:
        _unusable(f"{unreadable.file}: {unreadable.problem}")
    policy = witnesses.policies.get(entry.origin, WitnessPolicy())
    return KnownLog(entry.origin, entry.origin, tuple(keys), policy, later)


def _open(root: Path) -> tuple[Home, BoxSettings]:
    home = Home(root.resolve())
    try:
        return home, read_settings(home.settings)
    except FileNotFoundError:
        _unusable(f"There is no box in {root}.")
    except msgspec.ValidationError as error:
        _unusable(f"{home.settings}: {error}")


def _unusable(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(EXIT_UNUSABLE)
