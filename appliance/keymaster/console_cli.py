"""`cinnabar console`: the box's own screen, for the person in front of it. Without a command it stays open."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.box.options import connected, home_option
from appliance.ceremonies import Constitution, decode, digest_words, read_proposal
from appliance.ceremonies.explain import LANGUAGES, explain
from appliance.keymaster.console_client import ConsoleClient
from appliance.quoting import escape

_SCOPE_FORM = "tenant/NAME:person,person"


def connect(home: Path) -> AbstractContextManager[ConsoleClient]:
    return connected(ConsoleClient, home, lambda one: one.console_socket)


def _listing(name: str, read: Callable[[ConsoleClient], Any], lines: Callable[[Any], Iterable[str]], told: str) -> None:
    """A command that shows what the keymaster says, for people or as it is."""

    @console.command(name, help=told)
    @click.option("--json", "as_json", is_flag=True)
    @click.pass_obj
    def listing(home: Path, as_json: bool) -> None:
        with connect(home) as client:
            found = read(client)
        for line in [json.dumps(found, indent=2, ensure_ascii=False)] if as_json else lines(found):
            click.echo(line)


@click.group(invoke_without_command=True)
@home_option("The box's home; the box must be running.", "home")
@click.pass_context
def console(context: click.Context, home: Path) -> None:
    """The box's own console: compare words, confirm officers, found the constitution, answer ceremonies."""
    context.obj = home
    if context.invoked_subcommand is None:
        from appliance.keymaster.console_screen import Screen  # noqa: PLC0415 - rich only for people

        with connect(home) as client:
            Screen(client).run()


@console.command("invite")
@click.argument("person")
@click.argument("name")
@click.pass_obj
def invite(home: Path, person: str, name: str) -> None:
    """Invite a person to make a passkey for approvals. PERSON: her id; NAME: as people call her."""
    with connect(home) as client:
        code = client.invite(person, name)
        click.echo(client.enrolment_links() + code)


@console.command("code")
@click.argument("candidate")
@click.pass_obj
def code(home: Path, candidate: str) -> None:
    """Show a one-time code for a candidate whose words you have compared with the ones on her page."""
    with connect(home) as client:
        click.echo(client.code(candidate))


@console.command("card")
@click.argument("person")
@click.argument("name")
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def card(home: Path, person: str, name: str, certificate: Path) -> None:
    """Confirm a candidate who approves with a card. CERTIFICATE: the card's, PEM or DER.

    The officer reads its SHA-256 from her own machine, and you type the first 16 digits of what she says."""
    content = certificate.read_bytes()
    if content.startswith(b"-----"):
        content = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    typed = click.prompt("The first 16 digits of the SHA-256 that the officer reads out")
    with connect(home) as client:
        made = client.card(person, name, content, typed)
    click.echo(f"{made['person']} is confirmed with this card.")


@console.command("discard")
@click.argument("candidate")
@click.pass_obj
def discard(home: Path, candidate: str) -> None:
    """Forget a candidate, for example one whose words did not agree."""
    with connect(home) as client:
        client.discard(candidate)


@console.command("found")
@click.option("--threshold", type=click.IntRange(1, 100), required=True, help="Approvals that each scope needs.")
@click.option("--scope", "scopes", multiple=True, help=f"Other officers for a scope: {_SCOPE_FORM}. Repeatable.")
@click.option("--rp-id", help="Outside rehearsal: the relying party, approve.NAME.")
@click.option("--origin", "origins", multiple=True, help="Outside rehearsal: an origin of the approval pages.")
@click.option("--model", "models", multiple=True, help="AAGUID of a permitted authenticator model. Repeatable.")
@click.pass_obj
def found(
    home: Path, threshold: int, scopes: tuple[str, ...], rp_id: str | None, origins: tuple[str, ...],
    models: tuple[str, ...],
) -> None:  # fmt: skip
    """Make the first constitution of the confirmed candidates, once its first four words are typed back."""
    rules = {"rp_id": rp_id, "origins": list(origins), "models": list(models)} if rp_id is not None else None
    with connect(home) as client:
        made = client.prepare_founding(threshold, parse_scopes(scopes), rules)
        for line in founding_lines(made):
            click.echo(line)
        typed = click.prompt("The first four English words", prompt_suffix=": ")
        version = client.found(made["digest"], typed)
    click.echo(f"The constitution is in force, version {version}.")


@console.command("show")
@click.argument("digest")
@click.option("--language", type=click.Choice(list(LANGUAGES)), default=LANGUAGES[0], show_default=True)
@click.pass_obj
def show(home: Path, digest: str, language: str) -> None:
    """Show a proposal: the words of its digest, and in plain text what it would do."""
    with connect(home) as client:
        row = client.proposal(digest)
        law = client.constitution()
    for line in proposal_lines(row, law, language):
        click.echo(line)


@console.command("unlock")
@click.pass_obj
def unlock(home: Path) -> None:
    """Open the PINs that a started box waits for, with one officer's passphrase after another."""
    from appliance.box.control import ControlClient  # noqa: PLC0415 - the supervisor's, not the keymaster's

    with connected(ControlClient, home, lambda one: one.supervisor_socket) as supervisor:
        left = supervisor.open_pins(click.prompt("Passphrase", hide_input=sys.stdin.isatty()))
        while left:
            click.echo(f"Still locked: {', '.join(left)}")
            left = supervisor.open_pins(click.prompt("Passphrase", hide_input=sys.stdin.isatty()))
    click.echo("Every PIN is open; the box goes on starting.")


