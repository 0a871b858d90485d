"""A new tenant: its token, its content key, its log's key in the token, its place in register, settings and trust.

Every part compares before it makes, and what cannot be found again is noted first; so a run after a crash goes on where
the first one stood. The supervisor then has every process go over to the settings that have the tenant.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import hsm
from appliance.box.settings import BoxSettings, LogKeySettings, LogSettings, TenantSettings, TokenSettings
from appliance.ceremonies import Proposal
from appliance.ceremonies.actions import CreateTenant, InitialiseToken
from appliance.errors import Conflict
from appliance.evidence import LogEntry
from appliance.files import write_file
from appliance.keymaster import register
from appliance.keymaster.certificates.naming import check_registered
from appliance.keymaster.certificates.trust_changes import trust_published
from appliance.keymaster.context import ExecutionContext, Room, token_settings
from appliance.keymaster.keys.ledger import Activation
from appliance.keymaster.keys.new_tokens import NewPins, keep_pins, make_token
from appliance.keymaster.keys.ownership import check_unused, note, noted
from appliance.keymaster.registry import StepResult, executor
from appliance.log import VerifierKey
from appliance.recorder.admin import AdminClient
from appliance.tree_hash import RENEWED_HASHES, SHA256, hash_of
from hsm import vault
from hsm.inventory import TokenObject, list_objects
from hsm.keys import generate_key_pair, settle_half_made
from hsm.mac import generate_mac_key
from hsm.public_keys import public_key_der

LOG_SCHEME = "ed25519"
_CONTENT_KEY = "content-key"


def log_origin(settings: BoxSettings, tenant: str) -> str:
    """The origin of a tenant's log: it stands beside the box's own, under the same hash."""
    own = next(log.origin for log in settings.logs if log.tenant is None)
    hashing = hash_of(own)
    if hashing == SHA256:
        return f"{own.rpartition('/')[0]}/{tenant}"
    return f"{own.removesuffix(f'/{hashing.name}').rpartition('/')[0]}/{tenant}/{hashing.name}"


async def may_create(room: Room, proposal: Proposal, action: CreateTenant) -> None:
    """A name that nobody has, and a token of its own: a new one, or one that serves nobody yet."""
    settings = room.settings
    check_registered(action.title)
    if any(tenant.name == action.name for tenant in settings.tenants):
        raise Conflict(f"the box has a tenant {action.name}")
    if await room.administer(lambda admin: register.tenant_state(admin, action.name)) is not None:
        raise Conflict(f"the box has had a tenant {action.name}")
    if action.name in RENEWED_HASHES:
        raise Conflict(f"{action.name} is a hash: by it logs say under which they are")
    if any(log.origin == log_origin(settings, action.name) for log in settings.logs):
        raise Conflict(f"the log of a tenant {action.name} would be another one's")
    made = {other.token for other in proposal.actions if isinstance(other, InitialiseToken)}
    if action.token not in made and any(token.name == action.token for token in settings.tokens):
        check_unused(settings, action.token)
        if any(key.token == action.token and key.tenant != action.name for key in room.ledger.keys(every=True)):
            raise Conflict(f"the token {action.token} has another's keys")


@dataclass(frozen=True)
class _Made:
    """What stands in the token."""

    token: TokenSettings
    pins: NewPins | None
    """None: the settings had the token before."""
    wrapped: bytes | None
    """The content key; None: the settings had the tenant before."""
    public_key: bytes
    """Of the log, SubjectPublicKeyInfo."""
    verifier: VerifierKey
    objects: list[TokenObject]


@executor(CreateTenant, check=may_create)
async def create_tenant(ctx: ExecutionContext, action: CreateTenant) -> StepResult:
    room, origin = ctx.room, log_origin(ctx.settings, action.name)
    for expected in (f"{action.name}-log-1", vault.WRAPPING_KEY_LABEL, _uniqueness(action.name)):
        room.ledger.expect(action.token, expected, ctx.digest, ctx.step)
    made = await asyncio.to_thread(_make, ctx, action, origin)
    if made.pins is not None:
        await keep_pins(ctx, action.token, made.pins)
    if made.wrapped is not None:
        wrapped = made.wrapped
        await room.control(lambda control: control.keep_secret(f"{action.name}.content-key", wrapped))
    _explain(ctx, action, made)
    await ctx.administer(lambda admin: _register(admin, action, ctx.digest))
    log = LogSettings(
        origin=origin,
        tenant=action.name,
        keys=[LogKeySettings(key_uri=_uri(ctx.key_id), token=action.token, name=origin)],
        published=action.published,
    )
    tenant = TenantSettings(
        name=action.name,
        token=action.token,
        data_key=f"secrets/{action.name}.content-key",
        organisation=action.title,
        uniqueness_key=f"pkcs11:object={_uniqueness(action.name)};type=secret-key",
    )
    await room.change_settings(lambda settings: _with(settings, made.token, tenant, log))
    await asyncio.to_thread(write_file, ctx.home.trust / f"{action.name}-log.vkey", f"{made.verifier}\n".encode())
    version = await trust_published(room)
    shutil.rmtree(ctx.scratch, ignore_errors=True)
    return StepResult(
        {
            "tenant": action.name,
            "token": action.token,
            "log": origin,
            "verifier": str(made.verifier),
            "key": ctx.key_id.hex(),
            "trust_bundle": version,
        },
        {f"{action.name}-log.vkey": f"{made.verifier}\n".encode()},
    )


def _make(ctx: ExecutionContext, action: CreateTenant, origin: str) -> _Made:
    """Token, content key and log key. Blocks."""
    room, pins = ctx.room, None
    done = any(tenant.name == action.name for tenant in ctx.settings.tenants)
    if any(token.name == action.token for token in ctx.settings.tokens):
        if not done:
            check_unused(ctx.settings, action.token)
        wanted = token_settings(ctx.settings, action.token)
        token = room.user_token(action.token)
    else:
        wanted, pins = make_token(ctx, action.token)
        user_pin = pins.user
        token = room.tokens.made(wanted, lambda: user_pin)
    label = f"{action.name}-log-1"
    wrapped = None if done else _content_key(ctx, token)
    with contextlib.suppress(hsm.KeyExists):  # an earlier run of this step made it
        generate_mac_key(token, _uniqueness(action.name))
    token.mac_key(hsm.Pkcs11Uri(object=_uniqueness(action.name), type="secret-key"))  # of one purpose, or it is refused
    if not settle_half_made(token, label, LOG_SCHEME, id=ctx.key_id):
        generate_key_pair(token, label, LOG_SCHEME, id=ctx.key_id)
    key = token.signing_key(hsm.Pkcs11Uri(id=ctx.key_id), LOG_SCHEME)
    verifier = VerifierKey(origin, key.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return _Made(wanted, pins, wrapped, public_key_der(key.public_key), verifier, list_objects(token))


def _uniqueness(tenant: str) -> str:
    """Label of the MAC key by which the tenant's letters are used once."""
    return f"{tenant}-uniqueness"


