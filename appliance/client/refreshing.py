"""`cinnabar evidence refresh`: anchors that became final after an evidence file was made are added to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.asic import ContainerRefused, EvidenceNotBuildable, read_container
from appliance.asic.anchor import with_anchors
from appliance.asic.letter import About
from appliance.asic.names import LETTER, anchor_name, read_name
from appliance.client.options import connection_options
from appliance.files import write_file

if TYPE_CHECKING:
    from appliance.client.synchronous import Client


def about(content: bytes) -> tuple[str, int]:
    """Which letter an evidence file is of, and how many events it holds. Raises ContainerRefused."""
    entries = read_container(content)
    try:
        letter = msgspec.json.decode(entries[LETTER], type=About).letter
    except (KeyError, msgspec.MsgspecError):
        raise ContainerRefused("it does not say which letter it is about") from None
    places = [read_name(name) for name in entries]
    return letter, sum(place is not None and place.role == "event" for place in places)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@connection_options
def refresh(files: tuple[Path, ...], client: Client) -> None:
    """Add the anchors that are final by now to evidence FILEs of letters. Nothing that stands in a file is altered;
    each file is replaced whole, or not at all."""
    for file in files:
        content = file.read_bytes()
        try:
            letter, events = about(content)
            answer = client.evidence_anchors(letter, events=events)
            anchors = {anchor_name(one.ledger, one.size): one.anchor for one in answer.anchors}
            made, added = with_anchors(content, anchors)
        except (ContainerRefused, EvidenceNotBuildable) as error:
            raise click.ClickException(f"{file}: {error}") from None
        if added:
            write_file(file, made, file.stat().st_mode & 0o777)
        ledgers = ", ".join(sorted(one.ledger for one in answer.anchors if anchor_name(one.ledger, one.size) in added))
        if added:
            click.echo(f"{file}: anchors on {ledgers} added")
        elif answer.anchors:
            click.echo(f"{file}: nothing new, it has every anchor that is final and covers its newest event")
        else:
            click.echo(f"{file}: nothing new, no anchor that covers its newest event is final yet")