@console.command("answer")
@click.argument("number", type=int)
@click.pass_obj
def answer(home: Path, number: int) -> None:
    """Answer what a ceremony asks, or see what it shows. A secret is read without an echo, or from standard input."""
    with connect(home) as client:
        row = next((one for one in client.pending() if one["number"] == number), None)
        if row is None:
            raise click.ClickException("nothing of that number is asked")
        click.echo(escape(row["prompt"]))
        if row["kind"] == "show":
            click.echo(client.text(number))
            click.prompt("Type `done` when you have taken it down", type=click.Choice(["done"]), show_choices=False)
            client.answer(number, "")
        else:
            hidden = bool(row["secret"]) and sys.stdin.isatty()
            client.answer(number, click.prompt("Answer", hide_input=hidden))


@console.command("lock")
@click.confirmation_option(prompt="Nothing will be signed until officers unlock the box by a ceremony. Lock it?")
@click.pass_obj
def lock(home: Path) -> None:
    """Emergency: the box stops signing at once, and stays so over a restart."""
    with connect(home) as client:
        client.lock()
    click.echo("The box is locked.")


@console.command("stop")
@click.confirmation_option(prompt="Shut the box down?")
@click.pass_obj
def stop(home: Path) -> None:
    """Emergency: shut the box down."""
    with connect(home) as client:
        client.stop()
    click.echo("The box is shutting down.")


def parse_scopes(values: tuple[str, ...]) -> dict[str, list[str]]:
    """`tenant/demo:ann,bo` texts as a table. Raises click.BadParameter."""
    scopes: dict[str, list[str]] = {}
    for value in values:
        scope, colon, persons = value.partition(":")
        if not colon or not persons or scope in scopes:
            raise click.BadParameter(f"{value!r}: {_SCOPE_FORM} is meant, each scope once", param_hint="--scope")
        scopes[scope] = persons.split(",")
    return scopes


def status_lines(shown: dict[str, Any]) -> list[str]:
    """The keymaster's status for people."""
    version = shown["constitution"]["version"]
    lines = [f"box            {shown['name']} ({shown['box']}){', rehearsal' if shown['rehearsal'] else ''}"]
    if shown["refused"]:
        lines.append(f"constitution   REFUSED: {shown['refused']}")
    elif version is None:
        lines.append("constitution   none yet: invite officers, confirm them, then found it")
    else:
        lines.append(f"constitution   version {version}")
        lines.append(f"               {digest_words(shown['constitution']['digest'])}")
    lines.append(f"recorder       {'connected' if shown['recorder'] else 'does not answer'}")
    lines.append(f"proposals      {shown['open']} open, {len(shown['executing'])} being executed")
    if shown["questions"]:
        lines.append(f"asked here     {shown['questions']}: cinnabar console pending")
    if shown["unrecorded"]:
        lines.append(f"not in the log {shown['unrecorded']} events wait for the recorder")
    return lines


def founding_lines(made: dict[str, Any]) -> list[str]:
    """A first constitution for people."""
    document = made["constitution"]
    lines = ["The first constitution would be:"]
    for person in document["persons"]:
        lines.append(f"  {person['id']:<16}{escape(person['name'])}, {len(person['credentials'])} credential(s)")
    for scope in document["scopes"]:
        officers = ", ".join(scope["officers"])
        lines.append(f"  {scope['name']:<16}{scope['threshold']} approvals beside the requester, of {officers}")
    return [
        *lines,
        f"  approvals from  {', '.join(document['rules']['origins'])}",
        f"Fingerprint {made['digest']}",
        f"  {made['words']}",
        f"  {made['chinese']}",
    ]


def proposal_lines(row: dict[str, Any], law: bytes, language: str) -> list[str]:
    """A proposal for people, made anew from its bytes: words, plain text, who has said what."""
    proposal = read_proposal(row["proposal"])
    current = decode(law, Constitution) if law else None
    lines = [
        row["digest"],
        f"  {digest_words(row['digest'])}",
        f"  {digest_words(row['digest'], 'chinese_simplified')}",
        "",
        *explain(proposal, language, current).text().splitlines(),  # type: ignore[arg-type]
        "",
        f"state {row['state']}" + (f": {row['error']}" if row["error"] else ""),
    ]
    for part in (row["tally"] or {}).get("scopes", []):
        said = ", ".join(part["approved"]) or "nobody yet"
        lines.append(f"  {part['scope']}: {len(part['approved'])} of {part['threshold']} have approved ({said})")
    lines += [f"  step {step['step'] + 1} {step['action']}: {step['state']}" for step in row["steps"]]
    return lines


def _candidate_lines(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "No candidates. Next: cinnabar console invite PERSON NAME"
    for one in found:
        yield f"{one['id']}  {one['person']}  {escape(one['name'])}  {one['state']}"
        yield f"  {one['words']}"
        yield f"  {digest_words(one['fingerprint'], 'chinese_simplified')}"


def _proposals_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['digest']}  {row['state']:<9}  {row['requester']}  {escape(row['title'])}" for row in rows]


def _pending_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['number']}  {row['kind']}  {escape(row['prompt'])}" for row in rows]


_listing("status", ConsoleClient.status, status_lines, "How the keymaster stands.")
_listing("candidates", ConsoleClient.candidates, _candidate_lines, "List candidates with the words of their keys.")
_listing("proposals", ConsoleClient.proposals, _proposals_lines, "List proposals, the newest first.")
_listing("pending", ConsoleClient.pending, _pending_lines, "What running ceremonies ask for here.")
