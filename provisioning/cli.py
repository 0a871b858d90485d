"""`cinnabar provision`: make a rehearsal box."""

from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec

from appliance.box.options import home_option
from appliance.box.settings import WitnessSettings
from appliance.box.witnesses import WitnessesRefused
from appliance.log import MalformedNote
from appliance.tree_hash import RENEWED_HASHES
from provisioning.names import LONGEST_TENANT, REGISTRY, REVOCATION_URL, release_token
from provisioning.rehearsal import AlreadyProvisioned, provision

_RELEASE = release_token("")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ACCOUNT_SCHEMES = {"": "ecdsa-secp256k1-sha256", "p256": "ecdsa-p256-sha256"}
_ACCOUNT_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}-account")
_HOST_NAME = re.compile(rf"(?=.{{1,200}}\Z){_LABEL}(?:\.{_LABEL})*")
_TENANT_NAME = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{LONGEST_TENANT - 2}}}[a-z0-9])?")
_WITNESS = re.compile(r"(?P<key>[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44})=(?P<url>\S+)")
_FEDERATION = re.compile(r"(?P<name>[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)=(?P<tenants>[a-z0-9,-]+)")


def _tenant_names(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        taken = ("box", REGISTRY, *RENEWED_HASHES)  # a log's origin ends with its tenant, or with its hash
        if not _TENANT_NAME.fullmatch(value) or value in taken or value.endswith(_RELEASE):
            raise click.BadParameter(
                f"{value!r}: lower-case letters, digits and hyphens, up to {LONGEST_TENANT}, and none of "
                f"{', '.join(taken)} and ...{_RELEASE}"
            )
    if len(set(values)) != len(values):
        raise click.BadParameter("each tenant once")
    return values


def _federations(
    context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]] | None:
    federations: dict[str, list[str]] = {}
    for value in values:
        found = _FEDERATION.fullmatch(value)
        if found is None or found["name"] in federations:
            raise click.BadParameter(f"{value!r}: NAME=TENANT,TENANT..., each name once")
        members = found["tenants"].split(",")
        unknown = [member for member in members if member not in context.params["tenants"]]
        if unknown or len(set(members)) != len(members):
            raise click.BadParameter(f"{value!r}: tenants of this box, each once")
        federations[found["name"]] = members
    return federations or None


def _witnesses(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[WitnessSettings]:
    found = []
    for value in values:
        parts = _WITNESS.fullmatch(value)
        if parts is None:
            raise click.BadParameter(f"{value!r}: VKEY=URL, the key as NAME+KEYID+KEY")
        found.append(WitnessSettings(key=parts["key"], url=parts["url"]))
    return found


def _accounts(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in value:
        name, _, curve = one.partition(":")
        if not _ACCOUNT_NAME.fullmatch(name) or name in found:
            raise click.BadParameter(f"{name!r}: lower-case letters, digits, hyphens, then -account; each once")
        if curve not in _ACCOUNT_SCHEMES:
            raise click.BadParameter(f"{curve!r}: p256, or nothing, which is secp256k1")
        found[name] = _ACCOUNT_SCHEMES[curve]
    return found


def _host_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    # Passkeys are bound to a domain name: an IP address serves no officer (WebAuthn, section 5.1.3).
    if not _HOST_NAME.fullmatch(value) or value.rpartition(".")[2].isdigit():
        raise click.BadParameter(f"{value!r}: a domain name in lower case, no IP address")
    return value


@click.command("provision")
@home_option("The home to make the box in.")
@click.option(
    "--tenant", "tenants", multiple=True, default=("demo",), callback=_tenant_names, is_eager=True, help="Repeatable."
)
@click.option(
    "--federation",
    "federations",
    multiple=True,
    callback=_federations,
    help="NAME=TENANT,TENANT...: tenants that share a register of what is unique. Repeatable; if none, those that the "
    "kinds that ship name, of all tenants.",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    callback=_witnesses,
    help="VKEY=URL: a witness that cosigns every log's heads, by its verifier key and submission prefix. Repeatable.",
)
@click.option(
    "--witness-quorum",
    type=click.IntRange(1),
    help="How many of the witnesses must cosign a head. Default: more than half of them.",
)
@click.option(
    "--witness-ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="PEM file of CA certificates that the witnesses' TLS certificates come from. Default: the system's.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    callback=_accounts,
    help="NAME-account: a key on secp256k1 for an account on a ledger (docs/anchors.md), which box.json then names as "
    "pkcs11:object=NAME-account on the token box; NAME-account:p256 makes it on P-256, for Fabric. Repeatable.",
)
@click.option("--name", default="rehearsal", show_default=True, help="The box's name.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="API worker processes.")
@click.option(
    "--revocation-url",
    default=REVOCATION_URL,
    show_default=True,
    help="Where clients find CRLs and OCSP: http://HOST:PORT.",
)
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    callback=_host_name,
    help="The domain name that applications and officers know the box by; approve.HOST leads to it too.",
)
def command(
    root: Path,
    tenants: tuple[str, ...],
    federations: dict[str, list[str]] | None,
    witnesses: list[WitnessSettings],
    witness_quorum: int | None,
    witness_ca: Path | None,
    accounts: dict[str, str],
    name: str,
    workers: int,
    revocation_url: str,
    host: str,
) -> None:
    """Make a rehearsal box on SoftHSM: tokens, keys, certificates, logs, and one application a tenant."""
    if witness_ca is not None:
        witnesses = [msgspec.structs.replace(one, ca=witness_ca.read_text()) for one in witnesses]
    quorum = len(witnesses) // 2 + 1 if witness_quorum is None and witnesses else witness_quorum or 0
    try:
        made = provision(
            root,
            tenants=tenants,
            name=name,
            workers=workers,
            revocation_url=revocation_url,
            host=host,
            federations=federations,
            witnesses=witnesses,
            witness_quorum=quorum,
            accounts=accounts,
        )
    except (AlreadyProvisioned, WitnessesRefused, MalformedNote) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"A rehearsal box stands in {made.home.root}. What it signs has no legal effect, and says so.")
    click.echo(f"  trust for outside tools   {made.home.trust}")
    for application, certificate in made.applications.items():
        click.echo(f"  application {application:<14}{certificate} and {certificate.with_suffix('.key').name}")
    if witnesses:
        click.echo(f"  {quorum} of {len(witnesses)} witnesses cosign every log: enter trust/*.vkey there")
    click.echo(f"Next: cinnabar run --home {root}")
