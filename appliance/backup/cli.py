"""`cinnabar backup` and `cinnabar restore`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from appliance.backup.archive import write_backup
from appliance.backup.passphrase import check_passphrase, read_passphrase
from appliance.backup.restoring import read_backup
from appliance.box.home import Home
from appliance.box.options import home_option
from appliance.errors import CinnabarError

_passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the passphrase in its first line, mode 0600; asked for where not given.",
)


def _passphrase(file: Path | None, *, new: bool) -> bytes:
    if file is not None:
        return read_passphrase(file)
    text: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return check_passphrase(text)


@click.command()
@home_option("The box's home; it may be running.")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A new file.")
@_passphrase_option
def backup(root: Path, target: Path, passphrase_file: Path | None) -> None:
    """Back the whole box up into one encrypted file: settings, records, documents, logs, secrets, tokens."""
    home = Home(root.resolve())
    if not home.settings.exists():
        raise click.ClickException(f"There is no box in {root}.")
    if target.exists():
        raise click.ClickException(f"{target} is there already.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        passphrase = _passphrase(passphrase_file, new=True)
        partial.unlink(missing_ok=True)  # of one that was killed; or a link, where another user may write
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            made = write_backup(home, file, passphrase)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except (CinnabarError, OSError, msgspec.MsgspecError) as error:
        partial.unlink(missing_ok=True)
        raise click.ClickException(str(error)) from error
    click.echo(f"{target}: {made.files:,} files, {made.bytes:,} bytes before encryption.")
    click.echo("Exported checkpoints are not in it. Keep the last of each log: a restore needs them.")


@click.command()
@click.option(
    "--from", "source", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=True, help="The backup."
)
@click.option("--home", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="A home to make.")
@_passphrase_option
def restore(source: Path, root: Path, passphrase_file: Path | None) -> None:
    """Make a home from a backup. It starts locked, until `cinnabar log resume` is given the last checkpoints."""
    try:
        passphrase = _passphrase(passphrase_file, new=False)
        with source.open("rb") as file:
            manifest = read_backup(file, Home(root.resolve()), passphrase)
    except (CinnabarError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{root}: box {manifest.box_id} is restored and locked (control FORK). To open it:")
    click.echo(f"  cinnabar log resume --home {root} --checkpoint FILE ...")
    click.echo("with the last exported checkpoint of each of these logs:")
    for origin in manifest.origins:
        click.echo(f"  {origin}")
