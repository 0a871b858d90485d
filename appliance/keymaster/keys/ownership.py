"""Whose a token is, and where a key's certificate stands: what the key actions ask of the settings."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.box.home import Home
from appliance.box.settings import BoxSettings, TenantSettings
from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import CreateTenant, InitialiseToken
from appliance.errors import Conflict, NotFound
from appliance.files import sync_directory, write_file
from appliance.keymaster.context import ExecutionContext

REHEARSAL_NAME = "REHEARSAL "
REHEARSAL_ORGANISATION = "REHEARSAL - no legal effect"
REHEARSAL_ARC = "1.3.6.1.4.1.32473."
"""Under the enterprise number for documentation (RFC 5612): policies of a rehearsal box stand there."""


def first_of(settings: BoxSettings, token: str) -> str:
    """The token that a token stands by for, else itself: whose the first is, the standby is too."""
    uri = next((entry.uri for entry in settings.tokens if entry.name == token), None)
    return next((entry.name for entry in settings.tokens if uri is not None and entry.standby_uri == uri), token)


def owner_of(settings: BoxSettings, token: str) -> str | None:
    """The tenant whose token it is; None for the box's own, and for one that serves nobody yet."""
    first = first_of(settings, token)
    return next((tenant.name for tenant in settings.tenants if first in tokens_of_tenant(tenant)), None)


def tokens_of_tenant(tenant: TenantSettings) -> set[str]:
    """A tenant's own token, and those with its release keys and keys of messages."""
    return {tenant.token, *(key.token for key in tenant.agreement_keys)}


def is_boxs(settings: BoxSettings, token: str) -> bool:
    """Whether the box's own keys are in it: an authority's, its log's, or a federation's, which is no tenant's."""
    own = {authority.token for authority in settings.authorities}
    own |= {key.token for log in settings.logs if log.tenant is None for key in log.keys}
    own |= {federation.token for federation in settings.federations}
    return first_of(settings, token) in own


def check_unused(settings: BoxSettings, token: str) -> None:
    """Whether a token serves nobody. Raises Conflict."""
    users = {key.token for log in settings.logs for key in log.keys}
    users |= {token for tenant in settings.tenants for token in tokens_of_tenant(tenant)}
    users |= {unit.token for unit in settings.units} | {federation.token for federation in settings.federations}
    users |= {key.token for key in settings.seal_keys} | {authority.token for authority in settings.authorities}
    if first_of(settings, token) in users:
        raise Conflict(f"the token {token} serves somebody")


def check_token(settings: BoxSettings, proposal: Proposal | None, tenant: str | None, token: str) -> None:
    """Whether keys of a tenant, or of the box (None), may be made in a token. One of another owner, one that nobody has
    and one for release keys or federations are refused alike (CHANNEL). Raises NotFound."""
    owners = {entry.name: owner_of(settings, entry.name) for entry in settings.tokens}
    known = {entry.name for entry in settings.tokens}
    for action in proposal.actions if proposal is not None else ():
        if isinstance(action, CreateTenant):
            owners[action.token] = action.name
        if isinstance(action, CreateTenant | InitialiseToken):
            known.add(action.token)
    if token not in known or owners.get(token) != tenant or first_of(settings, token) in tokens_of_letters(settings):
        raise NotFound("there is no such token")


def tokens_of_letters(settings: BoxSettings) -> set[str]:
    """Tokens that have release keys or keys of federations and nothing else."""
    shared = {federation.token for federation in settings.federations}
    return shared | {key.token for owner in settings.tenants for key in owner.agreement_keys}


def subject_names(settings: BoxSettings, common_name: str, organisation: str) -> tuple[str, str]:
    """The names that a certificate gets: on a rehearsal box they say so, whatever was asked for."""
    if not settings.rehearsal:
        return common_name, organisation
    if not common_name.startswith(REHEARSAL_NAME):
        common_name = f"{REHEARSAL_NAME}{common_name}"
    return common_name, REHEARSAL_ORGANISATION


def certificate_path(home: Home, name: str) -> Path:
    """PEM: a key's certificate and its chain."""
    return home.root / "certificates" / f"{name}.pem"


def write_chain(home: Home, name: str, chain: list[bytes]) -> str:
    """Write a key's certificate with its chain (DER); its path relative to the home. The same again changes nothing."""
    path = certificate_path(home, name)
    pem = b"".join(x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in chain)
    if not path.exists() or path.read_bytes() != pem:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        write_file(path, pem)
        sync_directory(path.parent)
    return str(path.relative_to(home.root))


def note(ctx: ExecutionContext, name: str, content: bytes) -> bytes:
    """Keep something of a step over a crash: what was noted first is what stands, and is returned."""
    path = ctx.scratch / name
    try:
        return path.read_bytes()
    except FileNotFoundError:
        ctx.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, content, 0o600)
        sync_directory(ctx.scratch)
        return content


def noted(ctx: ExecutionContext, name: str) -> bytes | None:
    """What `note` kept."""
    try:
        return (ctx.scratch / name).read_bytes()
    except FileNotFoundError:
        return None
