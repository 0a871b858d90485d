"""`cinnabar evidence renew`: the bulk job on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from appliance.algorithms import DIGESTS
from appliance.box.home import Home
from appliance.client.options import open_client
from appliance.errors import CinnabarError
from appliance.evidence.context import Context
from appliance.evidence.directory import default_state, load_trust, read_public_key
from appliance.instants import now_us
from appliance.quoting import quote
from appliance.renewal.authority import Authority, box_authority, http_authority
from appliance.renewal.errors import JobRefused
from appliance.renewal.job import Job
from appliance.renewal.planning import Wanted, form_of, target_of
from appliance.renewal.run import Told, run_job

SOME, NONE = 1, 2
"""Exit status where some files were not renewed; where nothing was."""
_PATH = click.Path(path_type=Path)


@click.command("renew")
@click.argument("files", metavar="FILE...", nargs=-1, type=_PATH)
@click.option(
    "--to",
    "hash_name",
    type=click.Choice(list(DIGESTS)),
    help="Hash of the new tree. Records under another one are renewed by hash tree, which reads their originals; the "
    "others by time-stamp. Left out: each under its own, and evidence of letters under sha512.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Trust directory, as `cinnabar verify` takes it: what does not pass under it is not renewed. "
    "Left out: that of --home.",
)
@click.option("--trust-key", type=_PATH, help="As of `cinnabar verify`.")
@click.option("--state", type=_PATH, help="As of `cinnabar verify`.")
@click.option("--tsa", metavar="URL", help="Time-stamping authority (RFC 3161 over HTTP). Left out: the box is asked.")
@click.option("--tsa-ca", type=_PATH, help="CA of the authority's TLS certificate, PEM. Left out: the system's.")
@click.option("--tsa-password", type=_PATH, help="File with NAME:PASSWORD for the authority (HTTP Basic).")
@click.option("--unit", help="Time-stamping unit of the box; the first one allowed if left out.")
@click.option("--originals", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Directory of what records are of. Left out: beside each record.")  # fmt: skip
@click.option("--without-originals", is_flag=True, help="Renew by time-stamp alone, and read no original.")
@click.option(
    "--job",
    "job_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("cinnabar-renewal.job"),
    show_default=True,
    help="Where the job keeps what it has done. One that was interrupted goes on; give no FILE then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.option("--home", type=_PATH, default=Path("var"), envvar="CINNABAR_HOME", show_default=True, show_envvar=True,
              help="Home of a box on this machine.")  # fmt: skip
@click.option("--as", "application", help="Application of that home; its only one if left out.")
@click.option("--url", envvar="CINNABAR_URL", show_envvar=True, help="https://HOST:PORT of a box elsewhere.")
@click.option("--cert", type=_PATH, envvar="CINNABAR_CERT", show_envvar=True, help="Client certificate, PEM.")
@click.option("--key", type=_PATH, envvar="CINNABAR_KEY", show_envvar=True, help="Its key, PEM.")
@click.option("--ca", type=_PATH, envvar="CINNABAR_CA", show_envvar=True, help="CA of the box's certificate, PEM.")
def renew(
    files: tuple[Path, ...],
    hash_name: str | None,
    trust: Path | None,
    trust_key: Path | None,
    state: Path | None,
    tsa: str | None,
    tsa_ca: Path | None,
    tsa_password: Path | None,
    unit: str | None,
    originals: Path | None,
    without_originals: bool,
    job_path: Path,
    as_json: bool,
    home: Path,
    application: str | None,
    url: str | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
) -> None:
    """Renew evidence: records (FILE.ers), tokens (FILE.tst) and evidence of letters (FILE.asice), or all of these in
    directories, with one time-stamp (RFC 4998, section 5).

    Each is judged first; then one token is asked for over all of them, and each file gets its own way to it. Originals
    are read and never written. Exit status: 0 when all were renewed, 1 when some were not (they are listed), 2 when
    nothing was done.
    """

    def authority() -> Authority:
        if tsa is not None:
            return http_authority(tsa, tsa_ca, tsa_password)
        return box_authority(open_client(Home(home), application, url, cert, key, ca), unit)

    try:
        signer = None if trust_key is None else read_public_key(trust_key.read_bytes())
        bundle = load_trust(trust or Home(home).trust, state or default_state(), signer)
        begun_us = now_us()
        if not bundle.issued_us <= begun_us <= bundle.expires_us:
            raise JobRefused("the trust bundle is not in force")
        context = Context(bundle, bundle.revocation_lists, (), begun_us)
        with _job(job_path, files, Wanted(hash_name, originals, without_originals)) as job:
            with _progress() as progress:
                run_job(job, context, authority, progress, now_us)
            status = _tell(job, as_json=as_json)
            job.remove()
    except (CinnabarError, OSError) as error:
        click.echo(f"nothing was done: {error}", err=True)
        sys.exit(NONE)
    sys.exit(status)


def _job(path: Path, files: Sequence[Path], wanted: Wanted) -> Job:
    """The job to go on with, or a new one."""
    found = Job.open(path)
    if found is None:
        if not files:
            raise JobRefused(f"there is no job in {quote(str(path))} to go on with: give the files")
        return Job.begin(path, wanted, _listed(files))
    if files:
        found.close()
        raise JobRefused(
            f"{quote(str(path))} is of a job that was interrupted. Go on with it by giving no FILE, or give another "
            "--job; to give it up, remove that file"
        )
    return found


def _listed(files: Sequence[Path]) -> Iterator[Path]:
    """The files given, and of directories all whose names say that they are evidence."""
    for path in files:
        if not path.is_dir():
            yield path
            continue
        for one in sorted(path.rglob("*")):
            # A token whose record stands beside it is renewed by that record.
            if one.is_file() and form_of(one) and (target_of(one) == one or not target_of(one).exists()):
                yield one


def _tell(job: Job, *, as_json: bool) -> int:
    failures = list(job.failures())
    done = job.counts().get("done", 0)
    if as_json:
        listed = [{"detail": one.detail, "file": str(one.path), "reason": one.reason.value} for one in failures]
        answer = {"format": "cinnabar-renewal/1", "not_renewed": listed, "renewed": done}
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        for one in failures:
            click.echo(f"not renewed ({one.reason}): {one.path}: {one.detail}", err=True)
        click.echo(f"{done} renewed, {len(failures)} not renewed")
    if not failures:
        return 0
    return SOME if done else NONE


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar for a person at a terminal; elsewhere a line after every thousand files and at the end of each step."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)
            if not console.is_terminal and (done == total or done % 1000 == 0):
                click.echo(f"{what}: {done} of {total}", err=True)

        yield show
