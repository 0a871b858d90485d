"""`python -m appliance.recorder --home DIR`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.box import journal
from appliance.recorder.process import main


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def run(home: Path) -> None:
    """Run the recorder, the box's single writer, in the foreground."""
    journal.configure("recorder")
    main(home)


run()
