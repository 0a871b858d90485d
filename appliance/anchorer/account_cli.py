"""`cinnabar anchor account`: the account by which a box writes to a chain."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from appliance.anchorer.desk_client import DeskClient
from appliance.anchorer.evm.account import account_lines
from appliance.anchors.bitcoin.address import address_of
from appliance.anchors.bitcoin.scripts import witness_program
from appliance.box.home import Home
from appliance.box.ledgers import BitcoinLedgerSettings, EvmLedgerSettings, FabricLedgerSettings
from appliance.box.options import home_option
from appliance.box.settings import read_settings
from appliance.errors import CinnabarError, Unavailable
from appliance.quoting import escape, quote


@click.command("account")
@click.argument("ledger")
@home_option("The box's home.")
def account(ledger: str, root: Path) -> None:
    """Show the box's account on LEDGER.

    Its address; on EVM chains also what each node says that it has, and the chain's number and block 0 for the profile.
    The box must run, since its log follower alone opens the key's token; the profile need not be there yet.
    """
    home = Home(root.resolve())
    try:
        listed = {one.name: one for one in read_settings(home.settings).ledgers}
    except (OSError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"there is no box in {root} that can be read: {error}") from None
    settings = listed.get(ledger)
    if settings is None:
        names = ", ".join(listed) or "none"
        raise click.ClickException(f"there is no ledger {quote(ledger)}; box.json lists {names}")
    if isinstance(settings, FabricLedgerSettings):
        raise click.ClickException(
            f"{ledger} knows its members by certificates: `cinnabar anchor request` asks for one"
        )
    if not isinstance(settings, BitcoinLedgerSettings | EvmLedgerSettings):
        raise click.ClickException(f"{ledger} needs no account: it is a ledger of time-stamps")
    try:
        key = asyncio.run(DeskClient(home.ledger_desk_socket).account(ledger))
        if isinstance(settings, EvmLedgerSettings):
            lines = asyncio.run(account_lines(settings, home.root, key))
        else:
            lines = [
                f"{ledger}: account {address_of(settings.address_prefix, witness_program(key))}",
                f"Pay it in two or three coins: an anchor costs at most {settings.most_fee} of the smallest unit.",
            ]
    except (CinnabarError, OSError, ValueError) as error:
        title = f"{error.title}: " if isinstance(error, Unavailable) else ""
        raise click.ClickException(f"{title}{error}. Is the box in {root} running, and are you root on it?") from error
    for line in lines:
        click.echo(escape(line, None))
