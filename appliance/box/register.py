"""`cinnabar register`: who may call the box. Every change is recorded, and holds at once on open connections too."""

from __future__ import annotations

import datetime
import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Literal

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from rich.console import Console
from rich.table import Table

from appliance.box.home import Home
from appliance.box.options import connected, home_option
from appliance.files import read_file
from appliance.recorder.admin import AdminClient

console = Console(highlight=False)
_CERTIFICATE_BYTES: Final = 65_536


_home_option = home_option("The box's home; the box must be running.", "home")


def _connect(home: Path) -> AbstractContextManager[AdminClient]:
    return connected(AdminClient, home, lambda one: one.admin_socket, "its administrator")


@click.group()
def register() -> None:
    """Show and change who may call the box."""


@register.command("list")
@_home_option
@click.option("--json", "as_json", is_flag=True)
def show(home: Path, as_json: bool) -> None:
    """List every certificate with its application, tenant and states."""
    with _connect(home) as admin:
        rows: list[dict[str, Any]] = admin.query("register")
    for row in rows:
        row["certificate"] = bytes(row["certificate"]).hex()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Tenant", "Application", "State", "Until", "May use", "Certificate (SHA-256)"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        states = (row["tenant_state"], row["application_state"], row["state"])
        state = next((state for state in states if state != "active"), "active")
        until = datetime.datetime.fromtimestamp(row["not_after"], datetime.UTC).date().isoformat()
        table.add_row(
            row["tenant"], row["application"], state, until, ", ".join(row["permissions"]), row["certificate"]
        )
    # Never narrower than a digest, so that it can be copied whole.
    Console(highlight=False, width=max(console.width, 200)).print(table)


def _change(name: str, state: Literal["active", "suspended", "revoked"], help_text: str) -> click.Command:
    @click.command(name, help=help_text)
    @_home_option
    @click.option("--tenant", required=True)
    @click.option("--application", help="Of that tenant; the whole tenant if left out.")
    @click.option("--certificate", help="SHA-256 of one certificate of that application, hexadecimal.")
    def command(home: Path, tenant: str, application: str | None, certificate: str | None) -> None:
        digest = None
        if certificate is not None:
            if application is None:
                raise click.UsageError("--certificate stands together with --application")
            if re.fullmatch("[0-9a-f]{64}", certificate) is None:
                raise click.UsageError(
                    "--certificate takes 64 hexadecimal digits, as `register list --json` shows them"
                )
            digest = bytes.fromhex(certificate)
        with _connect(home) as admin:
            admin.set_state(state, tenant, application, digest)
        what = " ".join(part for part in (tenant, application, certificate) if part)
        click.echo(f"{what}: {state}. It holds now, and is on record.")

    return command


register.add_command(_change("suspend", "suspended", "Refuse a tenant, an application or a certificate from now on."))
register.add_command(_change("resume", "active", "Let a suspended tenant, application or certificate call again."))
register.add_command(
    _change(
        "revoke",
        "revoked",
        "Refuse for ever; a certificate goes onto the next CRL. Where there are officers, ceremonies revoke: suspend.",
    )
)


@register.command()
@_home_option
@click.option("--tenant", required=True)
@click.option("--application", required=True)
@click.option(
    "--allow", multiple=True, help="Unit or seal key that it may use; repeatable; all of the tenant's if left out."
)
@click.argument("certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def enrol(home: Path, tenant: str, application: str, allow: tuple[str, ...], certificate: Path) -> None:
    """Let the holder of CERTIFICATE (PEM, issued by the box's own CA) call as an application."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        raise click.ClickException(f"{certificate} is not a PEM certificate") from None
    try:
        read.verify_directly_issued_by(
            x509.load_pem_x509_certificate(read_file(Home(home.resolve()).trust / "box-ca.pem", _CERTIFICATE_BYTES))
        )
    except (ValueError, TypeError, InvalidSignature):
        raise click.ClickException(
            f"{certificate} was not issued by trust/box-ca.pem, so the front would not let it in"
        ) from None
    with _connect(home) as admin:
        admin.enrol_application(tenant, application, list(allow) or ["*"])
        admin.enrol_certificate(
            tenant,
            application,
            read.fingerprint(hashes.SHA256()),
            int(read.not_valid_before_utc.timestamp()),
            int(read.not_valid_after_utc.timestamp()),
        )
    click.echo(f"{application} of {tenant} may call with {certificate}.")
