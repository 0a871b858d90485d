"""`cinnabar`: one command line for everything a person does by hand.

Commands are found through the entry points "cinnabar.commands" and loaded when they are called for, so that listing
them needs none of their parts, and a command whose extra is not installed says which one to install.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

import click

GROUP = "cinnabar.commands"

SHORT_HELP = {
    "adapter": "Check adapters of filings before officers sign them.",
    "anchor": "Heads of the box's log on outside ledgers: list, show, ask for one, check receipts.",
    "approve-letter": "Read what an application wants approved, and sign it with a card.",
    "audit": "Read, search and export the logs of a box.",
    "backup": "Back a box up into one encrypted file.",
    "bulk-seal": "Seal many files, each by itself.",
    "bulk-stamp": "Stamp many files with one token; an evidence record for each.",
    "ceremony": "Hold a ceremony without a browser.",
    "console": "The box's own console: confirm officers, found the constitution, answer ceremonies.",
    "counts": "Show signatures made, recorded and dropped.",
    "enrol": "Get an application's first certificate, for a one-time secret.",
    "evidence": "Renew evidence before its algorithms end; add anchors that became final.",
    "fees": "Show what events cost, make bills, and hold bills to the records.",
    "gateway": "Send signed and encrypted messages as a partner of a tenant.",
    "health": "Show how the box is.",
    "intake": "Send files of rows: each row begins a letter, or is an event of one.",
    "job": "Show a job and wait for its end.",
    "kind": "Check kinds of letters, show their life cycle, compare two.",
    "letter": "Begin letters, have events happen to them, show them, fetch their evidence.",
    "limits": "Check and show limits of letters, and what they warned of.",
    "log": "Check logs, resume a restored box, watch a log from outside.",
    "log-fetch": "Fetch a log: checkpoint, tiles and entries.",
    "management": "Officers' pages: one-time links for their first sign-in.",
    "pins": "How each token's PIN is kept: in a file, sealed to the machine, or under officers' passphrases.",
    "proposal": "Read a proposal without any page, check who has signed it, sign it with a card.",
    "provision": "Make a rehearsal box on SoftHSM.",
    "record": "Fetch a record with its proof.",
    "register": "Show and change who may call the box.",
    "renew": "Renew an application's certificate by itself.",
    "restore": "Make a home from a backup.",
    "run": "Run a box in the foreground.",
    "seal": "Seal files.",
    "seal-pdf": "Seal a PDF, seen on a page or not.",
    "stamp": "Stamp files.",
    "tamper": "Stop all signing and drop secrets, because of a tamper signal.",
    "veil": "Veil values for later opening by a code: encrypt, open, share, prove.",
    "verify": "Verify letters, seals, stamps, evidence records, log proofs, exports and ceremonies offline.",
    "witness": "Run a witness of transparency logs: make it, look at it, decide.",
}
"""What the list shows without loading a command; a test holds it against the entry points."""

EXTRAS = {"witness": "witness"}
"""The extra that a command needs, where that is not the whole appliance."""


class MissingPart(click.ClickException):
    """A command needs packages that this installation was made without."""


class LazyGroup(click.Group):
    """A group whose commands stand in entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted({*entry_points(group=GROUP).names, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        found = next(iter(entry_points(group=GROUP, name=cmd_name)), None)
        return None if found is None else load(found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        rows = [(name, SHORT_HELP.get(name, "")) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def load(found: EntryPoint) -> click.Command:
    """The command of an entry point. Raises MissingPart where what it imports is not installed."""
    try:
        command = found.load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"appliance", "hsm", "provisioning", "mgmt_service"}:
            raise  # a fault of this distribution, not of its installation
        raise MissingPart(
            f"`cinnabar {found.name}` needs {missing}, which is not installed: "
            f"pip install 'cinnabar[{EXTRAS.get(found.name, 'appliance')}]'"
        ) from None
    if not isinstance(command, click.Command):
        raise MissingPart(f"the entry point {found.name} is not a command")
    return command


def _version() -> str:
    try:
        return version("cinnabar")
    except PackageNotFoundError:
        return "not installed"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="cinnabar")
def group() -> None:
    """Cinnabar: a signing appliance, its client and its offline verifier."""


def main() -> None:
    """The console script."""
    from appliance.client.problems import explained  # noqa: PLC0415 - light, but not needed to list commands

    with explained():
        sys.exit(group(prog_name="cinnabar"))
