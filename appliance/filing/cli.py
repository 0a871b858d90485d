"""`cinnabar adapter`: check an adapter before officers sign it. Needs no box."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def adapter() -> None:
    """Adapters: how letters of a kind are filed with an authority."""


@adapter.command()
@click.argument("file", type=_FILE)
@click.option("--kind", "kind_file", type=_FILE, help="The kind's file; one that ships is found.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST:PORT",
    help="A host of the box's filing_hosts; if none is given, those that the adapter needs are told.",
)
def check(file: Path, kind_file: Path | None, hosts: tuple[str, ...]) -> None:
    """Whether an adapter can be read and goes with its kind and its hosts."""
    from appliance.filing import AdapterRefused, check_adapter, read_adapter  # noqa: PLC0415 - only when it runs
    from appliance.filing.adapter import hosts_of  # noqa: PLC0415
    from appliance.letters.check import read_sound_kind  # noqa: PLC0415
    from appliance.letters.errors import KindRefused  # noqa: PLC0415
    from appliance.letters.shipped import shipped  # noqa: PLC0415

    try:
        loaded = read_adapter(file.read_bytes())
        found = loaded.adapter
        text = shipped().get(found.kind) if kind_file is None else kind_file.read_bytes()
        if text is None:
            raise click.UsageError(f"No kind {found.kind} ships: give its file with --kind.")
        kind = read_sound_kind(text).kind
        if kind.id != found.kind:
            raise click.UsageError(f"The adapter is of the kind {found.kind}, and the file of {kind.id}.")
        check_adapter(loaded, kind, hosts or hosts_of(found))
    except (AdapterRefused, KindRefused) as error:
        raise click.ClickException(f"{file}: {error}") from None
    click.echo(f"{file}: sound  {found.id} {found.version}  {loaded.digest}")
    if not hosts:
        click.echo(f"filing_hosts must list: {', '.join(hosts_of(found))}")
