"""`cinnabar console`: the box's own screen, for the person in front of it. Without a command it stays open."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.box.options import connected, home_option
from appliance.ceremonies import Constitution, decode, digest_words, read_proposal
from appliance.ceremonies.constitution import LONGEST_HOURS
from appliance.ceremonies.explain import explain
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.certificate_reading import read_certificate
from appliance.keymaster.console.client import ConsoleClient
from appliance.keymaster.officers.candidates import CODE_S
from appliance.quoting import escape

_SCOPE_FORM = "tenant/NAME:person,person"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OTHER_SCREEN, _FIRST_SCREEN = "\x1b[?1049h\x1b[H", "\x1b[2J\x1b[?1049l"
"""Of terminals since xterm: the alternate screen, which has no history."""


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
        from appliance.keymaster.console.screen import Screen  # noqa: PLC0415 - rich only for people

        with connect(home) as client:
            Screen(client).run()


@console.command("invite")
@click.argument("person")
@click.argument("name")
@click.pass_obj
def invite(home: Path, person: str, name: str) -> None:
    """Invite a person to make a passkey for approvals. PERSON: her id; NAME: as people call her."""
    with connect(home) as client:
        address = client.enrolment_links()
        click.echo(address + client.invite(person, name))


@console.command("code")
@click.argument("candidate")
@click.pass_obj
def code(home: Path, candidate: str) -> None:
    """Show a one-time code for a candidate whose words you have compared with the ones on her page."""
    with connect(home) as client:
        one = next((one for one in client.candidates() if one["id"] == candidate), None)
        code = client.code(candidate)
    click.echo(code)
    # On the other stream: a script that reads the code reads the code alone.
    name = escape(one["name"]) if one is not None else candidate
    minutes = CODE_S // 60
    click.echo(
        f"For {name}, to be typed into the page that showed the words. It is good once, for {minutes} minutes,",
        err=True,
    )
    click.echo("and until the box's keymaster starts again. Another `console code` takes its place.", err=True)


@console.command("card")
@click.argument("person")
@click.argument("name")
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def card(home: Path, person: str, name: str, certificate: Path) -> None:
    """Confirm a candidate who approves with a card. CERTIFICATE: the card's, PEM or DER.

    The officer reads its SHA-256 from her own machine, and you type the first 32 digits of what she says."""
    content = certificate_file(certificate)
    typed = ask("The first 32 digits of the SHA-256 that the officer reads out")
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


@console.command("rules")
@click.option("--model", "models", multiple=True, help="AAGUID of a permitted authenticator model. Repeatable.")
@click.option(
    "--maker", "makers", multiple=True, type=_FILE, help="A maker's attestation root certificate. Repeatable."
)
@click.option("--origin", "origins", multiple=True, help="Of the approval pages; the one they are served under else.")
@click.option(
    "--hours", type=click.IntRange(1, 24 * 30), default=LONGEST_HOURS, show_default=True, help="Of a proposal."
)
@click.pass_obj
def rules(home: Path, models: tuple[str, ...], makers: tuple[Path, ...], origins: tuple[str, ...], hours: int) -> None:
    """Show the rules of approval that hold, or give them before the first enrolment.

    A production box needs models and their makers before anybody can enrol. Later only ceremonies change them."""
    given = models or makers or origins or hours != LONGEST_HOURS
    with connect(home) as client:
        if given:
            roots = [certificate_file(path) for path in makers]
            shown = client.give_rules(list(models), roots, list(origins), hours)
        else:
            shown = client.rules()
    for line in rules_lines(shown["rules"]):
        click.echo(line)
    click.echo(f"Fingerprint {shown['digest']}")
    click.echo(f"  {digest_words(shown['digest'])}")
    click.echo(f"  {digest_words(shown['digest'], 'chinese_simplified')}")
    if given:
        click.echo("They hold from now on, and will stand in the first constitution. Next: console invite PERSON NAME")


@console.command("found")
@click.option("--threshold", type=click.IntRange(1, 100), required=True, help="Approvals that each scope needs.")
@click.option("--scope", "scopes", multiple=True, help=f"Other officers for a scope: {_SCOPE_FORM}. Repeatable.")
@click.pass_obj
def found(home: Path, threshold: int, scopes: tuple[str, ...]) -> None:
    """Make the first constitution of the confirmed candidates, once its first four words are typed back.

    The words stay the same, however often they are shown, until something in the constitution is another one."""
    with connect(home) as client:
        made = client.prepare_founding(threshold, parse_scopes(scopes))
        for line in founding_lines(made):
            click.echo(line)
        typed = ask("The first four English words", prompt_suffix=": ")
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
        left = supervisor.open_pins(ask("Passphrase", hide_input=True))
        while left:
            click.echo(f"Still locked: {', '.join(left)}")
            left = supervisor.open_pins(ask("Passphrase", hide_input=True))
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
        if row["kind"] == "show" and row["shown"]:
            click.echo(
                f"It was shown already, and is not shown again. It waits until {_clock(row['until'])}. If nobody"
            )
            click.echo(f"took it down: cinnabar console give-up {number}. The step fails then, and what is executed")
            click.echo("again shows something new.")
            ask("Type `done` if it was taken down", type=click.Choice(["done"]), show_choices=False)
            client.answer(number, "")
        elif row["kind"] == "show":
            with _shown_alone():
                click.echo(client.text(number))
                ask("Type `done` when you have taken it down", type=click.Choice(["done"]), show_choices=False)
            client.answer(number, "")
        else:
            client.answer(number, ask("Answer", hide_input=bool(row["secret"])))
    click.echo("The ceremony has it.")


@console.command("give-up")
@click.argument("number", type=int)
@click.confirmation_option(prompt="The ceremony's step fails then. It can be executed again. Give it up?")
@click.pass_obj
def give_up(home: Path, number: int) -> None:
    """End what a ceremony asks or shows at once, instead of waiting until its time is over.

    Its step fails, on record. What is executed again asks anew, or shows something new."""
    with connect(home) as client:
        client.give_up(number)
    click.echo("It is given up: the step has failed. An officer of its scope can execute the ceremony again.")


@contextlib.contextmanager
def _shown_alone() -> Iterator[None]:
    """What is shown once comes after a yes, on a screen of its own that leaves nothing behind to scroll back to."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("It is shown once:")
        yield
        return
    click.confirm("It is shown once. Does nobody else see this screen?", abort=True)
    click.echo(_OTHER_SCREEN, nl=False)
    try:
        yield
    finally:
        click.echo(_FIRST_SCREEN, nl=False)


