"""`python -m appliance.documents --home DIR [--user N] [--peer N...] [--reader N...]`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.documents.isolation import shut_off
from appliance.documents.process import serve, step_back


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
@click.option("--user", type=click.IntRange(1), help="Numeric user to become, with its group; needs root.")
@click.option("--peer", "peers", type=click.IntRange(0), multiple=True, help="Numeric user that may connect.")
@click.option("--reader", "readers", type=click.IntRange(1), multiple=True, help="One that may have files verified.")
def run(home: Path, user: int | None, peers: tuple[int, ...], readers: tuple[int, ...]) -> None:
    """Run the keeper of the document workers in the foreground.

    It is started as root where it can be, because only root can leave the network; it does that first."""
    step_back()
    isolation = shut_off(user)
    journal.configure("documents")
    place = Home(home)
    serve(place, read_settings(place.settings), isolation, frozenset(peers), readers=frozenset(readers))


run()
