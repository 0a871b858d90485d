"""The client's commands: stamp, seal, bulk-stamp, bulk-seal, record, job, log-fetch, health."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click
import msgspec

from appliance.client.options import as_given, connection_options, id_of, whole_box_options

if TYPE_CHECKING:
    from rich.progress import Progress

    from appliance.api.schemas import DigestName, RecordAnswer
    from appliance.client.synchronous import Client

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)
_HASHES = click.Choice(["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
_HASH = click.option(
    "--hash", "hash_name", type=_HASHES, default="sha256", show_default=True, help="Hash that digests are made with."
)
_UNIT = click.option("--unit", help="Time-stamping unit; the first one allowed if left out.")
_OUTPUT = click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Directory; beside each file if left out."
)
_FORCE = click.option("--force", is_flag=True, help="Write over files that are there.")
BATCH = 10_000
"""Digests of one bulk call (appliance.client.calls.MOST_DIGESTS, which is not loaded to list commands)."""


def _digest(path: Path, hash_name: str) -> bytes:
    """The digest of a file, read in pieces: documents may be larger than memory."""
    import hashlib  # noqa: PLC0415

    with path.open("rb") as file:
        return hashlib.file_digest(file, hash_name.replace("sha3-", "sha3_")).digest()


def _beside(path: Path, output: Path | None, suffix: str) -> Path:
    directory = path.parent if output is None else output
    directory.mkdir(parents=True, exist_ok=True)
    return directory / (path.name + suffix)


def _refuse_overwriting(files: Sequence[Path], output: Path | None, suffixes: Sequence[str], force: bool) -> None:
    """Before anything is signed: nothing that is there is lost, and no two answers go into one file."""
    written: dict[Path, Path] = {}
    for path in files:
        for suffix in suffixes:
            target = (path.parent if output is None else output) / (path.name + suffix)
            other = written.setdefault(target, path)
            if other is not path:
                raise click.ClickException(f"{other} and {path} would both be answered into {target}")
            if target.exists() and not force:
                raise click.ClickException(f"{target} is there already; --force writes over it")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    click.echo(str(path))


def _progress() -> Progress:
    """A bar on standard error, shown only to a person at a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _digests(files: Sequence[Path], hash_name: str, progress: Progress) -> list[bytes]:
    task = progress.add_task("reading", total=len(files))
    found = []
    for path in files:
        found.append(_digest(path, hash_name))
        progress.advance(task)
    return found


def _record(client: Client, record_id: str, target: Path, wait_s: float) -> None:
    """Write a record's opening once the log has it; where it has not, say how to get the proof later."""
    from appliance.api.schemas import RecordAnswer  # noqa: PLC0415 - as the client, only when a command runs

    if wait_s > 0:
        client.record(record_id, wait_for_proof_s=wait_s)
    content = client.record_file(record_id)
    _write(target, content)
    _tell_what_lacks(msgspec.json.decode(content, type=RecordAnswer), target.parent, wait_s)


def _tell_what_lacks(answer: RecordAnswer, directory: Path, wait_s: float) -> None:
    """Where a record was written without its whole proof."""
    if answer.proved:
        return
    again = " ".join(["cinnabar record", answer.record, "--output", shlex.quote(str(directory)), *as_given()])
    what = "no proof yet" if answer.proof is None else "witnesses have not cosigned the proof's head yet"
    click.echo(f"{what} within {wait_s:g} s; fetch it later: {again}", err=True)


_WITH_RECORD = click.option(
    "--record/--no-record", "with_record", default=True, show_default=True, help="Also write the record with its proof."
)
_WAIT = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Seconds to wait for the record's proof: the log is signed, and cosigned, about once a second.",
)


