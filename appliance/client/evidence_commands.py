"""`cinnabar evidence`: what is done with evidence files after they were made."""

from __future__ import annotations

import click

from appliance.client.refreshing import refresh
from appliance.renewal.cli import renew


@click.group("evidence")
def evidence_group() -> None:
    """Renew evidence before its algorithms and certificates end; add anchors that became final since it was made."""


evidence_group.add_command(renew)
evidence_group.add_command(refresh)
