"""Keys: made, stopped, brought back, declared compromised, destroyed (appliance.keymaster.keys.states).

What stops a key acts in the recorder's register, on every signature that is not on record yet, before anything else.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import time
from typing import Any, Final

import msgspec

import hsm
from appliance.ceremonies import DocumentRefused, Proposal, instant, proposal_digest
from appliance.ceremonies.actions import (
    ActivateKey,
    DeactivateKey,
    DeclareCompromised,
    DestroyKey,
    GenerateKey,
    ResumeKey,
    SuspendKey,
)
from appliance.errors import Conflict, NotFound
from appliance.keymaster.certificates.trust_changes import trust_published
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.ownership import check_token
from appliance.keymaster.keys.release_keys import SCHEME as RELEASE_SCHEME
from appliance.keymaster.keys.release_keys import check_release_token, public_key_in
from appliance.keymaster.keys.signed_records import affected
from appliance.keymaster.keys.states import Change, KeyState, KeyStateRefused, after
from appliance.keymaster.keys.use import forget_authority, is_fronts_authority, leave_use, may_leave_log, set_register
from appliance.keymaster.registry import StepResult, answers, executor
from appliance.keymaster.standing import check_taken
from appliance.recorder.messages import BOX_LOG
from hsm.agreement import settle_or_make_agreement_key
from hsm.inventory import TokenObject, list_objects
from hsm.keys import destroy_key_pair, generate_key_pair, settle_half_made
from hsm.mechanisms import SCHEMES
from hsm.public_keys import public_key_der

_FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "seal": ("ecdsa-", "rsa-", "ed25519", "ml-dsa-"),
    "stamp": ("ecdsa-", "rsa-", "ed25519", "ml-dsa-"),
    "log": ("ed25519",),
    "authority": ("ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pkcs1-sha256", "rsa-pkcs1-sha384"),
    "ocsp": ("ecdsa-p", "rsa-pkcs1-"),
    "release": (RELEASE_SCHEME,),
    "account": ("ecdsa-secp256k1-sha256",),
}
"""What each purpose can be done with. What authorities and responders sign must be read by every verifier: ECDSA on
P-256 and P-384, and RSA with PKCS #1 v1.5 (RFC 5754), whose keys here have 3072 bits."""


def now_us() -> int:
    return time.time_ns() // 1000


# Making


async def may_generate(room: Room, proposal: Proposal, action: GenerateKey) -> None:
    """A free name, a token of the owner's, a scheme that serves the purpose, an end to come."""
    if action.purpose == "release":
        check_release_token(room, proposal, action)
    else:
        check_token(room.settings, proposal, action.tenant, action.token)
    if action.scheme not in {*SCHEMES, RELEASE_SCHEME} or not action.scheme.startswith(_FAMILIES[action.purpose]):
        raise DocumentRefused(f"a key of scheme {action.scheme} cannot be used for: {action.purpose}")
    if action.purpose in {"authority", "ocsp", "account"} and action.tenant is not None:
        raise DocumentRefused("authorities, their responders and accounts on ledgers are the box's own")
    if action.purpose in {"seal", "stamp"} and action.tenant is None:
        raise DocumentRefused("seal keys and units are a tenant's")
    if instant(action.until) <= datetime.datetime.now(datetime.UTC):
        raise DocumentRefused("the cryptoperiod is over before it begins")
    named = [other.key for other in proposal.actions if isinstance(other, GenerateKey)]
    own = room.ledger.find(action.tenant, action.key)
    if named.count(action.key) > 1:
        raise DocumentRefused("a key is made once")
    if own is not None and own.proposal == proposal_digest(proposal):
        return  # it was made by this very proposal, which goes on after a crash
    if room.ledger.is_taken(action.key):
        raise Conflict("the name is taken")


