"""`cinnabar run`: the box in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import click
import msgspec

from appliance.box import journal
from appliance.box.holding import AlreadyRunning
from appliance.box.home import Home
from appliance.box.listeners import Addresses
from appliance.box.options import home_option
from appliance.box.settings import BoxSettings, read_settings
from appliance.box.supervisor import Supervisor
from appliance.box.users import resolve_users
from appliance.errors import CinnabarError

CLEANLY = "The box stopped cleanly."
BADLY = "The box stopped, but not cleanly"
"""What the last line of its output begins with when it did not; the parts follow."""


@click.command()
@home_option("The box's home.")
@click.option(
    "--api", "applications", help="HOST:PORT for applications: TLS with a client certificate; port 0 takes a free one."
)
@click.option("--tsa", help="HOST:PORT for RFC 3161 over plain HTTP (off unless given here or in box.json).")
@click.option("--public", help="HOST:PORT for anybody: TLS, published logs and CRLs (off unless given).")
@click.option("--revocation", help="HOST:PORT for CRLs and OCSP over plain HTTP (off unless given).")
@click.option("--metrics", help="HOST:PORT for metrics: plain HTTP, this machine alone (off unless given).")
@click.option("--management", help="HOST:PORT for officers' pages, or `off`.")
def run(root: Path, **addresses: str | None) -> None:
    """Run the box in this terminal until Ctrl-C; it stops cleanly and says so.

    Its log, one JSON object a line, goes to standard error; on a terminal it goes to box.log in the home instead.
    """
    home = Home(root.resolve())
    if not home.settings.exists():
        raise click.ClickException(f"There is no box in {root}. Make one: cinnabar provision --home {root}")
    try:
        settings = _with_addresses(read_settings(home.settings), addresses)
    except msgspec.ValidationError as error:
        raise click.ClickException(f"{home.settings}: {error}") from error
    if sys.stderr.isatty():
        _keep_log(home.root / "box.log")
    journal.configure()
    supervisor = Supervisor(home, settings, resolve_users(home.root, settings))
    try:
        status = asyncio.run(_run(supervisor))
    except AlreadyRunning as error:
        raise click.ClickException(str(error)) from error
    except (CinnabarError, OSError, ValueError) as error:
        click.echo(f"The box did not start: {error}")
        status = 1
    else:
        if supervisor.failure:
            click.echo(f"The box did not start: {supervisor.failure}. See its log.")
        else:
            click.echo(CLEANLY if status == 0 else f"{BADLY}: {_which(supervisor)}. See its log.")
    sys.exit(status)


def _which(supervisor: Supervisor) -> str:
    """The parts that did not stop cleanly, and how they ended."""
    return ", ".join(
        f"{name} ({f'killed by signal {-status}' if status is not None and status < 0 else f'exit status {status}'})"
        for name, status in supervisor.stopped_badly.items()
    )


def _keep_log(path: Path) -> None:
    """Send standard error, ours and that of every process of the box, to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)
    click.echo(f"The box's log is {path}.")


def _with_addresses(settings: BoxSettings, addresses: dict[str, str | None]) -> BoxSettings:
    given: dict[str, str | None] = {name: address for name, address in addresses.items() if address}
    if given.get("management") == "off":
        given["management"] = None
    return msgspec.structs.replace(settings, front=msgspec.structs.replace(settings.front, **given))


async def _run(supervisor: Supervisor) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.request_stop)

    def ready(addresses: Addresses) -> None:
        state = supervisor.state.label
        click.echo(f"The box {supervisor.settings.name} is up{'' if state == 'operational' else f', but {state}'}.")
        for token in supervisor.closed_tokens:
            click.echo(
                f"  token {token} does not open: its tenant signs nothing. The log says why; once that is put right,"
            )
            click.echo("    such as a PIN file written anew, it opens by itself.")
        if supervisor.home.history_lock.exists():
            click.echo("  It signs nothing until `cinnabar log resume` has shown that its history is the only one.")
        for listener, address in msgspec.structs.asdict(addresses).items():
            if address is not None:
                click.echo(f"  {listener:<13} {address}")
        for text in supervisor.weaknesses.values():
            click.echo(f"  weaker        {text}")

    def wait(names: list[str]) -> None:
        home = supervisor.home.root
        click.echo(f"The box waits for officers' passphrases: the PINs of {', '.join(names)} are under lock.")
        click.echo(f"  Type them in another terminal: cinnabar console --home {home} unlock")

    return await supervisor.run(ready, wait)
