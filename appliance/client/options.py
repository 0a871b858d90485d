"""The options that every command of the client shares: which box, and who asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.box.home import Home

if TYPE_CHECKING:
    from appliance.client.synchronous import Client


class _Addresses(msgspec.Struct):
    applications: str | None = None


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--home, or --url with --cert, --key and --ca. The command gets `client`."""
    path = click.Path(path_type=Path)
    decorate = [
        click.option(
            "--home",
            type=path,
            default=lambda: os.environ.get("CINNABAR_HOME", "var"),
            help="Home of a box on this machine, for its address and credentials [CINNABAR_HOME, var].",
        ),
        click.option("--as", "application", help="Application of that home; its only one if left out."),
        click.option("--url", envvar="CINNABAR_URL", help="https://HOST:PORT of a box elsewhere [CINNABAR_URL]."),
        click.option("--cert", type=path, envvar="CINNABAR_CERT", help="Client certificate, PEM [CINNABAR_CERT]."),
        click.option("--key", type=path, envvar="CINNABAR_KEY", help="Its key, PEM [CINNABAR_KEY]."),
        click.option("--ca", type=path, envvar="CINNABAR_CA", help="CA of the box's certificate, PEM [CINNABAR_CA]."),
    ]

    def with_client(
        *arguments: Any,
        home: Path,
        application: str | None,
        url: str | None,
        cert: Path | None,
        key: Path | None,
        ca: Path | None,
        **others: Any,
    ) -> Any:
        with open_client(Home(home), application, url, cert, key, ca) as client:
            return command(*arguments, client=client, **others)

    with_client.__name__, with_client.__doc__ = command.__name__, command.__doc__
    with_client.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for decorator in reversed(decorate):
        with_client = decorator(with_client)
    return with_client


def open_client(
    home: Home, application: str | None, url: str | None, cert: Path | None, key: Path | None, ca: Path | None
) -> Client:
    """A client from what a person gave; what was left out is taken from the home."""
    from appliance.client.connection import Credentials  # noqa: PLC0415 - only a command that runs needs HTTP
    from appliance.client.synchronous import Client  # noqa: PLC0415

    if url is None:
        try:
            address = msgspec.json.decode(home.addresses.read_bytes(), type=_Addresses).applications
        except (OSError, msgspec.DecodeError):
            raise click.ClickException(
                f"no box runs in {home.root}: `cinnabar run --home {home.root}`, or give --url"
            ) from None
        if address is None:
            raise click.ClickException("the box has no applications listener")
        url = f"https://{address}"
    if cert is None:
        cert = _only_certificate(home, application)
    key = key or cert.with_suffix(".key")
    ca = ca or home.trust / "box-ca.pem"
    for file in (cert, key, ca):
        if not file.is_file():
            raise click.ClickException(f"{file} is not there")
    return Client(url, credentials=Credentials(cert, key, ca))


def _only_certificate(home: Home, application: str | None) -> Path:
    if application is not None:
        return home.clients / f"{application}.crt"
    found = sorted(home.clients.glob("*.crt"))
    if len(found) != 1:
        names = ", ".join(path.stem for path in found) or "none"
        raise click.ClickException(f"say which application asks, with --as (there are: {names}), or with --cert")
    return found[0]
