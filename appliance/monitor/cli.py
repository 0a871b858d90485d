"""`cinnabar log watch`: follow a published log, or a tenant's own, and tell what is wrong with it."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.errors import CinnabarError
from appliance.log.errors import MalformedNote
from appliance.log.note import VerifierKey
from appliance.quoting import escape

if TYPE_CHECKING:
    from appliance.monitor.rounds import Rounds

EXIT_SOUND, EXIT_ALARM, EXIT_UNREADABLE = 0, 1, 2

_path = click.Path(path_type=Path)


class _KeyType(click.ParamType[VerifierKey]):
    name = "NAME+ID+KEY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> VerifierKey:
        if isinstance(value, VerifierKey):
            return value
        try:
            return VerifierKey.parse(str(value))
        except MalformedNote as error:
            self.fail(str(error), param, ctx)


@click.command("fork")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--trust", type=_path, help="Trust directory of the box: the keys of its logs.")
@click.option("--key", "keys", type=_KeyType(), multiple=True, help="Verifier key of the log, in place of --trust.")
@click.option("--state", type=_path, help="Where the highest trust bundle is kept; as for `cinnabar verify`.")
def fork(file: Path, trust: Path | None, keys: tuple[VerifierKey, ...], state: Path | None) -> None:
    """Check evidence of a fork, offline: that the log signed two histories.

    Exit codes: 0 it did, 1 the file does not show it, 2 it could not be checked.
    """
    from appliance.evidence.directory import default_state  # noqa: PLC0415 - only this command needs its parts
    from appliance.log.forks import LARGEST_EVIDENCE, ForkEvidence, verify_fork  # noqa: PLC0415
    from appliance.monitor.expected import Expected  # noqa: PLC0415

    try:
        with file.open("rb") as opened:
            evidence = ForkEvidence.parse(opened.read(LARGEST_EVIDENCE + 1))
    except (CinnabarError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_ALARM)
    try:
        known = Expected(trust, state or default_state(), evidence.origin, keys).watched().keys
    except (CinnabarError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_UNREADABLE)
    try:
        first, second = verify_fork(evidence, known)
    except CinnabarError as error:
        click.echo(f"{error.title}: {error}", err=True)
        sys.exit(EXIT_ALARM)
    click.echo(f"The log {escape(evidence.origin)} has signed two histories:")
    for head in (first, second):
        click.echo(f"  {head.size:,} entries, root {head.root.hex()}")
    if first.size != second.size:
        click.echo(f"  whose first {first.size:,} entries are others than those of the smaller head.")


@click.command("watch")
@click.argument("url")
@click.option("--state", type=_path, required=True, help="Directory of what was seen: the monitor's memory. Keep it.")
@click.option("--trust", type=_path, help="Trust directory of the box: the keys of its logs, and its witnesses.")
@click.option("--origin", help="Origin of the log; the key's name if left out.")
@click.option("--key", "keys", type=_KeyType(), multiple=True, help="Verifier key of the log, in place of --trust.")
@click.option("--witness", "witnesses", type=_KeyType(), multiple=True, help="Verifier key of a witness.")
@click.option("--quorum", type=click.IntRange(0), help="How many of the witnesses must cosign; all that are given.")
@click.option("--ca", type=_path, help="CA of the server's certificate, PEM; the machine's if left out.")
@click.option("--cert", type=_path, help="Client certificate, PEM, for a log that is not published.")
@click.option("--cert-key", type=_path, help="Its key, PEM.")
@click.option("--openings", metavar="URL", help="https://HOST:PORT of the box's API: follow the box's commitments.")
@click.option("--box-origin", help="Origin of the box's own log; with --openings.")
@click.option("--box-key", "box_keys", type=_KeyType(), multiple=True, help="Its verifier key, in place of --trust.")
@click.option("--every", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds between looks.")
@click.option("--silent-after", type=float, default=3600.0, show_default=True, help="Seconds it may be unreadable.")
@click.option("--idle-after", type=float, help="Seconds it may show nothing new; for ever if left out.")
@click.option("--run", "command", default="", help="A command for each alarm, whose line it reads. No shell.")
@click.option("--once", is_flag=True, help="Look once, then end.")
def watch(every: float, once: bool, **options: Any) -> None:
    """Follow the log published under URL: that it only grows, is cosigned, and is what the box commits to.

    Prints a JSON object a line. Alarms on a fork (with evidence), a rewind, tiles or signatures that are wrong,
    witnesses that are missing, a broken chain of commitments, and silence. Exit codes: 0 sound, 1 an alarm is open,
    2 it could not be looked at.
    """
    from appliance.monitor.state import MonitorState  # noqa: PLC0415 - only who watches needs its parts

    try:
        store = MonitorState(options["state"])
        with store.alone(), contextlib.ExitStack() as opened:
            rounds = _rounds(store, opened, **options)
            readable = _watch(rounds, every, once=once)
            alarms = rounds.alarms()
    except (CinnabarError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_UNREADABLE)
    for name, alarm in alarms.items():
        click.echo(f"{escape(name)}: {escape(alarm.detail)}", err=True)
    sys.exit(EXIT_ALARM if alarms else EXIT_SOUND if readable else EXIT_UNREADABLE)


def _rounds(
    store: Any,
    opened: contextlib.ExitStack,
    *,
    url: str,
    state: Path,
    trust: Path | None,
    origin: str | None,
    keys: tuple[VerifierKey, ...],
    witnesses: tuple[VerifierKey, ...],
    quorum: int | None,
    ca: Path | None,
    cert: Path | None,
    cert_key: Path | None,
    openings: str | None,
    box_origin: str | None,
    box_keys: tuple[VerifierKey, ...],
    silent_after: float,
    idle_after: float | None,
    command: str,
) -> Rounds:
    from urllib.parse import quote  # noqa: PLC0415

    from appliance.monitor.alarms import Telling  # noqa: PLC0415
    from appliance.monitor.expected import Expected  # noqa: PLC0415
    from appliance.monitor.published import PublishedLog, client_context  # noqa: PLC0415
    from appliance.monitor.rounds import Place, Rounds  # noqa: PLC0415

    context = None if ca is None and cert is None else client_context(ca, cert, cert_key)
    pins = state / "trust"
    expected = Expected(trust, pins, origin, keys, witnesses, quorum, silent_after, idle_after)
    own = Place(opened.enter_context(PublishedLog(url, context)), expected)
    box: Place | None = None
    api: PublishedLog | None = None
    if openings is not None:
        of_box = Expected(trust, pins, box_origin, box_keys, quorum=0, silent_after_s=silent_after)
        api = opened.enter_context(PublishedLog(openings, context))
        where = f"{openings.rstrip('/')}/log/{quote(of_box.watched().origin, safe='/')}"
        box = Place(opened.enter_context(PublishedLog(where, context)), of_box)
    telling = Telling(click.echo, shlex.split(command))
    return Rounds(own, box, api, store, telling)


def _watch(rounds: Rounds, every: float, *, once: bool) -> bool:
    """Look until SIGTERM or SIGINT; whether everything could be read at the last look."""
    if once:
        return rounds.look()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    readable = rounds.look()
    while not stop.wait(every):
        readable = rounds.look()
    return readable
