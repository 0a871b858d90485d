"""`cinnabar verify`: the offline verifier on the command line."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from rich.console import Console

from appliance.anchors import read_profile
from appliance.ceremonies import DocumentRefused
from appliance.ceremonies.proposal import read_digest
from appliance.errors import CinnabarError
from appliance.evidence.browser import verifier_page
from appliance.evidence.directory import default_state, load_trust, read_public_key
from appliance.evidence.findings import Indication
from appliance.evidence.language import LANGUAGES, Language, language_of
from appliance.evidence.page import report_page
from appliance.evidence.page_setter import set_page
from appliance.evidence.printed import printed_report
from appliance.evidence.recognise import LARGEST_OBJECT
from appliance.evidence.report import Report
from appliance.evidence.signatures import DIGEST_OIDS, digest
from appliance.evidence.subjects import NamedBytes, NamedDigest, NamedFile
from appliance.evidence.text import print_report
from appliance.evidence.trust import with_algorithms
from appliance.evidence.verify import verify
from appliance.instants import microseconds
from appliance.letters.kind import read_kind
from appliance.own_statuses import OwnStatuses
from appliance.quoting import escape

LARGEST_FILE = 512 * 1024 * 1024
_UNDECIDED = Indication.INDETERMINATE.exit_code


class _DigestType(click.ParamType[NamedDigest]):
    name = "ALGORITHM:HEX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> NamedDigest:
        if isinstance(value, NamedDigest):
            return value
        algorithm, _, text = str(value).partition(":")
        if algorithm not in DIGEST_OIDS:
            self.fail(f"the algorithm is one of {', '.join(DIGEST_OIDS)}", param, ctx)
        try:
            decoded = bytes.fromhex(text)
        except ValueError:
            self.fail("the digest is not hexadecimal", param, ctx)
        if len(decoded) != len(digest(algorithm, b"")):
            self.fail(f"a {algorithm} digest has {len(digest(algorithm, b''))} bytes", param, ctx)
        return NamedDigest(algorithm, decoded)


class _NonceType(click.ParamType[int]):
    name = "HEX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else int(str(value), 16)
        except ValueError:
            self.fail("the nonce is not hexadecimal", param, ctx)


class _FoundingType(click.ParamType[str]):
    name = "SHA-256|WORDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return read_digest(str(value))
        except DocumentRefused as error:
            self.fail(str(error), param, ctx)


def _write_page(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    _write(value, verifier_page())
    click.echo(f"{value}: open it in a browser. SHA-256 {hashlib.sha256(value.read_bytes()).hexdigest()}")
    ctx.exit(0)


def _for_people(report: Report, language: Language, path: Path) -> bytes:
    if path.suffix.lower() not in {".html", ".pdf"}:
        raise click.UsageError("--report: the file ends in .html or .pdf")
    return (report_page if path.suffix.lower() == ".html" else printed_report)(report, language)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"{escape(str(path))}: {error.strerror or 'cannot be written'}") from None


@click.command("verify", cls=OwnStatuses)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=False))
@click.option(
    "--trust",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory with bundle.json, bundle.json.sig and the revocation lists that it names.",
)
@click.option(
    "--trust-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Public key or certificate that must have signed the bundle. Without it the first key seen is kept.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory where the highest bundle seen is kept. Default: cinnabar/trust in XDG_STATE_HOME.",
)
@click.option("--digest", "digests", multiple=True, type=_DigestType(), help="Digest of a document that is elsewhere.")
@click.option(
    "--constitution",
    "genesis",
    type=_FoundingType(),
    help="The founding that ceremonies are followed from: SHA-256 of the first constitution, hexadecimal, or its 24 "
    "words. Needed where the trust bundle names none.",
)
@click.option(
    "--algorithms",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Until when algorithms may be relied on, beside what the trust bundle says: the member `algorithms` of a "
    "bundle, as a JSON file.",
)
@click.option("--nonce", type=_NonceType(), help="Nonce of the request that the stamps must answer.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Time of validation in UTC instead of now, for example 2031-05-01T12:00:00Z.",
)
@click.option("--brief", is_flag=True, help="Print verdicts only, and the checks of what did not pass.")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="Of the report's words. Default: zh-Hans where the locale is Chinese, else en. JSON is always in English.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--report",
    "written",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report for people to this file as well: a page (.html) or a document (.pdf).",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A kind's file, for letters whose evidence does not hold it: for titles, and to set their pages again.",
)
@click.option(
    "--ledger",
    "ledgers",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Profile of a ledger (docs/anchors.md), where the trust bundle has none or an older one.",
)
@click.option(
    "--write-page",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_write_page,
    help="Write the verifier for browsers, one file of HTML, and do nothing else.",
)
def verify_command(
    files: tuple[Path, ...],
    trust: Path,
    trust_key: Path | None,
    state: Path | None,
    digests: tuple[NamedDigest, ...],
    genesis: str | None,
    algorithms: Path | None,
    nonce: int | None,
    at: datetime | None,
    brief: bool,
    language: Language | None,
    as_json: bool,
    written: Path | None,
    kinds: tuple[Path, ...],
    ledgers: tuple[Path, ...],
) -> None:
    """Verify evidence of letters, stamps, seals, evidence records, log proofs, audit exports and record bundles of
    ceremonies offline.

    Give the documents together with what was made for them, in any order. Nothing is fetched. Exit status: 0 when
    everything holds (TOTAL-PASSED), 2 when what was given does not decide it (INDETERMINATE), 1 when something is
    wrong (TOTAL-FAILED), 64 when the command was called wrongly or a file cannot be read or written.
    """
    now_us = time.time_ns() // 1000
    if at is not None:
        now_us = microseconds(at.replace(tzinfo=UTC))
    try:
        key = None if trust_key is None else read_public_key(_read(trust_key))
        bundle = load_trust(trust, default_state() if state is None else state, key)
        if algorithms is not None:
            bundle = with_algorithms(bundle, _read(algorithms))
        report = verify(
            [_named(path) for path in files], bundle, now_us=now_us, digests=digests, nonce=nonce, genesis=genesis,
            kinds=[read_kind(_read(path)) for path in kinds], set_page=set_page,
            ledgers=[read_profile(_read(path)) for path in ledgers],
        )  # fmt: skip
        language = language or language_of(os.environ)
        if written is not None:
            _write(written, _for_people(report, language, written))
    except CinnabarError as error:
        _refuse(error, as_json=as_json)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        console = Console(markup=False, emoji=False, highlight=False)
        print_report(report, console, brief=brief, language=language)
    sys.exit(report.exit_code)


def _named(path: Path) -> NamedBytes | NamedFile:
    """A file in memory; one that is too large for any object as a stream, as a document or an audit export."""
    try:
        size = path.stat().st_size
        if path.is_file() and size > LARGEST_OBJECT:
            with path.open("rb") as file:
                return NamedFile(path.name, lambda: path.open("rb"), size, file.read(4_096))
    except OSError as error:
        raise click.UsageError(f"{escape(str(path))}: {error.strerror or 'cannot be read'}") from None
    return NamedBytes(path.name, _read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise click.UsageError(f"{escape(str(path))}: {error.strerror or 'cannot be read'}") from None
    if len(content) > LARGEST_FILE:
        raise click.UsageError(f"{escape(str(path))} has more than {LARGEST_FILE} bytes; give its --digest instead")
    return content


def _refuse(error: CinnabarError, *, as_json: bool) -> NoReturn:
    """Nothing could be checked, so nothing is decided."""
    if as_json:
        refusal = {"code": error.code, "format": "cinnabar-refusal/1", "reason": str(error), "title": error.title}
        refusal["indication"] = Indication.INDETERMINATE.value
        click.echo(msgspec.json.format(msgspec.json.encode(refusal), indent=2).decode())
    else:
        click.echo(f"{Indication.INDETERMINATE.value}  {error.title}: {error}", err=True)
    sys.exit(_UNDECIDED)
