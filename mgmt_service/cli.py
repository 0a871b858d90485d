"""`cinnabar management`: what whoever runs the box does for the management service, at the box itself."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from appliance.box.home import Home
from appliance.box.management_front import management_origin
from appliance.box.settings import BoxSettings, read_settings
from appliance.ceremonies import BOX, tenant_scope
from appliance.files import Owner, acting_as, give, open_directory
from mgmt_service.people import People
from mgmt_service.storage import Storage

_SHORT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@click.group()
def management() -> None:
    """Officers' pages: one-time links for their first sign-in."""


@management.command()
@click.option(
    "--home",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var"),
    envvar="CINNABAR_HOME",
    show_default=True,
    help="The box's home.",
)
@click.option(
    "--scope",
    help="`box` or `tenant/NAME`: whose officers see her as a candidate. Without it the box's officers do.",
)
@click.argument("person")
@click.argument("name")
def invite(root: Path, scope: str | None, person: str, name: str) -> None:
    """Make a one-time link by which PERSON (a short name) makes a sign-in passkey. It gives no role."""
    if not _SHORT_NAME.fullmatch(person):
        raise click.ClickException(f"{person!r}: lower-case letters, digits and hyphens")
    home = Home(root.resolve())
    if not home.settings.exists():
        raise click.ClickException(f"There is no box in {root}.")
    known = {BOX, *(tenant_scope(tenant.name) for tenant in read_settings(home.settings).tenants)}
    if scope is not None and scope not in known:
        raise click.ClickException(f"{scope!r}: one of {', '.join(sorted(known))}")
    click.echo(f"One time, within three days, for {name} alone:")
    click.echo(f"  {one_time_link(home, person, name, scope)}")


def one_time_link(home: Home, person: str, name: str, scope: str | None = None) -> str:
    """A link for a person, made at the box by its owner. The database stays the management service's."""
    settings = read_settings(home.settings)
    with _as_the_service(home, settings):
        storage = Storage(home.management)
        code = People(storage).invite(person, name, [scope] if scope is not None else [])
        storage.close()
    return f"{management_origin(home, settings)}/enrol/{code}"


@contextlib.contextmanager
def _as_the_service(home: Home, settings: BoxSettings) -> Iterator[None]:
    """As its user, where it has one that can reach the home: what is in its directory it may have put there itself."""
    user = settings.users.management
    if os.geteuid() != 0 or user is None or not all(msgspec.structs.astuple(settings.users)):
        yield
        return
    owner = Owner(user, user)
    os.close(open_directory(home.management, make=True, owner=owner))
    give(home.management, owner)
    with contextlib.ExitStack() as acting:
        acting.enter_context(acting_as(owner))
        if not os.access(home.root, os.X_OK, effective_ids=True):
            acting.close()
        yield
