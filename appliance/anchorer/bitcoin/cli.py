"""`cinnabar anchor ots` and `cinnabar anchor txoutproof`: a receipt of the Bitcoin family as others' tools read it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from appliance.anchors import AnchorRefused, LedgerProfile, Receipt, commitment_of, judge, read_profile, read_receipt
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.opentimestamps import ots_file
from appliance.anchors.bitcoin.proof import BitcoinProof
from appliance.anchors.bitcoin.txout_proof import txout_proof
from appliance.anchors.judging import rules_of
from appliance.instants import now_us
from appliance.log.note import parse_note
from appliance.quoting import escape

_RECEIPT = click.argument("receipt", type=click.Path(path_type=Path, dir_okay=False, exists=True))
_PROFILE = click.option(
    "--ledger",
    "profile",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Profile of the ledger: what you trust of it. Nothing is written of a receipt that does not hold.",
)


@click.command("ots")
@_RECEIPT
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_PROFILE
def ots(receipt: Path, file: Path, profile: Path) -> None:
    """Write a head and its OpenTimestamps proof.

    The head's text to FILE, the proof, which the public client `ots` reads, to FILE.ots; of a RECEIPT of the Bitcoin
    family.
    """
    read, proof, rules = _judged(receipt, profile)
    note = read.checkpoint.encode()
    try:
        made = ots_file(proof, commitment_of(note), rules.work)
        file.write_bytes(parse_note(note).text)
        file.with_name(f"{file.name}.ots").write_bytes(made)
    except MalformedBitcoin as error:
        raise click.ClickException(f"{receipt}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    click.echo(f"{file} and {file}.ots: `ots info` shows what leads from one to the block.")


@click.command("txoutproof")
@_RECEIPT
@_PROFILE
def txoutproof(receipt: Path, profile: Path) -> None:
    """Print what `verifytxoutproof` takes.

    Hexadecimal, for a node of the chain; of a RECEIPT of the Bitcoin family.
    """
    _, proof, _ = _judged(receipt, profile)
    click.echo(txout_proof(proof).hex())


def _judged(receipt: Path, profile: Path) -> tuple[Receipt, BitcoinProof, Rules]:
    try:
        read, trusted = read_receipt(receipt.read_bytes()), read_profile(profile.read_bytes())
        judge(read, commitment_of(read.checkpoint.encode()), trusted, now_us=now_us())
        rules = _rules(trusted)
    except AnchorRefused as error:
        raise click.ClickException(f"{receipt}: refused ({error.reason}): {escape(str(error))}") from None
    return read, msgspec.json.decode(bytes(read.proof), type=BitcoinProof), rules


def _rules(profile: LedgerProfile) -> Rules:
    rules = rules_of(profile)
    if not isinstance(rules, Rules):
        raise click.ClickException(f"{escape(profile.name)} is no ledger of type bitcoin")
    return rules