def ask(text: str, *, hide_input: bool = False, **options: Any) -> Any:
    """click.prompt for a person, and for a pipe: what was typed there leaves no line end on the screen, and no echo."""
    typed = click.prompt(text, hide_input=hide_input and sys.stdin.isatty(), **options)
    if not sys.stdin.isatty():
        click.echo()
    return typed


def certificate_file(path: Path) -> bytes:
    """A certificate in a file, PEM or DER, as DER. Raises click.ClickException."""
    content = path.read_bytes()
    try:
        if content.startswith(b"-----"):
            content = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
        read_certificate(content)
        return content
    except (ValueError, x509.InvalidVersion):
        raise click.ClickException(f"{path} is no certificate") from None


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
    if made["differs"]:
        lines.insert(0, "Something is another thing than it was when the words were shown last: these are other words.")
    return [
        *lines,
        *(f"  {line}" for line in rules_lines(document["rules"])),
        f"Fingerprint {made['digest']}",
        f"  {made['words']}",
        f"  {made['chinese']}",
    ]


def rules_lines(held: dict[str, Any]) -> list[str]:
    """Rules of approval for people."""
    makers = [read_certificate(base64.b64decode(one)) for one in held.get("attestation_roots", [])]
    lines = [f"approvals from  {', '.join(escape(origin) for origin in held['origins'])}"]
    lines += [f"model           {escape(model)}" for model in held.get("models", [])] or ["model           any"]
    for maker in makers:
        lines.append(f"maker           {escape(maker.subject.rfc4514_string())}")
        lines.append(f"                SHA-256 {maker.fingerprint(hashes.SHA256()).hex()}")
    copied = "are taken: a rehearsal" if held.get("backup_eligible") else "are refused"
    return [
        *lines,
        *([] if makers else ["maker           any: a model is the browser's word"]),
        f"copies          passkeys that can be copied to other devices {copied}",
        f"proposals       live {held.get('longest_hours', LONGEST_HOURS)} hours at most",
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
        f"state {row['state']}" + (f": {escape(row['error'], None)}" if row["error"] else ""),
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


def _clock(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%H:%M:%S} UTC"


def _pending_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "No ceremony asks or shows anything."
    for row in rows:
        number = row["number"]
        yield f"{number}  {row['kind']}  {escape(row['prompt'])}"
        if row["shown"]:
            yield f"  was shown; it waits until {_clock(row['until'])} for the word that it was taken down:"
            yield f"  cinnabar console answer {number}; or, if nobody did: cinnabar console give-up {number}"
        else:
            yield f"  waits until {_clock(row['until'])}: cinnabar console answer {number}"


_listing("status", ConsoleClient.status, status_lines, "How the keymaster stands.")
_listing("candidates", ConsoleClient.candidates, _candidate_lines, "List candidates with the words of their keys.")
_listing("proposals", ConsoleClient.proposals, _proposals_lines, "List proposals, the newest first.")
_listing("pending", ConsoleClient.pending, _pending_lines, "What running ceremonies ask for here.")
