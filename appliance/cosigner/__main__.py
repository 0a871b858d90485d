"""`python -m appliance.cosigner --home DIR`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
import structlog

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.readiness import say_why
from appliance.box.settings import read_settings
from appliance.box.witnesses import WitnessesRefused
from appliance.cosigner.process import serve


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def run(home: Path) -> None:
    """Have witnesses cosign the box's logs until SIGTERM or SIGINT."""
    journal.configure("cosigner")
    place = Home(home.resolve())
    try:
        asyncio.run(serve(place, read_settings(place.settings)))
    except WitnessesRefused as error:
        structlog.get_logger("cosigner").critical("witnesses-refused", problems=str(error))
        say_why(str(error))
        sys.exit(1)


run()
