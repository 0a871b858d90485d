"""`python -m appliance.clock --home DIR`: the clock monitor in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.clock.monitor import ClockSettingsRefused, main


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def run(home: Path) -> None:
    """Measure the system clock and publish what is found until SIGTERM or SIGINT (control TIME)."""
    journal.configure("clock")
    place = Home(home.resolve())
    try:
        main(place, read_settings(place.settings))
    except ClockSettingsRefused as error:
        raise click.ClickException(f"{error} (control TIME)") from None


run()
