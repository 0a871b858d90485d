"""`python -m appliance.api --home DIR --worker N`: one worker, until SIGTERM."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import uvloop

from appliance.api.process import run_worker
from appliance.api.startup import ConfigurationFaults
from appliance.box.home import Home
from appliance.box.journal import configure
from appliance.box.readiness import say_why


@click.command()
@click.option("--home", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--worker", "number", required=True, type=click.IntRange(0, 255))
def main(home: Path, number: int) -> None:
    """Run one worker of the local API."""
    configure(f"api-{number}")
    try:
        uvloop.run(run_worker(Home(home.resolve()), number))
    except ConfigurationFaults as error:
        say_why("; ".join(error.faults))
        for fault in error.faults:
            click.echo(f"configuration fault: {fault}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
