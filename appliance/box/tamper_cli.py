"""`cinnabar tamper`: how a device's driver, or a person, says that the box was tampered with."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box.home import Home
from appliance.box.options import home_option
from appliance.box.tamper import latch, read_latch


class _NoBox(click.ClickException):
    exit_code = 2  # 1 says that a signal came


@click.command()
@home_option("The box's home.")
@click.option(
    "--show",
    is_flag=True,
    help="Only say whether a signal came: exit status 1 if so, 0 if not, 2 without a box.",
)
@click.argument("signal", required=False)
@click.pass_context
def tamper(context: click.Context, root: Path, show: bool, signal: str | None) -> None:
    """Stop all signing and have the box drop its secrets, because of SIGNAL, which says what was seen.

    Only a ceremony brings the box back. The signal is on disk when the command returns with exit status 0, whether the
    box runs or not; the running box honours it within half a second. The first signal stands. For root."""
    home = Home(root.resolve())
    if not home.settings.exists():
        raise _NoBox(f"There is no box in {root}.")
    if show:
        seen = read_latch(home)
        click.echo("No tamper signal came." if seen is None else f"Tampered: {seen}")
        context.exit(0 if seen is None else 1)
    if not signal or not signal.isprintable():
        raise click.UsageError("SIGNAL: say what was seen, in printable characters")
    try:
        latch(home, signal)
    except OSError as error:
        raise click.ClickException(f"The signal is not on disk: {error.strerror}. Stop the box yourself.") from error
    click.echo(f"Tampered: {read_latch(home)}. Only a ceremony (recover-from-tamper) brings the box back.")
