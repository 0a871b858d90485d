"""Keys put to use: as a seal key, a unit, a log key or an authority; and a successor put in a key's place.

The order holds over a crash at any point: the register first, so that no signature is made outside a key's limits; then
the settings, which the whole box goes over to; then the ledger's state.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final

import msgspec
from cryptography import x509

from appliance.api.callers import public_certificate
from appliance.box.settings import (
    BoxSettings,
    CertificateAuthoritySettings,
    LogKeySettings,
    LogSettings,
    SealKeySettings,
    UnitSettings,
)
from appliance.ceremonies import DocumentRefused, Proposal, instant_text
from appliance.ceremonies.actions import (
    ActivateKey,
    CreateAuthority,
    GenerateKey,
    ImportCertificate,
    IssueCertificate,
    RotateKey,
)
from appliance.keymaster import register
from appliance.keymaster.actions.keys import may_be, was_begun
from appliance.keymaster.certificates.responders import answer_for, answered_for, check_place
from appliance.keymaster.certificates.trust_changes import trust_published
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import Activation, LedgerKey
from appliance.keymaster.keys.log_keys import log_of, rotation_note, verifier_of
from appliance.keymaster.keys.ownership import REHEARSAL_ARC, write_chain
from appliance.keymaster.keys.release_keys import name_in_envelopes, with_release_key
from appliance.keymaster.keys.states import KeyStateRefused, after
from appliance.keymaster.keys.use import set_register
from appliance.keymaster.registry import StepResult, executor
from appliance.recorder.admin import AdminClient

DECLARED_ACCURACY_US: Final = 1_000_000


# Activation


async def may_activate(room: Room, proposal: Proposal, action: ActivateKey) -> None:
    """The key is the scope's own, certified where that is needed, and not in use; policies are those of its box."""
    key = room.ledger.find(action.tenant, action.key)
    state = may_be(room, proposal, action.tenant, action.key, action)
    if key is not None and key.state == "active" and was_begun(room, proposal):
        return  # done by an earlier run
    after(state, "activate")
    purpose = key.purpose if key is not None else _purpose_in(proposal, action)
    if purpose == "account":
        raise KeyStateRefused("the account of a ledger is used as soon as box.json names its key")
    if purpose != "log" and not (key is not None and key.certificates) and not _certified_in(proposal, action):
        raise KeyStateRefused("the key has no certificate yet")
    if (purpose == "stamp") is not bool(action.policies):
        raise DocumentRefused("a unit has policies, and nothing else has")
    if purpose == "ocsp":
        _check_responder(room, proposal, action, key)
    if purpose != "stamp" and action.public:
        raise DocumentRefused("only a unit is served to the public")
    if room.settings.rehearsal and not all(policy.startswith(REHEARSAL_ARC) for policy in action.policies):
        raise DocumentRefused(f"policies of a rehearsal box stand under {REHEARSAL_ARC[:-1]}")
    if not room.settings.rehearsal and any(policy.startswith(REHEARSAL_ARC) for policy in action.policies):
        raise DocumentRefused("a rehearsal policy on a production box")


def _check_responder(room: Room, proposal: Proposal, action: ActivateKey, key: LedgerKey | None) -> None:
    issued = [a.authority for a in proposal.actions if isinstance(a, IssueCertificate) and a.key == action.key]
    if not issued and key is not None:
        issued = [answered_for(room, key).name]
    for authority in room.settings.authorities:
        if authority.name in issued[-1:]:
            check_place(room, authority, action.key)


def _purpose_in(proposal: Proposal, action: ActivateKey) -> str:
    made = (a for a in proposal.actions if isinstance(a, GenerateKey) and a.key == action.key)
    return next((a.purpose for a in made), "")


def _certified_in(proposal: Proposal, action: ActivateKey) -> bool:
    kinds = (IssueCertificate, ImportCertificate, CreateAuthority)
    return any(isinstance(a, kinds) and a.key == action.key for a in proposal.actions)


