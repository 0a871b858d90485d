"""The options that every command of the client shares: which box, and who asks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.box.home import Home

if TYPE_CHECKING:
    from appliance.client.synchronous import Client


def id_of(kind: str) -> Callable[[click.Context, click.Parameter, str], str]:
    """A check of an argument: the id of a record or job, as the API has it (appliance.api.schemas.RecordId, JobId)."""

    def check(context: click.Context, parameter: click.Parameter, value: str) -> str:
        found = value.strip().lower()
        if re.fullmatch("[0-9a-f]{44}", found) is None:
            raise click.BadParameter(f"{value} is not a {kind} id (44 hexadecimal digits)", context, parameter)
        return found

    return check


_WORKER_S = 5.0
"""For a worker's own socket: one that hangs is left for the next one."""


class _Addresses(msgspec.Struct):
    applications: str | None = None


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--home, or --url with --cert, --key and --ca. The command gets `client`."""
    return _with_client(command, open_client)


def whole_box_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same. Where none but --home is given, whoever may ask the box's own processes asks as nobody's application:
    root, and the user of a box that has one user."""

    def opened(home: Home, *given: Any) -> Client:
        own = None if any(given) else _own_client(home)
        return open_client(home, *given) if own is None else own

    return _with_client(command, opened)


def _with_client(command: Callable[..., Any], opened: Callable[..., Client]) -> Callable[..., Any]:
    path = click.Path(path_type=Path)
    decorate = [
        click.option(
            "--home",
            type=path,
            default=Path("var"),
            envvar="CINNABAR_HOME",
            show_default=True,
            show_envvar=True,
            help="Home of a box on this machine, for its address and credentials.",
        ),
        click.option("--as", "application", help="Application of that home; its only one if left out."),
        click.option("--url", envvar="CINNABAR_URL", show_envvar=True, help="https://HOST:PORT of a box elsewhere."),
        click.option("--cert", type=path, envvar="CINNABAR_CERT", show_envvar=True, help="Client certificate, PEM."),
        click.option("--key", type=path, envvar="CINNABAR_KEY", show_envvar=True, help="Its key, PEM."),
        click.option(
            "--ca", type=path, envvar="CINNABAR_CA", show_envvar=True, help="CA of the box's certificate, PEM."
        ),
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
        from appliance.client.errors import NothingListens  # noqa: PLC0415 - only a command that runs needs HTTP

        with opened(Home(home), application, url, cert, key, ca) as client:
            try:
                return command(*arguments, client=client, **others)
            except NothingListens:
                if url is not None:
                    raise
                raise _not_running(home) from None
            except BrokenPipeError:  # click's own matter
                raise
            except OSError as error:  # a file of the person's own: not readable, no room, no directory
                raise click.ClickException(str(error)) from None

    with_client.__name__, with_client.__doc__ = command.__name__, command.__doc__
    with_client.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for decorator in reversed(decorate):
        with_client = decorator(with_client)
    return with_client


def as_given() -> list[str]:
    """The options of this invocation that say which box and who asks, for a command that a person is told to run."""
    context = click.get_current_context()
    words: list[str] = []
    for name in ("home", "application", "url", "cert", "key", "ca"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = "--as" if name == "application" else f"--{name}"
            words += [option, shlex.quote(str(context.params[name]))]
    return words


def _not_running(home: Path) -> click.ClickException:
    from appliance.box.standing import standing  # noqa: PLC0415 - only where the box does not answer

    report = standing(Home(home))
    if report is None:
        return click.ClickException(f"the box in {home} is not running (start it: cinnabar run --home {home})")
    why = "; ".join(f"{cause}: {detail}" if detail else cause for cause, detail in report.causes.items())
    return click.ClickException(f"the box in {home} runs and does not answer yet: it is {report.state} ({why})")


def _own_client(home: Home) -> Client | None:
    """Of the first worker that answers on its metrics socket, which is for the box's own people; None: none does, or
    not to this user."""
    from appliance.client.errors import ApiError  # noqa: PLC0415 - only a command that runs needs HTTP
    from appliance.client.retries import RetryPolicy  # noqa: PLC0415
    from appliance.client.synchronous import Client  # noqa: PLC0415

    for path in sorted(home.run.glob("api/*/metrics.sock")):
        client = Client("http://localhost", unix_socket=path, timeout_s=_WORKER_S, retries=RetryPolicy(attempts=1))
        try:
            client.health()
        except ApiError:
            client.close()
        else:
            return client
    return None


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
            if not home.settings.exists():
                raise click.ClickException(
                    f"there is no box in {home.root}; say where it is with --home, or give --url"
                ) from None
            raise _not_running(home.root) from None
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
