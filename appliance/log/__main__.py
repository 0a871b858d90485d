"""`python -m appliance.log --home DIR`: the log follower in the foreground."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.log.follower import main


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def run(home: Path) -> None:
    """Integrate records into the box's logs and sign their heads until SIGTERM or SIGINT."""
    journal.configure("log")
    place = Home(home.resolve())
    asyncio.run(main(place, read_settings(place.settings)))


run()
