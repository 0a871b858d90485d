"""`cinnabar ceremony`: hold a ceremony without a browser. At the box, over the desk, which believes signatures only."""

from __future__ import annotations

import datetime
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from appliance.box.options import connected, home_option
from appliance.ceremonies import Constitution, DocumentRefused, decode, digest, digest_words, encode, read_proposal
from appliance.ceremonies.card_statements import card_statement
from appliance.ceremonies.explain import explain, explain_action
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.proposal import read_digest
from appliance.ceremonies.statements import Verb
from appliance.keymaster.client import DeskClient
from appliance.quoting import escape

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_REHEARSED = {
    "done": "done, on a throwaway token",
    "failed": "FAILED on a throwaway token",
    "not-in-a-token": "not tried: it does nothing in a token",
}
_ENDS = frozenset({"executed", "failed", "rejected", "expired"})


def _desk(home: Path) -> AbstractContextManager[DeskClient]:
    return connected(DeskClient, home, lambda one: one.desk_socket)


class _DigestType(click.ParamType[str]):
    name = "DIGEST"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return read_digest(str(value))
        except DocumentRefused:
            self.fail("a proposal's SHA-256 in hexadecimal, or its 24 words in quotes, is meant", param, ctx)


@click.group()
@home_option("The box's home; the box must be running.", "home")
@click.pass_context
def ceremony(context: click.Context, home: Path) -> None:
    """Hold a ceremony without a browser: draft, submit, state with a card, execute, watch, take the record bundle."""
    context.obj = home


@ceremony.command("list")
@click.pass_obj
def list_(home: Path) -> None:
    """List ceremonies, the newest first."""
    with _desk(home) as desk:
        for row in desk.proposals():
            click.echo(f"{row['digest']}  {row['state']:<9}  {row['requester']}  {escape(row['title'])}")


@ceremony.command()
@click.argument("actions", type=_FILE)
@click.option("--requester", required=True, help="Your id in the constitution.")
@click.option("--title", required=True)
@click.option("--reason", required=True)
@click.option("--hours", type=click.IntRange(1, 24 * 365), default=24, show_default=True, help="Until it expires.")
@click.option("--output", type=_OUTPUT, required=True, help="Where the proposal goes.")
@click.pass_obj
def draft(home: Path, actions: Path, requester: str, title: str, reason: str, hours: int, output: Path) -> None:
    """Make a proposal of ACTIONS, a JSON list, as the box would take it now. Nothing is kept in the box."""
    with _desk(home) as desk:
        text = desk.draft(requester, title, reason, actions.read_bytes(), hours)
        law = _law(desk)
    output.write_bytes(text)
    _say(text, law)


@ceremony.command()
@click.argument("tenant")
@click.option("--output", type=_OUTPUT, required=True, help="Where the actions go, a JSON list for `draft`.")
@click.pass_obj
def policies(home: Path, tenant: str, output: Path) -> None:
    """Write the approval policies that the kinds of TENANT ask for and that nobody has set, to begin with: one of its
    officers up to an amount, two above it. Change them as you like before you draft."""
    with _desk(home) as desk:
        found = desk.missing_policies(tenant)
    if not found:
        click.echo("no policy is missing")
        return
    output.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    for one in found:
        click.echo(f"{one['policy']}  {', '.join(sorted({tier['currency'] for tier in one['tiers']}))}")


@ceremony.command()
@click.argument("proposal", type=_FILE)
@click.pass_obj
def rehearse(home: Path, proposal: Path) -> None:
    """Try PROPOSAL, a file that `draft` made, on throwaway tokens, and show what would happen.

    Nothing is kept, and no key of the box is used. Exits with 1 where a step would not be done."""
    text = proposal.read_bytes()
    with _desk(home) as desk:
        steps, law = desk.rehearse(text), _law(desk)
    actions, good = read_proposal(text).actions, True
    for step in steps:
        click.echo(f"{step['step'] + 1}. {explain_action(actions[step['step']], 'en', law).sentence}")
        click.echo(f"   {_REHEARSED[step['outcome']]}" + (f": {escape(step['error'])}" if step["error"] else ""))
        if step["refused"]:
            click.echo(f"   the box would refuse it as it stands now: {escape(step['refused'])}")
        if step["differs"]:
            click.echo(f"   other on the box: {', '.join(step['differs'])}")
        good = good and step["outcome"] != "failed" and not step["refused"]
    if len(steps) < len(actions):
        click.echo(f"The steps after it were not tried: {len(actions) - len(steps)}")
    sys.exit(0 if good else 1)


