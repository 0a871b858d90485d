"""`cinnabar witness`: make a witness, run it, look at it, and decide about a log that it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from appliance.errors import CinnabarError
from appliance.log.checkpoint import Checkpoint
from appliance.log.note import VerifierKey, parse_note
from appliance.quoting import escape
from appliance.witness.copies import alone, open_states
from appliance.witness.entering import enter, enter_new, largest
from appliance.witness.errors import SettingsFaults
from appliance.witness.keys import open_keys
from appliance.witness.making import make_copy, make_state, make_witness
from appliance.witness.overview import Overview, Seen, log_view, overview, read_followed
from appliance.witness.reserve import remembered
from appliance.witness.settings import FILE, WatchedLog, WitnessSettings, read_witness_settings
from appliance.witness.standing import standing
from appliance.witness.state import Store

EXIT_SOUND, EXIT_REFUSING, EXIT_UNUSABLE = 0, 1, 2

_home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("witness"),
    envvar="CINNABAR_WITNESS",
    show_default=True,
    show_envvar=True,
    help="The witness's home.",
)


@click.group()
def witness() -> None:
    """A witness of transparency logs (C2SP tlog-witness): cosigns heads that extend what it has seen."""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What cannot be done, a line a fault, and exit status 2."""
    try:
        yield
    except SettingsFaults as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        sys.exit(EXIT_UNUSABLE)
    except CinnabarError as error:
        control = f" [control {error.control}]" if error.control else ""
        _unusable(f"{error.title}{control}: {error}")
    except OSError as error:
        _unusable(str(error))


