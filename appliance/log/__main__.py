"""`python -m appliance.log --home DIR`: the log follower in the foreground."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import structlog

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.log.follower import FollowerFailing, main

logger = structlog.get_logger("log")


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def run(home: Path) -> None:
    """Integrate records into the box's logs and sign their heads until SIGTERM or SIGINT."""
    journal.configure("log")
    place = Home(home.resolve())
    try:
        asyncio.run(main(place, read_settings(place.settings)))
    except FollowerFailing as error:
        logger.critical("log-follower-failing", error=str(error))
        sys.exit(1)


run()
