"""`cinnabar evidence refresh`: what came after an evidence file was made is added to it.

To a letter's, anchors that became final; to a record's opening, its proof under the box's log, and once its log was
renewed how it goes on in the one that succeeds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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


_PROOFS: Final = {"proof": "log proof", "box_proof": "proof under the box's log", "continuation": "continuation"}


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
    """Add to evidence FILEs of letters the anchors that are final by now, and to openings of records the proofs that
    there are by now. Nothing that stands in a letter's file is altered, nor what an opening opens; each file is
    replaced whole, or not at all."""
    for file in files:
        content = file.read_bytes()
        if content.lstrip()[:1] == b"{":
            _refresh_opening(client, file, content)
            continue
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


class _Opened(msgspec.Struct, frozen=True, kw_only=True):
    """Of an opening, what never changes, and what it has of proofs."""

    record: str
    content: str
    salt: str
    proof: Any = None
    box_proof: Any = None
    continuation: str | None = None


def _refresh_opening(client: Client, file: Path, content: bytes) -> None:
    try:
        before = msgspec.json.decode(content, type=_Opened)
        made = client.record_file(before.record)
        after = msgspec.json.decode(made, type=_Opened)
    except msgspec.MsgspecError:
        raise click.ClickException(f"{file}: neither a letter's evidence nor a record's opening") from None
    if (after.content, after.salt) != (before.content, before.salt):
        raise click.ClickException(f"{file}: the box has another record under this name")
    added = [name for name in _PROOFS if getattr(before, name) is None and getattr(after, name) is not None]
    if added:
        write_file(file, made, file.stat().st_mode & 0o777)
    click.echo(f"{file}: {', '.join(_PROOFS[name] for name in added)} added" if added else f"{file}: nothing new")