@ceremony.command()
@click.argument("proposal", type=_FILE)
@click.pass_obj
def submit(home: Path, proposal: Path) -> None:
    """Hand PROPOSAL in; prints its digest. It then waits for its requester's signature."""
    with _desk(home) as desk:
        click.echo(desk.submit(proposal.read_bytes()))


@ceremony.command()
@click.argument("proposal", type=_DigestType(), metavar="DIGEST")
@click.option("--output", type=_OUTPUT, help="Where the proposal itself goes, to be read elsewhere.")
@click.pass_obj
def show(home: Path, proposal: str, output: Path | None) -> None:
    """Show a ceremony in plain words, who has said what, and what is missing. DIGEST: of the proposal, or its words."""
    with _desk(home) as desk:
        row, law = desk.proposal(proposal), _law(desk)
    if output is not None:
        output.write_bytes(row["proposal"])
    _say(row["proposal"], law)
    for line in standing(row):
        click.echo(line)


@ceremony.command()
@click.argument("proposal", type=_DigestType(), metavar="DIGEST")
@click.option("--verb", type=click.Choice(get_args(Verb)), help="With --officer and --signature.")
@click.option("--officer", help="Your id in the constitution.")
@click.option("--signature", type=_FILE, help="Your card's detached CMS over the challenge, DER.")
@click.option("--statement", type=_FILE, help="A statement made elsewhere, instead.")
@click.pass_obj
def state(
    home: Path, proposal: str, verb: Verb | None, officer: str | None, signature: Path | None, statement: Path | None
) -> None:
    """Hand in what an officer says about a ceremony, signed with her card (docs/approvals.md). DIGEST: or its words."""
    with _desk(home) as desk:
        if statement is not None:
            said = statement.read_bytes()
        elif verb is not None and officer is not None and signature is not None:
            text, now = desk.proposal(proposal)["proposal"], datetime.datetime.now(datetime.UTC)
            law = _law(desk)
            if law is None:
                raise click.ClickException("The box has no constitution yet.")
            said = encode(card_statement(text, law, verb, officer, signature.read_bytes(), now))
        else:
            raise click.UsageError("Give --statement, or --verb, --officer and --signature.")
        row = desk.state_(said)
    for line in standing(row):
        click.echo(line)


@ceremony.command()
@click.argument("proposal", type=_DigestType(), metavar="DIGEST")
@click.pass_obj
def execute(home: Path, proposal: str) -> None:
    """Execute an approved ceremony and watch it to its end; exits with 1 where it fails."""
    with _desk(home) as desk:
        desk.execute(proposal)
    _watch(home, proposal)


@ceremony.command()
@click.argument("proposal", type=_DigestType(), metavar="DIGEST")
@click.pass_obj
def watch(home: Path, proposal: str) -> None:
    """Follow a ceremony to its end, step by step; exits with 1 where it is not executed."""
    _watch(home, proposal)


@ceremony.command()
@click.argument("proposal", type=_DigestType(), metavar="DIGEST")
@click.option("--output", type=_OUTPUT, required=True)
@click.pass_obj
def bundle(home: Path, proposal: str, output: Path) -> None:
    """Take the record bundle of a ceremony that has ended: all that an auditor needs, checked by `cinnabar verify`."""
    with _desk(home) as desk:
        output.write_bytes(desk.bundle(proposal))
    click.echo(f"{output}: check it with")
    click.echo(f'  cinnabar verify {output} --trust TRUST-DIRECTORY --constitution "THE 24 WORDS OF THE FOUNDING"')