@executor(ActivateKey, check=may_activate)
async def activate_key(ctx: ExecutionContext, action: ActivateKey) -> StepResult:
    """Begin to use a key."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    state = key.state if key.state == "active" else after(key.state, "activate")
    facts = await put_to_use(ctx, key, policies=list(action.policies), public=action.public)
    ctx.room.ledger.set_state(key, state)
    return StepResult({"key": key.label, "id": key.cka_id.hex(), "purpose": key.purpose, "state": state, **facts})


async def put_to_use(
    ctx: ExecutionContext,
    key: LedgerKey,
    *,
    policies: list[str],
    public: bool,
    before: str | None = None,
) -> dict[str, Any]:
    """Bring a key into register, settings and trust; again changes nothing. `before`: the key that it is put before."""
    room = ctx.room
    if key.purpose in {"seal", "stamp", "ocsp", "release"} and not key.certificates:
        raise KeyStateRefused("the key has no certificate yet")
    await set_register(room, key, "active", ctx.digest)
    if key.purpose != "log":
        activation = Activation(policies=policies, public=public, role=key.activation.role)
        room.ledger.set_activation(key, activation)
    if key.purpose == "seal":
        entry = _seal_entry(ctx, key)
        await room.change_settings(lambda s: msgspec.structs.replace(s, seal_keys=_placed(s.seal_keys, entry, before)))
        return {"seal_key": entry.name}
    if key.purpose == "stamp":
        unit = _unit_entry(ctx, key, policies, public)
        if public:
            await ctx.administer(lambda admin: _open_to_public(admin, key, ctx.digest))
        await room.change_settings(lambda s: msgspec.structs.replace(s, units=_placed(s.units, unit, before)))
        return {"unit": unit.name, "policies": policies, "public": public}
    if key.purpose == "log":
        return await _use_for_log(ctx, key)
    if key.purpose == "authority":
        return await _use_as_authority(ctx, key)
    if key.purpose == "ocsp":
        return await answer_for(ctx, key, before)
    if key.purpose == "release":
        certificate = write_chain(ctx.home, key.label, key.certificates)
        await room.change_settings(lambda settings: with_release_key(settings, key, certificate))
        return {"release_key": name_in_envelopes(key)}
    raise DocumentRefused(f"there is no use for a key of purpose {key.purpose}")


def _placed(known: list[Any], entry: Any, before: str | None) -> list[Any]:
    """The entry among the others, in the place that it has or before the one named; last where neither is."""
    names = [one.name for one in known]
    if entry.name in names:
        return [entry if one.name == entry.name else one for one in known]
    at = names.index(before) if before in names else len(known)
    return [*known[:at], entry, *known[at:]]


def _seal_entry(ctx: ExecutionContext, key: LedgerKey) -> SealKeySettings:
    return SealKeySettings(
        name=key.label,
        tenant=str(key.tenant),
        token=key.token,
        key_uri=key.uri,
        scheme=key.scheme,
        certificate=write_chain(ctx.home, key.label, key.certificates),
    )


def _unit_entry(ctx: ExecutionContext, key: LedgerKey, policies: list[str], public: bool) -> UnitSettings:
    return UnitSettings(
        name=key.label,
        tenant=str(key.tenant),
        token=key.token,
        key_uri=key.uri,
        scheme=key.scheme,
        certificate=write_chain(ctx.home, key.label, key.certificates),
        default_policy=policies[0],
        accepted_policies=policies,
        # A system clock cannot be shown to be right, and none is declared then (control TIME).
        accuracy_us=None if ctx.settings.clock.source == "system" else DECLARED_ACCURACY_US,
        public=public,
    )


def _open_to_public(admin: AdminClient, key: LedgerKey, ceremony: str) -> None:
    """Requests without a certificate are charged to the unit's tenant, under a caller of their own."""
    tenant, name = str(key.tenant), f"{key.label}-listener"
    if register.application(admin, tenant, name) is None:
        admin.enrol_application(tenant, name, [key.label], ceremony=ceremony)
    digest = public_certificate(key.label)
    if register.certificate(admin, digest) is None:
        own = x509.load_der_x509_certificate(key.certificates[0])
        begin, end = int(own.not_valid_before_utc.timestamp()), int(own.not_valid_after_utc.timestamp())
        admin.enrol_certificate(tenant, name, digest, begin, end, ceremony=ceremony)


async def _use_as_authority(ctx: ExecutionContext, key: LedgerKey) -> dict[str, Any]:
    """An authority of the box: verifiers learn it by the trust bundle's next version, with its first CRL."""
    if not key.certificates or not key.activation.role:
        raise KeyStateRefused("the key has no root certificate yet")
    entry = CertificateAuthoritySettings(
        name=key.label,
        token=key.token,
        key_uri=key.uri,
        scheme=key.scheme,
        certificate=write_chain(ctx.home, key.label, key.certificates),
        crl=f"trust/{key.label}.crl",
    )
    await ctx.room.change_settings(
        lambda s: msgspec.structs.replace(s, authorities=_placed(s.authorities, entry, None))
    )
    version = await trust_published(ctx.room)
    return {"authority": entry.name, "role": key.activation.role, "trust_bundle": version}


