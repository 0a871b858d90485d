"""`cinnabar anchor`: ledgers and anchors of a running box, receipts as files, and checking them without the box."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.anchorer.account_cli import account
from appliance.anchorer.bitcoin import cli as bitcoin
from appliance.anchorer.client import AnchorerClient
from appliance.anchorer.desk_client import DeskConnection
from appliance.anchorer.views import AnchorView
from appliance.anchors import AnchorRefused, commitment_of, judge, read_profile, read_receipt
from appliance.box.home import Home
from appliance.box.options import connected, home_option
from appliance.instants import now_us, rfc3339
from appliance.log.checkpoint import Checkpoint
from appliance.log.note import parse_note
from appliance.own_statuses import OwnStatuses
from appliance.quoting import escape

_HOME = home_option("The box's home.")


def _socket(home: Home) -> Path:
    return home.anchorer_socket


@click.group("anchor")
def anchor_group() -> None:
    """Heads of the box's log on outside ledgers (docs/anchors.md).

    verify, ots and txoutproof read files alone; the others ask the running box of --home, as root or its own users.
    """


anchor_group.add_command(account)


@anchor_group.command("list")
@_HOME
@click.option("--ledger", help="The anchors of this ledger, the newest first, instead of every ledger.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def list_(root: Path, ledger: str | None, limit: int, as_json: bool) -> None:
    """The box's ledgers, also former ones, and how their newest anchors stand."""
    with connected(AnchorerClient, root, _socket) as client:
        if ledger is not None:
            anchors = client.anchors(ledger, None, limit)
            _print(anchors, [_line(one) for one in anchors], as_json=as_json)
            return
        ledgers = client.ledgers()
    lines = []
    for one in ledgers:
        again = "tried again" if one.begun else "mend it and start the box anew"
        trouble = f"; {escape(one.trouble)}: {again}" if one.trouble else ""
        if one.configured:
            lines.append(f"{one.name} ({one.type}): {one.open} open{trouble}")
        else:
            lines.append(f"{one.name}: not in box.json any more; {one.open} open, which nobody works on")
        lines += [f"  {one.caveat}"] if one.caveat else []
        lines += [f"  {told}" for told in dict.fromkeys(map(_line, filter(None, (one.newest, one.final))))]
    _print(ledgers, lines or ["box.json lists no ledger"], as_json=as_json)


@anchor_group.command("show")
@click.argument("ledger")
@click.argument("number", type=click.IntRange(1))
@_HOME
@click.option("--json", "as_json", is_flag=True)
def show(ledger: str, number: int, root: Path, as_json: bool) -> None:
    """One anchor: every state that it came to, when and why."""
    with connected(AnchorerClient, root, _socket) as client:
        anchor = client.anchor(ledger, number)
    lines = [_line(anchor), f"  commitment {anchor.commitment}", f"  {rfc3339(anchor.due_us)}  due"]
    lines += [f"  {rfc3339(step.time_us)}  {step.state}: {escape(step.cause)}" for step in anchor.steps]
    _print(anchor, lines, as_json=as_json)


@anchor_group.command("now")
@click.argument("ledger")
@_HOME
def now(ledger: str, root: Path) -> None:
    """Have the newest head anchored on LEDGER as soon as may be.

    A signature is under the box's head once that has its tenant's next leaf: a minute after it was made, if box.json
    says nothing else (`box_leaf_interval_s`).
    """
    with connected(AnchorerClient, root, _socket) as client:
        client.now(ledger)
    click.echo(
        f"{ledger}: the newest head of the box's log is anchored next, if it is not yet; signatures of the last minute"
        " may come under the one after it. `cinnabar anchor list` shows how it stands."
    )


@anchor_group.command("request")
@click.argument("ledger")
@click.option("--name", required=True, help="The subject's common name.")
@_HOME
def request(ledger: str, name: str, root: Path) -> None:
    """Print a certification request.

    PKCS#10, PEM: for the box's account on LEDGER, where members have certificates (Fabric).
    """
    with connected(DeskConnection, root, lambda home: home.ledger_desk_socket) as desk:
        encoded: bytes = desk.call("certificate_request", ledger, name)
    made = x509.load_der_x509_csr(encoded)
    click.echo(made.public_bytes(Encoding.PEM).decode(), nl=False)


@anchor_group.command("export")
@click.argument("ledger")
@click.argument("number", type=click.IntRange(1))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_HOME
def export(ledger: str, number: int, file: Path, root: Path) -> None:
    """Write the receipt of a final anchor to FILE."""
    with connected(AnchorerClient, root, _socket) as client:
        receipt = client.receipt(ledger, number)
    try:
        file.write_bytes(receipt)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(f"{file}: {len(receipt)} bytes. Check it with `cinnabar anchor verify`.")


@anchor_group.command("verify", cls=OwnStatuses)
@click.argument("receipt", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--ledger",
    "profile",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Profile of the ledger: what you trust of it. Never take it from where the receipt is from.",
)
def verify(receipt: Path, profile: Path) -> None:
    """Check a RECEIPT offline.

    Does the ledger hold the head in it? Whose head it is, the log's keys say (`cinnabar verify` looks at them too).
    Exit status: 0 proven, 2 attested only, 1 refused, 64 when the command was called wrongly or a file cannot be read.
    """
    try:
        read = read_receipt(receipt.read_bytes())
        trusted = read_profile(profile.read_bytes())
        note = read.checkpoint.encode()
        found = judge(read, commitment_of(note), trusted, now_us=now_us())
    except AnchorRefused as error:
        click.echo(f"refused ({error.reason}): {escape(str(error))}")
        sys.exit(1)
    head = Checkpoint.parse(parse_note(note).text)
    click.echo(f"{found.strength} by {found.by}: {read.ledger}, {found.place}")
    click.echo(f"  head of {escape(head.origin)} with {head.size} entries, commitment {commitment_of(note).hex()}")
    click.echo(f"  ledger's time {rfc3339(found.time_us)}, existed no later than {rfc3339(found.no_later_us)}")
    for one in found.notes:
        click.echo(f"  {escape(one)}")
    sys.exit(0 if found.strength == "proven" else 2)


anchor_group.add_command(bitcoin.ots)
anchor_group.add_command(bitcoin.txoutproof)


def _line(anchor: AnchorView) -> str:
    what = f"{anchor.ledger} {anchor.number}: {anchor.state}"
    if anchor.strength is not None:
        what += f", {anchor.strength}"
    if anchor.superseded_by is not None:
        what += f" by {anchor.superseded_by}"
    where = f"in {anchor.place}" if anchor.place else escape(anchor.cause)
    return f"{what} since {rfc3339(anchor.since_us)}, head of {anchor.size} entries, {where}"


def _print(value: object, lines: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        return
    for line in lines:
        click.echo(line)