@ceremony.command()
@click.option("--output", type=_OUTPUT, required=True)
@click.pass_obj
def constitution(home: Path, output: Path) -> None:
    """Take the constitution in force, which `cinnabar proposal` checks proposals and statements by."""
    with _desk(home) as desk:
        text = desk.constitution()
    if not text:
        raise click.ClickException("The box has no constitution yet.")
    output.write_bytes(text)
    click.echo(f"{digest(text)}\n{digest_words(digest(text))}")


def _law(desk: DeskClient) -> Constitution | None:
    text = desk.constitution()
    return decode(text, Constitution) if text else None


def _say(text: bytes, law: Constitution | None) -> None:
    name = digest(text)
    proposal = read_proposal(text)
    for language in LANGUAGES:
        click.echo(explain(proposal, language, law).text())
        click.echo(digest_words(name, "english" if language == "en" else "chinese_simplified") + "\n")
    click.echo(f"SHA-256 {name}")


def standing(row: dict[str, Any]) -> list[str]:
    """How a ceremony stands, and what comes next."""
    lines = [f"State: {row['state']}" + (f" ({escape(row['error'])})" if row.get("error") else "")]
    tallied = row.get("tally")
    if row["state"] == "failed" and not row["takes_away"]:
        lines.append(f"Next: cinnabar ceremony execute {row['digest']}, or whoever approved it withdraws it: reject")
    if tallied is None or row["state"] in _ENDS:
        return lines
    for part in tallied["scopes"]:
        approved = ", ".join(part["approved"]) or "nobody"
        lines.append(f"  {part['scope']}: approved by {approved}, {part['threshold']} needed beside the requester")
    if tallied["outcome"] == "unsigned":
        lines.append(f"Next: {row['requester']} signs the request.")
    elif tallied["must_accept"]:
        lines.append(f"Next: {', '.join(tallied['must_accept'])} must accept the office.")
    elif row["state"] == "approved":
        lines.append(f"Next: cinnabar ceremony execute {row['digest']}")
    elif row["state"] == "open":
        lines += [line for part in tallied["scopes"] if (line := _missing(part))]
    for one in row.get("waiting", []):
        lines.append(waits(one))
    return lines


def _missing(part: dict[str, Any]) -> str:
    """Which approvals a scope still needs, and whose they may be."""
    number = part["threshold"] - len(part["approved"])
    if number <= 0:
        return ""
    said = "one more approval" if number == 1 else f"{number} more approvals"
    return f"Next: {said} of {part['scope']}, by {' or '.join(part['may_still'])}."


def step_lines(step: dict[str, Any]) -> list[str]:
    """How a step stands, and what it leaves for others to do."""
    why = f": {escape(step['error'])}" if step["error"] else ""
    lines = [f"{step['step'] + 1}. {step['action']}: {step['state']}{why}"]
    facts = step["facts"]
    if facts.get("missing_policies"):
        lines.append(
            f"   Nobody has set these approval policies, for which it asks: {', '.join(facts['missing_policies'])}"
        )
        lines.append(f"   To begin with: cinnabar ceremony policies {facts['tenant']} --output actions.json")
    return lines


def waits(question: dict[str, Any]) -> str:
    """What a step waits for at the console."""
    number = question["number"]
    return f"It waits at the console: {escape(question['prompt'])} (there: cinnabar console answer {number})"


def _watch(home: Path, proposal: str) -> None:
    told: set[tuple[int, str]] = set()
    asked: set[int] = set()
    while True:
        with _desk(home) as desk:
            row = desk.proposal(proposal)
        for step in row["steps"]:
            key = (step["step"], step["state"])
            if key not in told:
                told.add(key)
                for line in step_lines(step):
                    click.echo(line)
        for one in row["waiting"]:
            if one["number"] not in asked:
                asked.add(one["number"])
                click.echo(waits(one))
        if row["state"] in _ENDS:
            break
        time.sleep(0.3)
    for line in standing(row):
        click.echo(line)
    sys.exit(0 if row["state"] == "executed" else 1)