def _unusable(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(EXIT_UNUSABLE)


@witness.command()
@_home
@click.option(
    "--name", help="The witness's name in cosignatures: a URL without a scheme, such as bank.example/witness."
)
@click.option(
    "--after-loss", is_flag=True, help="Settings and key stand, the state is lost: every log waits for a person."
)
@click.option("--copy", is_flag=True, help="Make the copy of the state that the settings name, from the state.")
def init(home: Path, name: str | None, after_loss: bool, copy: bool) -> None:
    """Make a witness: settings to fill in, an Ed25519 key that only this user reads, an empty state.

    Where witness.toml stands already, made by hand for a key in a token, only the state is made.
    """
    with _told():
        if copy:
            settings = read_witness_settings(home)
            if settings.copy_directory is None:
                _unusable("The settings name no copy of the state.")
            with alone(settings.state_directory), contextlib.closing(Store.open(settings.state_directory)) as store:
                make_copy(store, settings.copy_directory)
            click.echo(f"The copy stands in {settings.copy_directory}.")
        elif (home / FILE).exists():
            make_state(read_witness_settings(home), after_loss=after_loss)
            click.echo(f"The witness in {home} has a new state.")
            if after_loss:
                click.echo("It refuses every log until you enter the newest head that others have of it:")
                click.echo(f"  cinnabar witness enter-checkpoint --home {home} FILE --reason TEXT")
        elif after_loss or name is None:
            _unusable("A new witness has a --name." if not after_loss else f"There is no {FILE} in {home}.")
        else:
            key = make_witness(home, name)
            click.echo(f"The witness stands in {home}. Its verifier key, for those who trust it:")
            click.echo(str(key))
            click.echo(f"Next: put logs into {home / FILE}, then: cinnabar witness run --home {home}")


@witness.command()
@_home
def run(home: Path) -> None:
    """Run the witness in this terminal until Ctrl-C. Its journal goes to standard error, a JSON object a line."""
    from appliance.box import journal  # noqa: PLC0415 - only a witness that runs needs its parts
    from appliance.witness.process import run_witness  # noqa: PLC0415

    def ready(bound: dict[str, str]) -> None:
        for listener, address in bound.items():
            click.echo(f"{listener:<11} {address}")

    with _told():
        settings = read_witness_settings(home)
        journal.configure("witness")
        asyncio.run(run_witness(settings, ready))
        click.echo("The witness stopped.")


@witness.command()
@_home
@click.option("--json", "as_json", is_flag=True, help="Print what /logs.json gives.")
def show(home: Path, as_json: bool) -> None:
    """Show what the witness saw: of each log the last head and when, its state, and its forks.

    Works beside a running witness. Exit codes: 0 sound, 1 a log is refused until a person decides, 2 it cannot be told.
    """
    with _told():
        settings = read_witness_settings(home)
        view = _view(settings)
    if as_json:
        click.echo(msgspec.json.encode(view))
    else:
        _print(view)
    sys.exit(EXIT_SOUND if view.status == "sound" else EXIT_REFUSING)


def _view(settings: WitnessSettings) -> Overview:
    followed, now = read_followed(settings.follow_report), time.time()
    with contextlib.closing(Store.open(settings.state_directory, read_only=True)) as state:
        known, counts, keys = remembered(state), state.cosigned(), state.keys
        forks, decisions = state.forks(), state.decisions()
    ours = [VerifierKey.parse(key) for key in keys]
    logs = []
    for one in settings.logs:
        origin = one.known.origin
        head, refused, _ = standing(one, known, ours, int(now))
        seen = Seen(cosigned=counts.get(origin, 0))
        logs.append(log_view(one, head, refused, seen, followed.get(origin), now))
    return overview(settings.title, keys, logs, forks, decisions)


def _print(view: Overview) -> None:
    for key in view.keys:
        click.echo(f"key  {escape(key)}")
    for log in view.logs:
        size = "no head yet" if log.size is None else f"{log.size:,} entries, cosigned {log.time}"
        click.echo(f"{log.state:<10} {escape(log.title)}: {size}")
        if log.published is not None and log.published.found != "cosigned":
            click.echo(f"           published: {log.published.found} ({escape(log.published.detail)})")
    if not view.logs:
        click.echo("No log is in witness.toml yet: none is cosigned.")
    for fork in view.forks:
        decided = "open" if fork.decided is None else f"decided {fork.decided}: {escape(fork.reason or '')}"
        click.echo(f"FORK {fork.number} of {escape(fork.origin)}, found {fork.found}, {decided}")
    for one in view.decisions:
        size = "a new log" if one.size is None else f"goes on from {one.size:,} entries"
        click.echo(f"DECIDED {one.time} {escape(one.origin)} {size}: {escape(one.reason)}")


@witness.command("enter-checkpoint")
@_home
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False, exists=True), nargs=-1)
@click.option("--new", "new_logs", multiple=True, metavar="ORIGIN", help="A log that no state ever knew may begin.")
@click.option("--reason", required=True, help="Why; it stays on record.")
def enter_checkpoint(home: Path, files: tuple[Path, ...], new_logs: tuple[str, ...], reason: str) -> None:
    """Decide about logs that are refused: each goes on from the signed checkpoint in a file.

    After a fork that is the head that this witness cosigned, and no other. After a loss of state it is the newest head
    that others have of the log: ask them all, and take the largest. Stop the witness first.
    """
    if not files and not new_logs:
        raise click.UsageError("Give a signed checkpoint, or the origin of a --new log.")
    with _told():
        settings = read_witness_settings(home)
        logs = {one.known.origin: one for one in settings.logs}
        with open_states(settings) as states, contextlib.closing(open_keys(settings)) as cosigners:
            known = remembered(states.store)
            found = [enter(_log(logs, data), known, data, cosigners, reason) for data in map(_read, files)]
            changes = largest(found)
            changes += [enter_new(_named(logs, origin), known, reason) for origin in new_logs]
            states.apply(changes)
    for change in changes:
        entered = "no entries" if change.head is None else f"{change.head.size:,} entries"
        click.echo(f"{escape(change.origin)} goes on from {entered}.")


def _read(file: Path) -> bytes:
    return file.read_bytes()


def _log(logs: dict[str, WatchedLog], data: bytes) -> WatchedLog:
    return _named(logs, Checkpoint.parse(parse_note(data).text).origin)


def _named(logs: dict[str, WatchedLog], origin: str) -> WatchedLog:
    if origin not in logs:
        _unusable(f"The settings name no log {escape(origin)}.")
    return logs[origin]


@witness.command()
@_home
@click.option("--once", is_flag=True, help="One round, then end: 0 all are cosigned, 1 something is wrong.")
def follow(home: Path, once: bool) -> None:
    """Fetch what logs publish under their `url`, and hand it to the witness: for logs that do not come by themselves.

    A process beside the witness; the witness's pages show what it found.
    """
    from appliance.box import journal  # noqa: PLC0415 - only who follows needs HTTP
    from appliance.witness.follow import Follower, submission_prefix  # noqa: PLC0415

    with _told():
        settings = read_witness_settings(home)
        journal.configure("follow")
        with contextlib.closing(Follower(settings, submission_prefix(settings))) as follower:
            while True:
                found = follower.round()
                if once:
                    break
                time.sleep(settings.follow.every_s)
    for origin, one in found.items():
        click.echo(f"{one.found:<12} {escape(origin)} {'' if one.size is None else one.size} {escape(one.detail)}")
    sys.exit(EXIT_SOUND if all(one.found == "cosigned" for one in found.values()) else EXIT_REFUSING)
