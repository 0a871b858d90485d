"""`cinnabar kind`: check, show, compare and list kinds of letters. Needs no box."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from appliance.ceremonies.proposal import digest_words
from appliance.letters.check import check_beside, check_file, check_together
from appliance.letters.differences import EFFECTS, differences
from appliance.letters.errors import KindRefused
from appliance.letters.kind import KIND_BYTES, LoadedKind
from appliance.letters.picture import picture
from appliance.letters.shipped import shipped
from appliance.letters.words import describe
from appliance.quoting import escape

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _language(command: _Command) -> _Command:
    return click.option(
        "--language", type=click.Choice(["en", "zh"]), default="en", help="English or Chinese (default: English)."
    )(command)


@click.group()
def kind() -> None:
    """Check, show and compare kinds of letters.

    A kind is one TOML file; docs/kinds.md teaches how to write one. FILE is a file, or the id of a kind that ships.
    """


@kind.command()
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
@click.option("--whole", is_flag=True, help="These are all the kinds: conditions may name no others.")
@_language
def check(names: tuple[str, ...], whole: bool, language: str) -> None:
    """Check kinds: each for itself, and that they do not wait for each other.

    Every finding names its place in the file. Ends with 1 when there are any.
    """
    loaded: list[LoadedKind] = []
    count = 0
    for name in names:
        try:
            one, findings = check_file(_read(name))
        except KindRefused as error:
            one, findings = None, []
            count += 1
            click.echo(f"{name}: {escape(str(error), None)}")
        for found in findings:
            click.echo(f"{name}: {found.path}: {escape(found.words(language), None)}")
        count += len(findings)
        if one is not None and not findings:
            loaded.append(one)
            click.echo(f"{name}: {('sound', '通过')[language == 'zh']}  {one.kind.id} {one.kind.version}  {one.digest}")
    for found in check_together([one.kind for one in loaded], whole=whole):
        click.echo(f"{found.path}: {escape(found.words(language), None)}")
        count += 1
    if count:
        raise click.exceptions.Exit(1)


@kind.command()
@click.argument("name", metavar="FILE")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture of its life cycle here."
)
@_language
def show(name: str, svg: Path | None, language: str) -> None:
    """Show a kind in words, and its life cycle as a picture."""
    loaded = _sound(name, language)
    if svg is not None:
        svg.write_text(picture(loaded.kind, language), encoding="utf-8")
    click.echo(describe(loaded, language))
    words = digest_words(loaded.digest, "chinese_simplified" if language == "zh" else "english")
    click.echo(f"{('Its digest in words', '文件摘要的单词')[language == 'zh']}: {words}")


@kind.command()
@click.argument("old")
@click.argument("new")
@_language
def diff(old: str, new: str, language: str) -> None:
    """Say what is different between two versions of a kind.

    A letter lives by the version under which it began: ! marks where letters under way keep the old rule. Ends with 1
    where both share a register of uniqueness or a counter that they fill differently: officers could not install NEW.
    """
    place = int(language == "zh")
    before, after = _sound(old, language).kind, _sound(new, language).kind
    try:
        found = differences(before, after)
    except KindRefused as error:
        raise click.ClickException(escape(str(error), None)) from None
    if not found:
        click.echo(("No difference.", "没有差异。")[place])
    width = max((len(words[place]) for words in EFFECTS.values()), default=0)
    for one in found:
        mark = "!" if one.running else " "
        effect = EFFECTS[one.effect][place].ljust(width)
        click.echo(f"{mark} {effect}  {one.path}: {escape((one.en, one.zh)[place])}")
    if any(one.running for one in found):
        click.echo(("! letters under way keep the old rule here", "! 已有函件在此仍适用旧规则")[place])
    apart = check_beside(after, [before])
    for finding in apart:
        click.echo(f"{finding.path}: {escape(finding.words(language), None)}")
    if apart:
        raise click.exceptions.Exit(1)


@kind.command("list")
@_language
def list_(language: str) -> None:
    """List the kinds that ship: id, version, title, and the systems that use them."""
    for name, text in shipped().items():
        one = check_file(text)[0]
        assert one is not None  # noqa: S101 - a test holds the catalogue to it
        title = getattr(one.kind.title, language)
        click.echo(f"{name:<24} {one.kind.version}  {title}  [{' '.join(one.kind.rows)}]")


def _read(name: str) -> bytes:
    path = Path(name)
    if not path.is_file():
        text = shipped().get(name)
        if text is None:
            raise click.ClickException(f"{name}: there is no such file, and no kind of that id ships")
        return text
    with path.open("rb") as file:
        return file.read(KIND_BYTES + 1)


def _sound(name: str, language: str) -> LoadedKind:
    try:
        loaded, findings = check_file(_read(name))
    except KindRefused as error:
        raise click.ClickException(f"{name}: {escape(str(error), None)}") from None
    if loaded is None or findings:
        said = "\n".join(f"{one.path}: {escape(one.words(language), None)}" for one in findings)
        raise click.ClickException(
            f"{name}: {('the kind is not sound', '种类文件未通过检查')[language == 'zh']}\n{said}"
        )
    return loaded