@click.command("stamp")
@_FILES
@_HASH
@_UNIT
@click.option("--policy", help="Policy OID; the unit's default if left out.")
@_OUTPUT
@_FORCE
@_WITH_RECORD
@_WAIT
@connection_options
def stamp(
    client: Client,
    files: tuple[Path, ...],
    hash_name: str,
    unit: str | None,
    policy: str | None,
    output: Path | None,
    force: bool,
    with_record: bool,
    wait_s: float,
) -> None:
    """Stamp FILES: FILE.tst is the RFC 3161 token, FILE.tst.record.json the record of it with its proof."""
    _refuse_overwriting(files, output, (".tst", ".tst.record.json") if with_record else (".tst",), force)
    for path in files:
        answer = client.stamp(
            _digest(path, hash_name), hash_name=cast("DigestName", hash_name), unit=unit, policy=policy
        )
        _write(_beside(path, output, ".tst"), answer.token)
        if with_record:
            _record(client, answer.record, _beside(path, output, ".tst.record.json"), wait_s)
        else:
            click.echo(f"record {answer.record}")


@click.command("seal")
@_FILES
@click.option("--seal-key", help="Seal key; the first one allowed if left out.")
@click.option(
    "--level",
    type=click.Choice(["B-B", "B-T"]),
    default="B-T",
    show_default=True,
    help="CAdES level: B-T carries a time-stamp.",
)
@click.option("--enveloping", is_flag=True, help="Carry the document inside the CMS.")
@click.option("--existing", type=click.Path(exists=True, path_type=Path), help="Add a signature to this CMS.")
@_UNIT
@_HASH
@_OUTPUT
@_FORCE
@_WITH_RECORD
@_WAIT
@connection_options
def seal(
    client: Client,
    files: tuple[Path, ...],
    seal_key: str | None,
    level: str,
    enveloping: bool,
    existing: Path | None,
    unit: str | None,
    hash_name: str,
    output: Path | None,
    force: bool,
    with_record: bool,
    wait_s: float,
) -> None:
    """Seal FILES: FILE.p7s is the CMS (CAdES), FILE.p7s.record.json its record with its proof.

    Only a digest leaves this machine, unless the document is to be inside the CMS.
    """
    if existing is not None and len(files) != 1:
        raise click.UsageError("--existing takes one FILE")
    suffix = ".p7m" if enveloping else ".p7s"
    _refuse_overwriting(files, output, (suffix, f"{suffix}.record.json") if with_record else (suffix,), force)
    for path in files:
        content: dict[str, Any] = {"digest": _digest(path, hash_name), "hash_name": hash_name}
        if enveloping:
            content = {"document": path.read_bytes(), "form": "enveloping"}
        answer = client.seal(
            **content,
            existing=None if existing is None else existing.read_bytes(),
            level=cast("Literal['B-B', 'B-T']", level),
            seal_key=seal_key,
            unit=unit,
        )
        _write(_beside(path, output, suffix), answer.cms)
        if with_record:
            _record(client, answer.record, _beside(path, output, f"{suffix}.record.json"), wait_s)
        else:
            click.echo(f"record {answer.record}")


@click.command("seal-pdf")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option("--seal-key", help="Seal key; the first one allowed if left out.")
@click.option(
    "--level",
    type=click.Choice(["B-B", "B-T", "B-LT", "B-LTA"]),
    default="B-T",
    show_default=True,
    help="PAdES level: B-T carries a time-stamp, B-LT what a verifier needs later, B-LTA a time-stamp over all.",
)
@click.option("--seen", help="Name of a seal object: the seal is then seen on a page.")
@click.option("--page", type=int, default=-1, show_default=True, help="Where it is seen, from 1; -1 is the last page.")
@click.option("--left", type=int, default=130, show_default=True, help="Millimetres from the page's left edge.")
@click.option("--bottom", type=int, default=30, show_default=True, help="Millimetres from its lower edge.")
@_UNIT
@_OUTPUT
@_FORCE
@_WITH_RECORD
@_WAIT
@connection_options
def seal_pdf(
    client: Client,
    file: Path,
    seal_key: str | None,
    level: str,
    seen: str | None,
    page: int,
    left: int,
    bottom: int,
    unit: str | None,
    output: Path | None,
    force: bool,
    with_record: bool,
    wait_s: float,
) -> None:
    """Seal the PDF FILE: FILE.sealed.pdf has the seal in it (PAdES). Seals that it bears stay valid."""
    from appliance.api.pdf_schemas import SealSeen  # noqa: PLC0415 - as the client, only when a command runs

    suffixes = (".sealed.pdf", ".sealed.pdf.record.json") if with_record else (".sealed.pdf",)
    _refuse_overwriting((file,), output, suffixes, force)
    answer = client.seal_pdf(
        file.read_bytes(),
        level=cast("Literal['B-B', 'B-T', 'B-LT', 'B-LTA']", level),
        seen=None if seen is None else SealSeen(seal=seen, page=page, left=left, bottom=bottom),
        seal_key=seal_key,
        unit=unit,
    )
    _write(_beside(file, output, ".sealed.pdf"), answer.document)
    for finding in answer.findings:
        click.echo(f"finding {finding}", err=True)
    if with_record:
        _record(client, answer.record, _beside(file, output, ".sealed.pdf.record.json"), wait_s)
    else:
        click.echo(f"record {answer.record}")


