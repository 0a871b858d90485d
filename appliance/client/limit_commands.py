"""`cinnabar limits` and `cinnabar fees`: check files before officers sign them, see what stands, bill, check bills."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.client.options import connection_options
from appliance.client.problems import explained
from appliance.letters.kind import Kind
from appliance.own_statuses import OwnStatuses

if TYPE_CHECKING:
    from appliance.client.synchronous import Client

_WRONG: Final = 1
_NOT_CHECKED: Final = 2

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KINDS = click.option(
    "--kind",
    "kinds",
    type=_FILE,
    multiple=True,
    help="A kind's file; those that ship are known.",
)
_MONTH = click.option("--month", help="Such as 2026-11; this one if left out.")


@click.group("limits")
def limits_group() -> None:
    """Limits of letters: how much they may come to, warnings, and what stopped."""


@limits_group.command("check")
@click.argument("file", type=_FILE)
@click.option("--language", type=click.Choice(("en", "zh")), default="en")
@_KINDS
def check_command(file: Path, language: str, kinds: tuple[Path, ...]) -> None:
    """Whether a file of limits, or a tariff, is sound and goes with the kinds; and what it says, in words."""
    from appliance.letter_limits import LimitsRefused  # noqa: PLC0415 - only a command that runs needs it
    from appliance.letter_limits.against import against_kinds  # noqa: PLC0415
    from appliance.letter_limits.files import digest  # noqa: PLC0415
    from appliance.letter_limits.sound import read_sound_terms  # noqa: PLC0415
    from appliance.letter_limits.words import describe  # noqa: PLC0415

    text = file.read_bytes()
    try:
        found = read_sound_terms(text)
        against_kinds(found, {kind.id: kind for kind in _kinds(kinds).values()})
    except LimitsRefused as error:
        raise click.ClickException(f"{file}: {error}") from None
    for line in describe(found, "zh" if language == "zh" else "en"):
        click.echo(line)
    click.echo(f"{file}: sound  version {found.version}  {digest(text)}")


@limits_group.command("show")
@connection_options
def show_command(client: Client) -> None:
    """What stands under the limits in force."""
    found = client.limits()
    click.echo(f"Limits, version {found.version}" if found.version else "No limits are set.")
    for one in found.counters:
        window = f" {one.window}" if one.window else ""
        most = f"{one.most} {one.currency}".strip() if one.of is None else f"{one.most}% of {one.of}"
        click.echo(f"{one.counter}{window}: at most {most}")
        for use in one.uses:
            share = f"  {use.share}%" if use.share is not None else ""
            click.echo(f"  {use.used} {one.currency}{share}  {use.whom}".rstrip())
    for kind in found.stopped:
        click.echo(f"STOPPED {kind.kind} since {kind.since}: {kind.reason}")


@limits_group.command("warnings")
@connection_options
def warnings_command(client: Client) -> None:
    """The newest warnings and stops."""
    from appliance.letter_limits.subjects import tally_of  # noqa: PLC0415 - only a command that runs needs it

    for one in client.warnings().warnings:
        tally = tally_of(one.subject)
        if tally is None:
            click.echo(f"{one.at}  {one.what}  {one.subject}  {one.threshold / 100:g}%  {one.used} of {one.most}")
            continue
        about = f"{tally.counter} {tally.window}".rstrip()
        share = f"{one.threshold / 100:g}%  {tally.shown(one.used)} of {tally.shown(one.most)}"
        click.echo(f"{one.at}  {one.what}  {about}  {share}  {one.whom}".rstrip())


@click.group("fees")
def fees_group() -> None:
    """Fees: what events cost, bills, and bills held to the records."""


@fees_group.command("show")
@_MONTH
@connection_options
def fees_command(client: Client, month: str | None) -> None:
    """What costs something and stands in no bill yet."""
    bill = client.fees(month)
    for line in bill.lines:
        click.echo(
            f"{line.title}: {line.count} x, {line.fee} {bill.currency}  {line.application}  {line.whom}".rstrip()
        )
        if line.party:
            click.echo(f"  party {line.party}")
    click.echo(f"{bill.month}: {bill.count} events, {bill.total} {bill.currency}".rstrip())


@fees_group.command("bill")
@click.argument("month")
@click.argument("number")
@click.option("--payer", required=True, help="Name of whoever pays.")
@click.option("--payer-id", required=True, help="Its credit code, or another id.")
@click.option("--payee", required=True, help="Name of whoever is paid: your institution.")
@click.option("--payee-id", required=True, help="Its credit code, or another id.")
@click.option("--party", help="Only what was metered for this one, as `cinnabar fees show` tells.")
@connection_options
def bill_command(
    client: Client, month: str, number: str, payer: str, payer_id: str, payee: str, payee_id: str, party: str | None
) -> None:
    """Close the bill of MONTH under NUMBER as a sealed letter."""
    owed_to = {"name": payee, "id": payee_id}
    closed = client.close_bill(month, number, {"name": payer, "id": payer_id}, payee=owed_to, party=party)
    click.echo(f"{closed.happened.letter}  {closed.state}")


class _NotChecked(click.ClickException):
    exit_code = _NOT_CHECKED


class _CheckCommand(OwnStatuses):
    """Its exit statuses 0 to 2 are answers: what keeps it from one, such as a box that is not up, is no wrong bill."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with explained(_NOT_CHECKED):
                return super().invoke(ctx)
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise _NotChecked(error.format_message()) from None


@fees_group.command("check", cls=_CheckCommand)
@click.argument("month")
@_KINDS
@connection_options
def check_bills_command(client: Client, month: str, kinds: tuple[Path, ...]) -> None:
    """Reckon all bills of MONTH again from the letters' sealed events.

    Exit status: 0 all hold, 1 a bill is wrong, 2 not all could be checked, as where the box does not answer, 64 when
    the command was called wrongly or a kind's file is none.
    """
    from appliance.client.fee_check import check_month, describe  # noqa: PLC0415 - only a command that runs needs it

    found = check_month(client, month, _kinds(kinds))
    for line in describe(found):
        click.echo(line)
    if found.unknown:
        click.echo(f"{found.unknown} letters are of kinds that are not at hand (--kind): nothing is said of them")
    if found.wrong:
        click.echo("the bills charge what the records do not hold", err=True)
        raise click.exceptions.Exit(_WRONG)
    click.echo(
        f"{month}: {found.lines} lines hold against {found.events} events; not checked: {len(found.not_checked)}"
    )
    if found.not_checked:
        raise click.exceptions.Exit(_NOT_CHECKED)


def _kinds(files: tuple[Path, ...]) -> dict[str, Kind]:
    """By digest: those that ship, and those given."""
    from appliance.letters.check import read_sound_kind  # noqa: PLC0415 - only a command that runs needs it
    from appliance.letters.errors import KindRefused  # noqa: PLC0415
    from appliance.letters.shipped import shipped  # noqa: PLC0415

    try:
        loaded = [read_sound_kind(text) for text in (*shipped().values(), *(path.read_bytes() for path in files))]
    except KindRefused as error:
        raise click.BadParameter(str(error), param_hint="--kind") from None
    return {one.digest: one.kind for one in loaded}
