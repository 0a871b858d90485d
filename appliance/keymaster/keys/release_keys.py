"""Release keys: they open what was veiled for later (control VEIL), agree on secrets and never sign.

A key of the ledger with states like any other, on a token that has a tenant's release keys and nothing else. Only an
active one takes new envelopes; what was veiled to it stays openable until it is destroyed, also after a rotation, and
save while it is suspended.
"""

from __future__ import annotations

from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

import hsm
from appliance.box.settings import BoxSettings, ReleaseKeySettings, TenantSettings
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import CreateTenant, GenerateKey, InitialiseToken
from appliance.errors import Conflict, NotFound
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.ownership import check_unused, first_of
from appliance.keymaster.tenant_settings import with_tenant
from appliance.letters.veil import UNOPENED, key_id
from hsm.agreement import AgreementKey
from hsm.public_keys import PublicKey

SCHEME: Final = "ecdh-p256"


def public_key_in(token: hsm.Token, uri: hsm.Pkcs11Uri, scheme: str) -> PublicKey:
    """What the token shows for a key, after it has been used once. Blocks. Raises HsmError."""
    if scheme == SCHEME:
        return AgreementKey.find(token, uri).public_key
    return token.signing_key(uri, scheme).public_key


def name_in_envelopes(key: LedgerKey) -> str:
    """SHA-256 of the key's point. Raises Conflict for another kind of key."""
    public = load_der_public_key(key.public_key)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Conflict("a release key is of P-256")
    return key_id(public)


def check_release_token(room: Room, proposal: Proposal, action: GenerateKey) -> None:
    """A token of release keys of the same tenant, or one that the proposal makes for them. Another tenant's, and one
    that nobody has, are refused alike (CHANNEL). Raises DocumentRefused, NotFound."""
    if action.tenant is None:
        raise DocumentRefused("release keys are a tenant's")
    if action.for_backup:
        raise DocumentRefused("a release key never leaves its token: have the HSM replicate the token")
    made = any(
        isinstance(one, InitialiseToken) and (one.tenant, one.token) == (action.tenant, action.token)
        for one in proposal.actions
    )
    if any(isinstance(one, CreateTenant) and one.token == action.token for one in proposal.actions):
        raise DocumentRefused("a release key has a token without other keys")
    if not (made or is_release_token(room, action.tenant, action.token)):
        raise NotFound("there is no such token")


def is_release_token(room: Room, tenant: str, token: str) -> bool:
    """Whether a token has release keys of the tenant, in use or not, and nothing else."""
    settings = room.settings
    if not any(one.name == token for one in settings.tokens) or first_of(settings, token) != token:
        return False
    if any(key.token == token for one in settings.tenants if one.name == tenant for key in one.release_keys):
        return True
    try:
        check_unused(settings, token)
    except Conflict:
        return False
    held = [key for key in room.ledger.keys(every=True) if key.token == token]
    return bool(held) and all((key.purpose, key.tenant) == ("release", tenant) for key in held)


def makes_release_token(proposal: Proposal, action: InitialiseToken) -> bool:
    """Whether a proposal makes a token for a release key that it makes too."""
    return any(
        isinstance(one, GenerateKey)
        and (one.purpose, one.tenant, one.token) == ("release", action.tenant, action.token)
        for one in proposal.actions
    )


def with_release_key(settings: BoxSettings, key: LedgerKey, certificate: str) -> BoxSettings:
    """The settings in which the key is the first that senders get; there already, it stays in its place."""
    entry = ReleaseKeySettings(name=key.label, token=key.token, key_uri=key.uri, certificate=certificate)

    def placed(one: TenantSettings) -> TenantSettings:
        return msgspec.structs.replace(one, release_keys=_placed(one.release_keys, entry))

    return with_tenant(settings, key.tenant, placed)


def _placed(known: list[ReleaseKeySettings], entry: ReleaseKeySettings) -> list[ReleaseKeySettings]:
    if all(one.name != entry.name for one in known):
        return [entry, *known]
    return [entry if one.name == entry.name else one for one in known]


def without_release_key(settings: BoxSettings, key: LedgerKey) -> BoxSettings:
    """The settings without a key that opens nothing any more."""

    def without(one: TenantSettings) -> TenantSettings:
        return msgspec.structs.replace(one, release_keys=[it for it in one.release_keys if it.name != key.label])

    return with_tenant(settings, key.tenant, without)


async def unopened(room: Room, key: LedgerKey) -> int:
    """How many values are veiled to the key and not opened."""
    name = f"{UNOPENED}{name_in_envelopes(key)}"
    found = await room.administer(lambda admin: admin.query("tallies", key.tenant, name))
    return sum(int(amount) for one, amount in found if one == name)