@click.command("bulk-stamp")
@_FILES
@_HASH
@click.option(
    "--also",
    type=_HASHES,
    help="Stamp a second digest of each file, by this stronger hash, under a token of its own: FILE.HASH.ers. Whoever "
    "keeps digests alone can then do without the first hash when it ends.",
)
@_UNIT
@_OUTPUT
@_FORCE
@connection_options
def bulk_stamp(
    client: Client,
    files: tuple[Path, ...],
    hash_name: str,
    also: str | None,
    unit: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Stamp many FILES with one token for each 10,000: FILE.ers is each one's evidence record (RFC 4998)."""
    if also == hash_name:
        raise click.UsageError("--also takes another hash than --hash")
    wanted = {hash_name: ".ers"} | ({} if also is None else {also: f".{also}.ers"})
    _refuse_overwriting(files, output, tuple(wanted.values()), force)
    with _progress() as progress:
        for name, suffix in wanted.items():
            digests = _digests(files, name, progress)
            task = progress.add_task("stamping", total=len(files))
            for start in range(0, len(files), BATCH):
                chunk = digests[start : start + BATCH]
                batch = client.stamp_many(chunk, hash_name=cast("DigestName", name), unit=unit)
                for item in range(len(chunk)):
                    path = _beside(files[start + item], output, suffix)
                    path.write_bytes(batch.evidence_record(item))
                    progress.advance(task)
                click.echo(f"record {batch.record}: {len(batch)} evidence records under one token")


@click.command("bulk-seal")
@_FILES
@_HASH
@click.option("--seal-key", help="Seal key; the first one allowed if left out.")
@_OUTPUT
@_FORCE
@connection_options
def bulk_seal(
    client: Client,
    files: tuple[Path, ...],
    hash_name: str,
    seal_key: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Seal many FILES, each with a signature of its own: FILE.p7s. Exit status 1 where one was refused.

    A job for each 10,000 files; its id is told at once, for `cinnabar job`.
    """
    _refuse_overwriting(files, output, (".p7s",), force)
    refused = 0
    with _progress() as progress:
        digests = _digests(files, hash_name, progress)
        task = progress.add_task("sealing", total=len(files))
        for start in range(0, len(files), BATCH):
            chunk = digests[start : start + BATCH]
            started = client.start_seals(chunk, hash_name=cast("DigestName", hash_name), seal_key=seal_key)
            click.echo(f"job {started.job}")
            for verdict in client.verdicts(started.job, progress=_shown(progress, task, start)):
                path = files[start + verdict.item]
                if isinstance(verdict.cms, bytes):
                    _beside(path, output, ".p7s").write_bytes(verdict.cms)
                else:
                    refused += 1
                    why = verdict.problem.detail if not isinstance(verdict.problem, msgspec.UnsetType) else "archived"
                    click.echo(f"{path}: refused: {why}", err=True)
    click.echo(f"{len(files) - refused} sealed, {refused} refused")
    if refused:
        raise SystemExit(1)


def _shown(progress: Progress, task: Any, before: int) -> Callable[[int, int], None]:
    return lambda done, _: progress.update(task, completed=before + done)


@click.command("record")
@click.argument("record_id", callback=id_of("record"))
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Write record, artifact and proof there."
)
@_WAIT
@connection_options
def record(client: Client, record_id: str, output: Path | None, wait_s: float) -> None:
    """Show a record, or write it as files that `cinnabar verify` reads.

    The record holds its proof in the tenant's log, and in the box's own as soon as that has its next leaf.
    """
    answer = client.record(record_id, wait_for_proof_s=wait_s)
    if output is None:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        if answer.proof is None:
            click.echo(f"no proof yet within {wait_s:g} s", err=True)
        return
    suffix = {"application/timestamp-token": ".tst", "application/pkcs7-signature": ".p7s"}.get(answer.artifact_type)
    _write(_beside(Path(record_id), output, ".record.json"), client.record_file(record_id))
    if suffix is not None:
        _write(_beside(Path(record_id), output, suffix), answer.artifact)
    if answer.proof is not None:
        _write(_beside(Path(record_id), output, ".tlog-proof"), answer.proof.tlog_proof.encode())
    _tell_what_lacks(answer, output, wait_s)


@click.command("job")
@click.argument("job_id", callback=id_of("job"))
@connection_options
def job(client: Client, job_id: str) -> None:
    """Follow a job to its end."""
    with _progress() as progress:
        first = client.job(job_id, count=0)
        task = progress.add_task(first.kind, total=first.items, completed=first.done)
        refused = sum(
            verdict.status == "refused" for verdict in client.verdicts(job_id, progress=_shown(progress, task, 0))
        )
    click.echo(f"job {job_id}: {first.items} items, {refused} refused")


@click.command("log-fetch")
@click.argument("origin")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@connection_options
def log_fetch(client: Client, origin: str, directory: Path) -> None:
    """Fetch the log ORIGIN into DIRECTORY: its checkpoint and every tile and bundle of that size (C2SP tlog-tiles)."""
    from appliance.client.mirror import mirror_log  # noqa: PLC0415

    with _progress() as progress:
        task = progress.add_task("tiles", total=None)
        size = mirror_log(
            lambda resource: client.log(origin, resource),
            directory,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    click.echo(f"{size} entries in {directory}")


@click.command("health")
@click.option("--json", "as_json", is_flag=True, help="The answer as it came, JSON.")
@whole_box_options
def health(client: Client, as_json: bool) -> None:
    """Show how the box is. Exit status 1 where it is not ready.

    On the box itself root sees the whole of it, every tenant's keys and logs and what is nearly used up; an
    application (--as, or --cert and --key) sees what is its tenant's.
    """
    answer = client.health()
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo(f"{'ready' if answer.ready else 'not ready'}: the box is {answer.state}")
        for part in ("clock", "recorder", "hsm"):
            value = getattr(answer, part)
            if value is not msgspec.UNSET:
                click.echo(f"  {part:<9}{value}")
        for key in answer.keys or []:
            working = "usable" if key.usable else "not usable"
            click.echo(f"  {key.name}: {working}, signs for {key.certificate_days_left} more days")
        for one in answer.quotas or []:
            click.echo(f"  {one.tenant}: {one.percent} % of {one.what} used")
        for log in answer.cosigning or []:
            behind = f", behind for {log.behind_s} s" if log.behind_s else ""
            click.echo(f"  log {log.origin}: {log.cosigned} of {log.size} entries cosigned{behind}")
            for line in [log.problem] if log.problem else []:
                click.echo(f"    {line}")
            for witness in log.witnesses:
                said = "cosigns" if witness.trouble is None else f"{witness.trouble}, {witness.detail}"
                click.echo(f"    witness {witness.name}: {said}")
        for weakness in answer.weaknesses or []:
            click.echo(f"  weaker: {weakness.detail} ({weakness.name})")
    if not answer.ready:
        raise SystemExit(1)
