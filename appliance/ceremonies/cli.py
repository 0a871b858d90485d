"""`cinnabar proposal`: read a proposal and its words without any page, and sign it with a card. Offline."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.text import Text

from appliance.ceremonies.canonical import decode, digest, encode
from appliance.ceremonies.card_statements import card_statement
from appliance.ceremonies.chain import VERSION_BYTES, ConstitutionVersion
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.errors import DocumentRefused
from appliance.ceremonies.evidence import governing, verify_statement
from appliance.ceremonies.explain import explain
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.proposal import Proposal, check_proposal, digest_words, read_proposal
from appliance.ceremonies.quorum import tally
from appliance.ceremonies.statements import ReceivedStatement, Statement, Verb, challenge
from appliance.errors import CinnabarError

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_VERB = click.Choice(get_args(Verb))


@click.group()
def proposal() -> None:
    """Read a proposal without any page, check who has signed it, sign it with a card."""


@proposal.command()
@click.argument("file", type=_FILE)
@click.option(
    "--constitution",
    "law_file",
    type=_FILE,
    help="A constitution, or a file of trust/constitution/: says what an amendment changes, and whether the quorum of "
    "the proposal is right.",
)
@click.option("--statement", "statements", type=_FILE, multiple=True, help="A statement to check; may be repeated.")
@click.option("--language", type=click.Choice(LANGUAGES), multiple=True, help="Default: both.")
def show(file: Path, law_file: Path | None, statements: tuple[Path, ...], language: tuple[str, ...]) -> None:
    """Say in plain words what FILE, a proposal, would do, and print its digest and its 24 words.

    With --constitution, check that the proposal names the right scopes and thresholds, and each --statement; exits with
    1 where something does not hold."""
    console = Console(highlight=False)
    text = _read(file)
    found = _proposal(text)
    law = _constitution(law_file) if law_file is not None else None
    name = digest(text)
    for one in LANGUAGES:
        if not language or one in language:
            words = digest_words(name, "english" if one == "en" else "chinese_simplified")
            _put(console, explain(found, one, law).text())
            _put(console, f"{words}\n")
    _put(console, f"SHA-256 {name}")
    if law is None:
        if statements:
            raise click.UsageError("Statements are checked under a constitution: give --constitution.")
        return
    sys.exit(0 if _judge(console, found, law, statements) else 1)


@proposal.command("challenge")
@click.argument("file", type=_FILE)
@click.option("--verb", type=_VERB, required=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def challenge_command(file: Path, verb: Verb, output: Path) -> None:
    """Write the 32 bytes that a card signs to say something about FILE, a proposal.

    docs/approvals.md, Signing with a card, has the steps."""
    text = _read(file)
    _proposal(text)
    output.write_bytes(challenge(verb, digest(text)))


@proposal.command()
@click.argument("file", type=_FILE)
@click.option("--verb", type=_VERB, required=True)
@click.option("--officer", required=True, help="Your id in the constitution.")
@click.option("--signature", type=_FILE, required=True, help="Detached CMS over the challenge, DER.")
@click.option("--constitution", "law_file", type=_FILE, required=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def statement(file: Path, verb: Verb, officer: str, signature: Path, law_file: Path, output: Path) -> None:
    """Put a card's signature over the challenge of FILE, a proposal, into a statement, and check that it holds."""
    text = _read(file)
    _proposal(text)
    law, now = _constitution(law_file), datetime.datetime.now(datetime.UTC)
    try:
        made = card_statement(text, law, verb, officer, _read(signature), now)
    except CinnabarError as error:
        raise click.ClickException(str(error)) from error
    output.write_bytes(encode(made))


def _judge(console: Console, found: Proposal, law: Constitution, statements: tuple[Path, ...]) -> bool:
    good = True
    now = datetime.datetime.now(datetime.UTC)
    _put(console, f"Checked under constitution version {law.version}, SHA-256 {law.digest}")
    if found.constitution != law.digest:
        _put(console, "✗ The proposal was made under another constitution.")
        good = False
    try:
        check_proposal(found, law, now)
        _put(console, "✓ It names the scopes and thresholds that its actions need, and is in its time.")
    except CinnabarError as error:
        _put(console, f"✗ {error}.")
        good = False
    verified = []
    for path in statements:
        try:
            said, at = _statement(_read(path), now)
            one = verify_statement(governing(said, found, law), said, at)
            if one.proposal != digest(encode(found)):
                raise DocumentRefused("it is about another proposal")
        except CinnabarError as error:
            _put(console, f"✗ {path}: {error}.")
            good = False
            continue
        verified.append(one)
        _put(console, f"✓ {path}: {one.officer} says {one.verb}.")
    if statements and good:
        _put(console, f"The proposal is {tally(found, law, verified, now).outcome}.")
    return good


def _statement(text: bytes, now: datetime.datetime) -> tuple[Statement, datetime.datetime]:
    """A statement, or one as the keymaster received it; and the time at which it must hold."""
    try:
        received = decode(text, ReceivedStatement)
    except DocumentRefused:
        return decode(text, Statement), now
    at = datetime.datetime.fromisoformat(received.received)
    return received.statement, at


def _proposal(text: bytes) -> Proposal:
    try:
        return read_proposal(text)
    except DocumentRefused as error:
        raise click.ClickException(f"This is no proposal: {error}.") from error


def _constitution(path: Path) -> Constitution:
    text = _read(path)
    try:
        return decode(text, ConstitutionVersion, limit=VERSION_BYTES).constitution
    except DocumentRefused:
        pass
    try:
        return decode(text, Constitution)
    except DocumentRefused as error:
        raise click.ClickException(f"{path} is no constitution: {error}.") from error


def _read(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _put(console: Console, text: str) -> None:
    """Text as it is: nothing in it is markup."""
    console.print(Text(text), soft_wrap=True)
