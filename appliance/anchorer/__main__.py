"""`python -m appliance.anchorer --home DIR [--peer N...]`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from appliance.anchorer.process import serve
from appliance.box import journal
from appliance.box.home import Home
from appliance.box.settings import read_settings


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
@click.option("--peer", "peers", type=click.IntRange(0), multiple=True, help="Numeric user that may connect.")
def run(home: Path, peers: tuple[int, ...]) -> None:
    """Run the anchorer in the foreground."""
    journal.configure("anchorer")
    place = Home(home)
    asyncio.run(serve(place, read_settings(place.settings), frozenset(peers)))


run()
