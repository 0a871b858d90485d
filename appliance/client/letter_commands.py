"""`cinnabar letter`: begin letters, have events happen to them, show them, fetch their evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.client.options import connection_options

if TYPE_CHECKING:
    from appliance.api.letters.schemas import LetterAnswer
    from appliance.client.synchronous import Client

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DATA = click.option("--data", type=_FILE, help="JSON object with the event's own values.")
_ENVELOPES = click.option(
    "--envelope", "envelopes", multiple=True, metavar="FIELD=FILE", help="An encrypted field (cinnabar veil encrypt)."
)
_RECEIPTS = click.option(
    "--receipt", "receipts", multiple=True, metavar="REGISTRY:NUMBER=FILE", help="What an outside registry handed out."
)
_APPROVALS = click.option("--approval", "approvals", type=_FILE, multiple=True, help="An approval, JSON.")
_DISCLOSURES = click.option(
    "--draft",
    "draft",
    type=_FILE,
    help="The draft that was approved, JSON; beside the --fields and --data that it was made of.",
)
_DOCUMENT = click.option("--document", is_flag=True, help="Set the letter's page as PDF and seal it with the event.")
_OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Directory for the page, LETTER.pdf."
)
_SEEN = click.option("--seen", help="Seal object as which the page's seal is seen.")
_PDF = click.option("--pdf", type=_FILE, help="The PDF that the event seals; it comes back as LETTER.document.pdf.")
_KEY = click.option("--seal-key", help="Seal key; the first one allowed if left out.")


@click.group("letter")
def letter_group() -> None:
    """Letters: instruments of a kind that live through sealed events."""


@letter_group.command("begin")
@click.argument("kind")
@click.argument("fields", type=_FILE)
@click.option("--event", help="An event that begins a letter; the kind's first if left out.")
@_DATA
@_ENVELOPES
@_RECEIPTS
@_APPROVALS
@_DISCLOSURES
@_DOCUMENT
@_SEEN
@_PDF
@_OUTPUT
@_KEY
@connection_options
def begin_command(client: Client, kind: str, fields: Path, event: str | None, **given: Any) -> None:
    """Begin a letter of KIND with the values in FIELDS, a JSON object."""
    more = _given(given)
    draft = more.pop("draft", None)
    if draft is not None:
        more |= {name: draft[name] for name in ("letter", "ids_tag", "disclosures")}
    _told(client.begin_letter(kind, _object(fields), event=event, **more), given["output"])


@letter_group.command("event")
@click.argument("letter")
@click.argument("event")
@click.option("--fields", type=_FILE, help="JSON object with the fields that the event changes.")
@click.option("--code", "codes", multiple=True, metavar="FIELD=FILE", help="The code that opens a veiled field.")
@click.option("--head", help="The head that you go by, 64 hexadecimal digits; another one is refused.")
@_DATA
@_ENVELOPES
@_RECEIPTS
@_APPROVALS
@_DISCLOSURES
@_DOCUMENT
@_SEEN
@_PDF
@_OUTPUT
@_KEY
@connection_options
def event_command(
    client: Client,
    letter: str,
    event: str,
    fields: Path | None,
    codes: tuple[str, ...],
    head: str | None,
    **given: Any,
) -> None:
    """Have EVENT happen to LETTER."""
    more = _given(given)
    draft = more.pop("draft", None)
    if draft is not None:
        more |= {"parts": draft["parts"] or None, "ids_tag": draft["ids_tag"], "disclosures": draft["disclosures"]}
    typed = {name: path.read_text(errors="replace").strip() for name, path in map(_named, codes)}
    changed = {} if fields is None else _object(fields)
    _told(client.letter_event(letter, event, fields=changed, codes=typed, head=head, **more), given["output"])


@letter_group.command("draft")
@click.argument("letter_or_kind")
@click.argument("event")
@click.option("--fields", type=_FILE, help="JSON object with the fields that the event sets.")
@_DATA
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new file, JSON.")
@connection_options
def draft_command(
    client: Client, letter_or_kind: str, event: str, fields: Path | None, data: Path | None, output: Path
) -> None:
    """Write what approvers would sign: of an event of a letter, or of one that begins a letter of a kind."""
    import msgspec  # noqa: PLC0415

    values, own = ({} if path is None else _object(path) for path in (fields, data))
    if len(letter_or_kind) == 32 and not letter_or_kind.strip("0123456789abcdef"):
        draft = client.draft_event(letter_or_kind, event, fields=values, data=own)
    else:
        draft = client.draft_letter(letter_or_kind, values, event=event, data=own)
    output.write_bytes(msgspec.json.encode(draft))
    click.echo(f"{output}: digest {draft.digest}, policies {', '.join(draft.policies) or 'none'}")


@letter_group.command("show")
@click.argument("letter")
@connection_options
def show_command(client: Client, letter: str) -> None:
    """Show LETTER as it stands, JSON."""
    import msgspec  # noqa: PLC0415

    click.echo(json.dumps(msgspec.to_builtins(client.letter(letter)), indent=2, ensure_ascii=False))


@letter_group.command("list")
@click.option("--kind", help="Only this kind.")
@click.option("--state", help="Only in this state.")
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help="Letters to list.")
@click.option("--due-before", metavar="TIME", help="What falls due by then (RFC 3339), the earliest first.")
@connection_options
def list_command(client: Client, kind: str | None, state: str | None, most: int, due_before: str | None) -> None:
    """List letters, the newest first; or what falls due, the earliest first."""
    after: str | None = None
    left = most
    while left > 0:
        page = client.letters(kind=kind, state=state, due_before=due_before, after=after)
        for one in page.letters[:left]:
            value = "" if one.balance is None else f"  {one.currency} {one.balance}"
            click.echo(f"{one.letter}  {one.kind:<22} {one.state:<14} {one.changed[:19]}{value}")
        left -= len(page.letters)
        after = page.next
        if after is None:
            return


@letter_group.command("evidence")
@click.argument("letter")
@click.option("--disclose", multiple=True, metavar="FIELD", help="A hidden field that the file tells.")
@click.option("--court", is_flag=True, help="With a package for a court, which the box seals and records.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="LETTER.asice if left out.")
@connection_options
def evidence_command(client: Client, letter: str, disclose: tuple[str, ...], court: bool, output: Path | None) -> None:
    """Fetch the evidence of LETTER, one file that `cinnabar verify` checks offline."""
    target = output or Path(f"{letter}.asice")
    fetch = client.court_evidence if court else client.evidence
    target.write_bytes(fetch(letter, disclose=disclose))
    click.echo(str(target))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What events of both commands take, as the client takes it."""
    import msgspec  # noqa: PLC0415

    from appliance.api.letters.schemas import ReceiptGiven  # noqa: PLC0415
    from appliance.letters.event import Approval  # noqa: PLC0415

    decode = msgspec.json.Decoder(Approval).decode
    receipts = []
    for text in options["receipts"]:
        name, path = _named(text)
        registry, _, number = name.partition(":")
        receipts.append(ReceiptGiven(registry=registry, number=number, receipt=path.read_bytes()))
    return {
        "data": {} if options["data"] is None else _object(options["data"]),
        "envelopes": {name: path.read_bytes() for name, path in map(_named, options["envelopes"])},
        "receipts": receipts,
        "approvals": [_explained(path, decode) for path in options["approvals"]],
        "document": options["document"],
        "document_seal": options["seen"],
        "pdf": None if options["pdf"] is None else options["pdf"].read_bytes(),
        "seal_key": options["seal_key"],
        **({} if options["draft"] is None else {"draft": _object(options["draft"])}),
    }


def _named(text: str) -> tuple[str, Path]:
    name, found, path = text.partition("=")
    if not found or not name or not Path(path).is_file():
        raise click.UsageError(f"{text}: NAME=FILE is meant, and the file must be there")
    return name, Path(path)


def _object(path: Path) -> dict[str, Any]:
    found = _explained(path, json.loads)
    if not isinstance(found, dict):
        raise click.ClickException(f"{path}: not a JSON object")
    return found


def _explained(path: Path, read: Callable[[bytes], Any]) -> Any:
    try:
        return read(path.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from None


def _told(answer: LetterAnswer, output: Path | None) -> None:
    """Say what happened; write the page, if there is one."""
    letter = answer.happened.letter
    click.echo(f"letter {letter}  event {answer.happened.number}  {answer.state}  head {answer.head}")
    for part in answer.parts:
        click.echo(f"part {part}")
    page = answer.happened.beside.get("letter.pdf")
    if page is not None:
        directory = output or Path()
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / f"{letter}-{answer.happened.number}.pdf"
        target.write_bytes(page)
        click.echo(str(target))
