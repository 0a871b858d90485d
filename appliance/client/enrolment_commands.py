"""`cinnabar enrol` and `cinnabar renew`: an application's own certificate, made and kept without a person's help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryptography import x509

_EST = click.option(
    "--est", required=True, envvar="CINNABAR_EST", show_envvar=True, help="https://HOST:PORT of the box."
)
_OUT = click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Directory of NAME.key and NAME.crt."
)
_NAME = click.option("--name", required=True, help="Common name, as the profile permits it; also the files' name.")


def _checked(name: str) -> str:
    if not name or "/" in name or name.startswith("."):
        raise click.BadParameter("a name has no slash in it and begins with no dot", param_hint="--name")
    return name


@click.command()
@_EST
@_OUT
@_NAME
@click.option("--host", "hosts", multiple=True, help="DNS name of a server's certificate; may stand several times.")
@click.option(
    "--secret-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with USER:SECRET, as the box's console showed it.",
)
@click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The box's CA, PEM.")
@click.option("--ca-sha256", help="Or its fingerprint: the CA is then fetched, and held to that.")
def enrol(
    est: str, out: Path, name: str, hosts: tuple[str, ...], secret_file: Path, ca: Path | None, ca_sha256: str | None
) -> None:
    """Get a first certificate for a one-time secret (EST, RFC 7030).

    The key is made here and never leaves. Run it again when it was cut off: the same key gets the same certificate."""
    from cryptography import x509  # noqa: PLC0415 - only a command that runs needs it

    from appliance.client import enrolment  # noqa: PLC0415

    if (ca is None) == (ca_sha256 is None):
        raise click.UsageError("say which CA the box has: --ca FILE, or --ca-sha256 FINGERPRINT")
    files = enrolment.Files(out, _checked(name))
    try:
        user, secret = enrolment.read_secret(secret_file)
        if ca is not None:
            trusted = _authority(x509.load_pem_x509_certificate, ca)
        else:
            trusted = enrolment.fetch_ca(est, ca_sha256 or "")
        made = enrolment.enrol(est, files, trusted, user, secret, hosts)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    _tell(made, files.certificate)


@click.command()
@_EST
@_OUT
@_NAME
@click.option("--within", type=click.FloatRange(min=0), help="Do nothing unless it ends within so many days.")
@click.option("--as", "client", help="NAME of the client certificate that asks, to renew a server's.")
def renew(est: str, out: Path, name: str, within: float | None, client: str | None) -> None:
    """Renew a certificate by itself, under a new key (EST, RFC 7030). Fit to be run every day."""
    from appliance.client import enrolment  # noqa: PLC0415 - only a command that runs needs it

    files = enrolment.Files(out, _checked(name))
    try:
        enrolment.finish(files)
        current = enrolment.read(files)
        if within is not None and not enrolment.ends_within(current, within):
            click.echo(f"{files.certificate} holds until {current.not_valid_after_utc:%Y-%m-%d}")
            return
        asks = None if client is None else enrolment.Files(out, _checked(client))
        made = enrolment.renew(est, files, client=asks)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    _tell(made, files.certificate)


def _authority(load: Callable[[bytes], x509.Certificate], path: Path) -> x509.Certificate:
    try:
        return load(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} holds no certificate in PEM") from None


def _tell(made: x509.Certificate, path: Path) -> None:
    from appliance.client.enrolment import fingerprint  # noqa: PLC0415 - loaded by now

    click.echo(str(path))
    click.echo(f"holds until {made.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; SHA-256 {fingerprint(made)}")