@executor(GenerateKey, check=may_generate)
async def generate_key(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
    """Make the pair in its token under the id that follows from the proposal, so that what a crash left is found."""
    if action.purpose == "release":
        check_release_token(ctx.room, ctx.proposal, action)
    else:
        check_token(ctx.settings, None, action.tenant, action.token)
    public, objects = await asyncio.to_thread(_make, ctx, action)
    ledger = ctx.room.ledger
    if ledger.by_id(action.token, ctx.key_id) is None:
        with ctx.room.journal.transaction():
            ledger.add_key(
                token=action.token,
                cka_id=ctx.key_id,
                label=action.key,
                purpose=action.purpose,
                scheme=action.scheme,
                tenant=action.tenant,
                public_key=public,
                made=now_us(),
                proposal=ctx.digest,
                step=ctx.step,
                until=int(instant(action.until).timestamp() * 1_000_000),
                signature_limit=action.signature_limit,
                applications=list(action.applications),
                for_backup=action.for_backup,
            )
            ledger.take(action.token, objects, now_us(), origin=ctx.digest, step=ctx.step)
    private = next(one for one in objects if one.kind == "private-key")
    facts = {
        "key": action.key,
        "token": action.token,
        "id": ctx.key_id.hex(),
        "scheme": action.scheme,
        "purpose": action.purpose,
        "public_key": hashlib.sha256(public).hexdigest(),
        "until": action.until,
        "signature_limit": action.signature_limit,
        "applications": list(action.applications),
        "attributes": {"true": list(private.flags), "false": list(private.cleared)},
        "state": "pre-active",
    }
    return StepResult(facts, {"public-key.der": public})


def _make(ctx: ExecutionContext, action: GenerateKey) -> tuple[bytes, list[TokenObject]]:
    token = ctx.room.user_token(action.token)
    if action.purpose == "release":
        settle_or_make_agreement_key(token, action.key, id=ctx.key_id)
    elif not settle_half_made(token, action.key, action.scheme, id=ctx.key_id, for_backup=action.for_backup):
        generate_key_pair(token, action.key, action.scheme, id=ctx.key_id, for_backup=action.for_backup)
    public = public_key_in(token, hsm.Pkcs11Uri(id=ctx.key_id), action.scheme)
    return public_key_der(public), pair(token, ctx.key_id)


def pair(token: hsm.Token, cka_id: bytes) -> list[TokenObject]:
    """The private and public key objects of one id. Blocks."""
    return [one for one in list_objects(token) if one.id == cka_id and one.kind in {"private-key", "public-key"}]


# Stopping, and coming back


KeyAction = SuspendKey | DeactivateKey | ResumeKey | DeclareCompromised | DestroyKey
CHANGES: Final[dict[type, Change]] = {
    SuspendKey: "suspend",
    DeactivateKey: "deactivate",
    ResumeKey: "resume",
    DeclareCompromised: "compromise",
    DestroyKey: "destroy",
}


def may_be(room: Room, proposal: Proposal, tenant: str | None, name: str, before: object) -> KeyState:
    """The state that a key will have when the action `before` is reached, as far as the proposal's earlier ones say.

    Raises NotFound, KeyStateRefused."""
    key = room.ledger.find(tenant, name)
    state: KeyState | None = None if key is None else key.state
    made_here = key is not None and key.proposal == proposal_digest(proposal)
    for action in proposal.actions:
        if action is before:
            break
        if isinstance(action, GenerateKey) and (action.tenant, action.key) == (tenant, name) and not made_here:
            state = "pre-active"
        if isinstance(action, ActivateKey) and (action.tenant, action.key) == (tenant, name) and state == "pre-active":
            state = "active"
    if state is None:
        raise NotFound("there is no such key")
    return state


def was_begun(room: Room, proposal: Proposal) -> bool:
    """Whether an execution of the proposal was begun before, so that steps of it may be done already."""
    row = room.journal.proposal(proposal_digest(proposal))
    return row is not None and row.attempt > 0


async def may_change(room: Room, proposal: Proposal, action: KeyAction) -> None:
    """The key is the scope's own, and in a state from which this leads on."""
    key = room.ledger.key(action.tenant, action.key)
    change = CHANGES[type(action)]
    if isinstance(action, DestroyKey) and key.purpose == "authority" and is_fronts_authority(room, key):
        raise KeyStateRefused("the front and the applications have their certificates by it: it stays")
    if not (_is_done(key, change) and was_begun(room, proposal)):
        after(key.state, change)
    if key.purpose == "log" and isinstance(action, SuspendKey | ResumeKey):
        raise KeyStateRefused("a log key leaves beside another one, for good: each head names its keys by size")
    if key.purpose == "log" and key.state == "active" and not may_leave_log(room, key):
        raise KeyStateRefused("the log has no other key: rotate it first")
    if isinstance(action, DestroyKey):
        check_public_key(key, action.public_key)
        if key.purpose == "release":
            raise DocumentRefused("of a release key the proposal says how much is lost with it: destroy-release-key")
    if isinstance(action, DeclareCompromised) and instant(action.since) > datetime.datetime.now(datetime.UTC):
        raise DocumentRefused("a key cannot be compromised from a time to come")
    if isinstance(action, ResumeKey):
        check_taken(room, proposal, stopped=key.state != "active", since_us=key.changed)
    if isinstance(action, ResumeKey) and key.until is not None and key.until <= now_us():
        raise KeyStateRefused("the key's cryptoperiod is over: it does not come back")


def _is_done(key: LedgerKey, change: Change) -> bool:
    done: dict[Change, KeyState] = {
        "suspend": "suspended",
        "deactivate": "deactivated",
        "resume": "active",
        "compromise": "compromised",
        "destroy": "destroyed",
        "activate": "active",
    }
    return key.state == done[change]


def check_public_key(key: LedgerKey, digest: str) -> None:
    """Whether the key is the one meant, by the SHA-256 of its SubjectPublicKeyInfo. Raises Conflict."""
    if hashlib.sha256(key.public_key).hexdigest() != digest:
        raise Conflict("the key of that name has another public key than the proposal says")


@executor(SuspendKey, check=may_change)
async def suspend_key(ctx: ExecutionContext, action: SuspendKey) -> StepResult:
    """At once, reversibly, on one officer's word."""
    return await _stop(ctx, action)


@executor(DeactivateKey, check=may_change)
async def deactivate_key(ctx: ExecutionContext, action: DeactivateKey) -> StepResult:
    """The end of use as planned; the key is kept, and can be destroyed or brought back."""
    return await _stop(ctx, action)


async def _stop(ctx: ExecutionContext, action: SuspendKey | DeactivateKey) -> StepResult:
    key = ctx.room.ledger.key(action.tenant, action.key)
    change = CHANGES[type(action)]
    state = key.state if _is_done(key, change) else after(key.state, change)
    await set_register(ctx.room, key, state, ctx.digest)
    if key.purpose == "log":
        await leave_use(ctx.room, key)
    ctx.room.ledger.set_state(key, state)
    return StepResult({"key": key.label, "id": key.cka_id.hex(), "state": state})


@executor(ResumeKey, check=may_change)
async def resume_key(ctx: ExecutionContext, action: ResumeKey) -> StepResult:
    """Back into use, as it was activated."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    check_taken(ctx.room, ctx.proposal, stopped=key.state != "active", since_us=key.changed)
    state = key.state if _is_done(key, "resume") else after(key.state, "resume")
    await asyncio.to_thread(prove, ctx.room, key)
    ctx.room.ledger.set_ends(key, None)
    ctx.room.ledger.set_state(key, state)
    await set_register(ctx.room, key, state, ctx.digest)
    return StepResult({"key": key.label, "id": key.cka_id.hex(), "state": state})


def prove(room: Room, key: LedgerKey) -> None:
    """The token still has this very key. Blocks. Raises HsmError, Conflict."""
    found = public_key_in(room.user_token(key.token), hsm.Pkcs11Uri.parse(key.uri), key.scheme)
    if public_key_der(found) != key.public_key:
        raise Conflict("the token has another key under that id")


# For ever


@executor(DeclareCompromised, check=may_change)
async def declare_compromised(ctx: ExecutionContext, action: DeclareCompromised) -> StepResult:
    """The key stops at once; its certificate is revoked; what it signed since is counted and can be listed."""
    ledger = ctx.room.ledger
    key = ledger.key(action.tenant, action.key)
    if not _is_done(key, "compromise"):
        after(key.state, "compromise")
    since = int(instant(action.since).timestamp() * 1_000_000)
    key = msgspec.structs.replace(key, compromised=since, because=action.because)
    await set_register(ctx.room, key, "compromised", ctx.digest)
    if key.purpose in {"log", "ocsp"}:
        await leave_use(ctx.room, key)
    with ctx.room.journal.transaction():
        ledger.set_compromised(key, since, action.because)
        ledger.set_state(key, "compromised")
    revoked = []
    for certificate in key.certificates[:1]:
        digest = hashlib.sha256(certificate).digest()
        if (ctx.home.issued / f"{digest.hex()}.pem").exists():
            await ctx.administer(
                lambda admin, digest=digest: admin.set_certificate(  # type: ignore[misc]
                    key.tenant or BOX_LOG, digest, "revoked", "key-compromise", ceremony=ctx.digest
                )
            )
            revoked.append(digest.hex())
    published: dict[str, Any] = {}
    if key.purpose == "authority":
        published["trust_bundle"] = await trust_published(ctx.room)
    facts: dict[str, Any] = {
        "key": key.label,
        "id": key.cka_id.hex(),
        "state": "compromised",
        "since": action.since,
        "because": action.because,
        "revoked": revoked,
        "affected": await affected(ctx.room, key, since),
        **published,
    }
    return StepResult(facts)


@executor(DestroyKey, check=may_change)
async def destroy_key(ctx: ExecutionContext, action: DestroyKey) -> StepResult:
    """Both halves leave the token, and every other one that it was restored into. The ledger keeps what the key was."""
    key = ctx.room.ledger.key(action.tenant, action.key)
    check_public_key(key, action.public_key)
    if not _is_done(key, "destroy"):
        after(key.state, "destroy")
    gone = await destroy_everywhere(ctx, key)
    return StepResult(
        {"key": key.label, "id": key.cka_id.hex(), "public_key": action.public_key, "state": "destroyed", "found": gone}
    )


async def destroy_everywhere(ctx: ExecutionContext, key: LedgerKey) -> bool:
    """Out of the settings and out of every token that has it; whether it was there still. Again changes nothing."""
    if key.purpose == "authority":
        await forget_authority(ctx.room, key)
    else:
        await leave_use(ctx.room, key)
    gone = False
    for copy in ctx.room.ledger.copies(key) or [key]:
        gone |= await asyncio.to_thread(_destroy, ctx.room, copy)
        _forget(ctx.room, copy)
    return gone


def _forget(room: Room, key: LedgerKey) -> None:
    with room.journal.transaction():
        mine = [
            fingerprint
            for fingerprint, told in room.ledger.objects(key.token).items()
            if told["id"] == key.cka_id.hex() and told["kind"] in {"private-key", "public-key"}
        ]
        room.ledger.drop(key.token, mine)
        room.ledger.set_state(key, "destroyed")


def _destroy(room: Room, key: LedgerKey) -> bool:
    """Whether it was there still."""
    token = room.user_token(key.token)
    found = False
    uri = hsm.Pkcs11Uri(id=key.cka_id)
    if any(one.kind == "private-key" for one in pair(token, key.cka_id)):
        destroy_key_pair(token, uri)
        found = True
    if pair(token, key.cka_id):
        raise Conflict("the token still has an object of the key")
    return found


# What the desk tells


@answers("keys")
async def keys(room: Room, scope: str) -> list[dict[str, Any]]:
    """The keys of a scope: `box`, or `tenant/NAME`."""
    tenant = scope.removeprefix("tenant/") if scope.startswith("tenant/") else None
    return [shown(key) for key in room.ledger.keys(tenant)]


def shown(key: LedgerKey) -> dict[str, Any]:
    """A key as pages tell of it. Times in microseconds since the epoch."""
    return {
        "name": key.label,
        "token": key.token,
        "id": key.cka_id.hex(),
        "purpose": key.purpose,
        "scheme": key.scheme,
        "state": key.state,
        "public_key": hashlib.sha256(key.public_key).hexdigest(),
        "made": key.made,
        "until": key.until,
        "ends": key.ends,
        "signature_limit": key.signature_limit,
        "applications": key.applications,
        "for_backup": key.for_backup,
        "restored": key.restored,
        "certificates": [hashlib.sha256(one).hexdigest() for one in key.certificates],
        "compromised": key.compromised,
        "because": key.because,
        "proposal": key.proposal,
    }
