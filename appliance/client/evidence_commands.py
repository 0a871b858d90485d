"""`cinnabar evidence`: what is done with evidence files after they were made."""

from __future__ import annotations

import click

from appliance.renewal.cli import renew


@click.group("evidence")
def evidence_group() -> None:
    """Renew evidence before its algorithms and certificates end."""


evidence_group.add_command(renew)
