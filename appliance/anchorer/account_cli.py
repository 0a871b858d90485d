"""`cinnabar anchor account`: the account by which a box writes to a chain."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from appliance.anchorer.desk_client import DeskClient
from appliance.anchorer.evm.account import account_lines
from appliance.anchors.bitcoin.address import address_of
from appliance.anchors.bitcoin.scripts import witness_program
from appliance.box.home import Home
from appliance.box.ledgers import BitcoinLedgerSettings, EvmLedgerSettings, FabricLedgerSettings
from appliance.box.options import home_option
from appliance.box.settings import read_settings
from appliance.errors import CinnabarError
from appliance.quoting import escape


@click.command("account")
@click.argument("ledger")
@home_option("The box's home.")
def account(ledger: str, root: Path) -> None:
    """The account by which the box writes to LEDGER: its address, and on EVM chains what it has and may need. The log
    follower must run, since it alone opens the key's token; the profile need not be there yet."""
    home = Home(root.resolve())
    try:
        settings = next((one for one in read_settings(home.settings).ledgers if one.name == ledger), None)
        if isinstance(settings, FabricLedgerSettings):
            raise click.ClickException(
                f"{ledger} knows its members by certificates: `cinnabar anchor request` asks for one"
            )
        if not isinstance(settings, BitcoinLedgerSettings | EvmLedgerSettings):
            raise click.ClickException(f"box.json lists no ledger {escape(ledger)} that has an account")
        key = asyncio.run(DeskClient(home.ledger_desk_socket).account(ledger))
        if isinstance(settings, EvmLedgerSettings):
            lines = asyncio.run(account_lines(settings, home.root, key))
        else:
            lines = [f"{ledger}: account {address_of(settings.address_prefix, witness_program(key))}"]
    except (CinnabarError, OSError, ValueError) as error:
        raise click.ClickException(f"{error}. Is the box in {root} running, and are you root on it?") from error
    for line in lines:
        click.echo(escape(line, None))