def _content_key(ctx: ExecutionContext, token: hsm.Token) -> bytes:
    """The wrapped content key: the one that an earlier run of this step noted, or a new one."""
    found = noted(ctx, _CONTENT_KEY)
    return note(ctx, _CONTENT_KEY, vault.create_content_key(token)) if found is None else found


def _explain(ctx: ExecutionContext, action: CreateTenant, made: _Made) -> None:
    """What the comparison of tokens will find, and whose the log's key is."""
    entry = LogEntry(origin=made.verifier.name, key=str(made.verifier))
    ledger, now = ctx.room.ledger, int(ctx.judged.timestamp() * 1_000_000)
    with ctx.room.journal.transaction():
        if action.token in ledger.tokens():
            labels = {vault.WRAPPING_KEY_LABEL, _uniqueness(action.name)}
            ours = [one for one in made.objects if one.id == ctx.key_id or one.label in labels]
            ledger.take(action.token, ours, now, origin=ctx.digest, step=ctx.step)
        else:
            ledger.begin(action.token, made.objects, now, origin=ctx.digest, step=ctx.step)
        if ledger.by_id(action.token, ctx.key_id) is None:
            ledger.add_key(
                token=action.token,
                cka_id=ctx.key_id,
                label=f"{action.name}-log-1",
                purpose="log",
                scheme=LOG_SCHEME,
                tenant=action.name,
                public_key=made.public_key,
                made=now,
                proposal=ctx.digest,
                step=ctx.step,
                state="active",
                activation=Activation(entry=msgspec.to_builtins(entry)),
            )


def _register(admin: AdminClient, action: CreateTenant, ceremony: str) -> None:
    if register.tenant_state(admin, action.name) is None:
        admin.enrol_tenant(action.name, ceremony=ceremony)
    quota = action.quota
    admin.set_quota(
        action.name,
        signatures=quota.signatures,
        stamps=quota.stamps,
        storage_bytes=quota.storage_bytes,
        ceremony=ceremony,
    )


def _with(settings: BoxSettings, token: TokenSettings, tenant: TenantSettings, log: LogSettings) -> BoxSettings:
    """The settings with the tenant; what is there already stays."""
    if any(known.name == tenant.name for known in settings.tenants):
        return settings
    tokens = settings.tokens
    if all(known.name != token.name for known in tokens):
        tokens = [*tokens, token]
    return msgspec.structs.replace(
        settings, tokens=tokens, tenants=[*settings.tenants, tenant], logs=[*settings.logs, log]
    )


def _uri(key_id: bytes) -> str:
    return f"pkcs11:id={''.join(f'%{byte:02X}' for byte in key_id)}"