async def _use_for_log(ctx: ExecutionContext, key: LedgerKey) -> dict[str, Any]:
    """A further key of the log: verifiers learn it before it signs; every key of the log signs each head from then."""
    log = log_of(ctx.settings, key.tenant)
    entry = ctx.room.ledger.key(key.tenant, key.label).activation.entry
    if not entry:
        head = await ctx.room.connected().query("head", log.origin)
        from_size = int(head[0]) + 1 if head is not None else 0
        entry = {"origin": log.origin, "key": str(verifier_of(key, log)), "first_size": from_size}
        ctx.room.ledger.set_activation(key, Activation(entry=entry))
    version = await trust_published(ctx.room)
    from_size = int(entry["first_size"])

    def change(settings: BoxSettings) -> BoxSettings:
        return _with_log(settings, key.tenant, lambda one: _with_key(one, key, from_size))

    await ctx.room.change_settings(change)
    return {"log": log.origin, "verifier_key": entry["key"], "from_size": from_size, "trust_bundle": version}


def _with_log(settings: BoxSettings, tenant: str | None, change: Callable[[LogSettings], LogSettings]) -> BoxSettings:
    logs = [change(one) if one.tenant == tenant else one for one in settings.logs]
    return msgspec.structs.replace(settings, logs=logs)


def _with_key(log: LogSettings, key: LedgerKey, from_size: int) -> LogSettings:
    if any((one.token, one.key_uri) == (key.token, key.uri) for one in log.keys):
        return log
    entry = LogKeySettings(key_uri=key.uri, token=key.token, name=log.origin, from_size=from_size)
    return msgspec.structs.replace(log, keys=[*log.keys, entry])


# Rotation


async def may_rotate(room: Room, proposal: Proposal, action: RotateKey) -> None:
    """Two keys of one owner for one purpose; the successor is certified and not in use yet."""
    key = room.ledger.key(action.tenant, action.key)
    if action.key == action.successor:
        raise DocumentRefused("a key does not follow itself")
    successor = room.ledger.find(action.tenant, action.successor)
    state = may_be(room, proposal, action.tenant, action.successor, action)
    if successor is not None and successor.state == "active" and was_begun(room, proposal):
        return  # begun by an earlier run
    if key.state != "active":
        raise KeyStateRefused(f"a key that is {key.state} is not rotated")
    if key.purpose not in {"seal", "stamp", "log", "ocsp", "release"}:
        raise DocumentRefused("an authority is followed by another one that is activated beside it")
    if successor is not None and successor.purpose != key.purpose:
        raise DocumentRefused("the successor is for another purpose")
    after(state, "activate")
    certified = key.purpose == "log" or (successor is not None and bool(successor.certificates))
    kinds = (IssueCertificate, ImportCertificate)
    if not certified and not any(isinstance(a, kinds) and a.key == action.successor for a in proposal.actions):
        raise KeyStateRefused("the successor has no certificate yet")


@executor(RotateKey, check=may_rotate)
async def rotate_key(ctx: ExecutionContext, action: RotateKey) -> StepResult:
    """The successor takes the key's place at once; the key works on until the overlap is over, by the clock."""
    ledger = ctx.room.ledger
    key, successor = ledger.key(action.tenant, action.key), ledger.key(action.tenant, action.successor)
    facts: dict[str, Any] = {}
    outputs: dict[str, bytes] = {}
    if key.purpose == "log":
        outputs["rotation.note"] = await rotation_note(ctx, key, successor)
    facts |= await put_to_use(
        ctx,
        successor,
        policies=key.activation.policies or _policies(ctx.settings, key),
        public=key.activation.public or _is_public(ctx.settings, key),
        before=key.label,
    )
    if key.tenant is not None and key.purpose != "log":
        await ctx.administer(lambda admin: _permit_alike(admin, key, successor, ctx.digest))
    ends = int((ctx.judged + datetime.timedelta(hours=action.overlap_hours)).timestamp() * 1_000_000)
    with ctx.room.journal.transaction():
        ledger.set_state(successor, "active")
        if key.ends is None:
            ledger.set_ends(key, ends)
    return StepResult(
        {
            "key": key.label,
            "successor": successor.label,
            "ends": instant_text(datetime.datetime.fromtimestamp((key.ends or ends) / 1_000_000, datetime.UTC)),
            **facts,
        },
        outputs,
    )


def _policies(settings: BoxSettings, key: LedgerKey) -> list[str]:
    unit = next((one for one in settings.units if one.name == key.label), None)
    if unit is None:
        return []
    return [unit.default_policy, *(policy for policy in unit.accepted_policies if policy != unit.default_policy)]


def _is_public(settings: BoxSettings, key: LedgerKey) -> bool:
    return any(one.name == key.label and one.public for one in settings.units)


def _permit_alike(admin: AdminClient, key: LedgerKey, successor: LedgerKey, ceremony: str) -> None:
    """Whoever may use the key by its name may use the successor."""
    tenant = str(key.tenant)
    for owner, name, permissions, _state in admin.query("register_states")["applications"]:
        if owner == tenant and key.label in permissions and successor.label not in permissions:
            if name == f"{key.label}-listener":
                continue  # the listener of that unit alone
            admin.enrol_application(tenant, name, [*permissions, successor.label], ceremony=ceremony)
