"""Every token held against the ledger, at the start and every minute; what nobody explains stops its owner at once.

A tenant is suspended in the register, the box's own token locks the box; both hold until a ceremony (ResumeTenant,
Unlock) has settled what was found. Each key of the ledger also signs something random, so that a private key that was
exchanged under its public half is seen too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

import hsm
from appliance.box.states import Cause
from appliance.ceremonies import read_proposal
from appliance.ceremonies.actions import BackUpKeys, DestroyKey, DestroyReleaseKey, RestoreKeys
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import CinnabarError, Conflict
from appliance.keymaster import register
from appliance.keymaster.context import ExecutionContext, Room, step_key_id
from appliance.keymaster.keys.comparison import Comparison, Difference, compare, data_value
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.letter_keys import give_up, is_exchanged, objects_of
from appliance.keymaster.keys.ownership import is_boxs, note, noted, owner_of
from appliance.keymaster.keys.use import is_served, leave_use, set_register
from appliance.keymaster.keys.wrapping import WRAPPING_PREFIX
from appliance.keymaster.officers.constitutions import APPLICATION
from appliance.recorder.messages import BOX_LOG
from hsm.inventory import TokenObject, destroy_objects, list_objects
from hsm.public_keys import public_key_der, verify
from hsm.vault import WRAPPING_KEY_LABEL

PIN_LABEL = "cinnabar-constitution-"
SETTLED = "settled.json"
CHALLENGE_BYTES = 32
LOOKS = 3
"""So often a difference must be seen, one look after the other, before it counts."""
LOOK_PAUSE_S = 0.5

log = structlog.get_logger("keymaster")


class StillUnexplained(Conflict):
    """The token holds what nobody explains, and what cannot be put right by going on."""

    code = "keys-still-unexplained"
    title = "The token holds what nobody explains"
    control = "QUORUM"


class LedgerWatch:
    """Compares, for one life of the keymaster."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._next = 0.0

    async def round(self) -> None:
        """Compare every token when it is time. A token that does not answer is compared in the next round."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._room.settings.key_comparison_s
        for name in sorted(self._room.ledger.tokens()):
            if any(token.name == name for token in self._room.settings.tokens):
                await self._compare(name)

    async def _compare(self, name: str) -> None:
        try:
            outcome = await look(self._room, name)
        except (hsm.HsmError, CinnabarError) as error:
            log.warning("token-not-compared", token=name, error=type(error).__name__, detail=str(error))
            self._next = 0.0
            return
        self._take_pins(name, outcome)
        await self._judge(name, outcome.differences)

    def _take_pins(self, name: str, outcome: Comparison) -> None:
        """What stays once it is there is in the ledger from then on, so that its loss is seen."""
        lasting = [one for one in outcome.explained if one.label.startswith(PIN_LABEL)]
        if lasting:
            self._room.ledger.take(name, lasting, _now_us(), origin="constitution", step=None)

    async def _judge(self, name: str, differences: tuple[Difference, ...]) -> None:
        ledger = self._room.ledger
        before = ledger.tokens().get(name)
        found = msgspec.json.encode([dataclasses.asdict(one) for one in differences]) if differences else None
        ledger.compared(name, found, _now_us())
        if before is None and not differences:
            return
        await stop_owner(self._room, name)
        if before is None:
            log.error(
                "keys-unexplained",
                control="QUORUM",
                token=name,
                found=[f"{one.what}: {one.kind} {one.label}" for one in differences],
            )
            await self._record(name, differences)

    async def _record(self, name: str, differences: tuple[Difference, ...]) -> None:
        """A leaf in the log of whose token it is."""
        now = _now_us()
        facts = {"token": name, "differences": [dataclasses.asdict(one) for one in differences]}
        subject = hashlib.sha256(msgspec.json.encode([name, now, facts])).hexdigest()
        record = CeremonyRecord(event="keys-unexplained", facts=facts, time=now)
        self._room.recording.keep_in(log_name(self._room, name), subject, now // 1000, "keys-unexplained", record)
        await self._room.recording.send(subject)


def log_name(room: Room, token: str) -> str:
    owner = owner_of(room.settings, token)
    return BOX_LOG if owner is None else room.recording.log_of(f"tenant/{owner}")


async def stop_owner(room: Room, token: str) -> None:
    """Stop all signing with the token's keys; again changes nothing."""
    owner = owner_of(room.settings, token)
    if owner is not None:
        await room.administer(lambda admin: register.set_tenant_state(admin, owner, "suspended", ""))
    elif is_boxs(room.settings, token):
        await room.control(lambda control: control.lock(Cause.KEYS_UNEXPLAINED, f"token {token}"))


def last_found(room: Room, tenant: str | None) -> int | None:
    """When something that nobody explains was last found in a token of a tenant, or of the box (None)."""
    names = [name for name in room.ledger.tokens() if owner_of(room.settings, name) == tenant]
    return max((at for name in names if (at := room.ledger.found(name)) is not None), default=None)


def stopped_tenants(room: Room) -> int:
    """How many tenants are stopped for what was found in their tokens."""
    found = [token for token, unexplained in room.ledger.tokens().items() if unexplained is not None]
    return sum(owner_of(room.settings, token) is not None for token in found)


async def look(room: Room, name: str) -> Comparison:
    """Compare one token with its ledger. What differs is looked at again: a ceremony may have been at work just then.

    Raises HsmError, NotFound."""
    outcome = await _look_once(room, name)
    for _ in range(LOOKS - 1):
        if not outcome.differences:
            return outcome
        await asyncio.sleep(LOOK_PAUSE_S)
        again = await _look_once(room, name)
        still = set(again.differences)
        differences = tuple(one for one in outcome.differences if one in still)
        outcome = dataclasses.replace(again, differences=differences)
    return outcome


async def _look_once(room: Room, name: str) -> Comparison:
    keys = [key for key in room.ledger.keys(every=True) if key.token == name and key.state != "destroyed"]
    objects, unproven = await asyncio.to_thread(_ask_token, room, name, keys)
    # What ceremonies do is read after the token: what they made before that is known by now.
    explains, may_be_missing = _rules(room, name)
    outcome = compare(room.ledger.objects(name), objects, explains, may_be_missing)
    return dataclasses.replace(outcome, differences=(*outcome.differences, *unproven))


def _ask_token(room: Room, name: str, keys: list[LedgerKey]) -> tuple[list[TokenObject], list[Difference]]:
    """Every object, and the keys whose private half does not sign for their public one. Blocks. Raises HsmError."""
    token = room.user_token(name)
    objects = list_objects(token)
    there = {one.id for one in objects if one.kind == "private-key"}
    unproven = []
    for key in keys:
        if key.cka_id not in there:
            continue  # missing, and found so
        if key.purpose == "release":
            continue  # it signs nothing; what it agrees on stands in the inventory
        message = secrets.token_bytes(CHALLENGE_BYTES)
        try:
            signing = token.signing_key(hsm.Pkcs11Uri.parse(key.uri), key.scheme)
            if public_key_der(signing.public_key) != key.public_key:
                raise hsm.KeyMismatch("the public key is another one")
            signature = signing.sign(message)
            room.tokens.counter.drop("self-test")
            verify(signing.public_key, key.scheme, message, signature)
        except (hsm.KeyMismatch, hsm.SelfTestFailed, hsm.WeakKey, hsm.KeyAmbiguous) as error:
            told = Difference("key-differs", "private-key", key.label, key.cka_id.hex(), "", (type(error).__name__,))
            unproven.append(told)
    return objects, unproven


def _rules(room: Room, name: str) -> tuple[Callable[[TokenObject], bool], Callable[[Mapping[str, Any]], bool]]:
    """What explains an object that is not in the ledger, and what excuses one that is not in the token."""
    # Also one that officers withdrew after it had failed: what its step had half made stays, used by nothing.
    begun = [row for row in room.journal.proposals(("executing", "failed", "rejected")) if row.attempt]
    running = [(row.digest, read_proposal(row.text)) for row in begun]
    being_made = {step_key_id(digest, step) for digest, proposal in running for step in range(len(proposal.actions))}
    digests = {digest for digest, _ in running}
    expected = {label for label, proposal, _ in room.ledger.expected(name) if proposal in digests}
    actions = [action for _, proposal in running for action in proposal.actions]
    backing_up = any(isinstance(action, BackUpKeys | RestoreKeys) for action in actions)
    restoring = {key for action in actions if isinstance(action, RestoreKeys) for key in action.keys}
    destroying = {action.public_key for action in actions if isinstance(action, DestroyKey | DestroyReleaseKey)}
    keys = [key for key in room.ledger.keys(every=True) if key.token == name]
    restored = {key.cka_id for key in keys if key.restored and key.state != "destroyed"}
    leaving = {
        key.cka_id.hex()
        for key in keys
        if key.state == "destroyed" or hashlib.sha256(key.public_key).hexdigest() in destroying
    }
    pins = {
        f"{PIN_LABEL}{row.version}": data_value(APPLICATION.encode(), bytes.fromhex(row.digest))
        for row in room.journal.constitutions()
    }

    def explains(one: TokenObject) -> bool:
        if one.kind == "data":
            return one.label in pins and pins[one.label] == one.value
        if one.kind in {"private-key", "public-key"} and (one.id in being_made or one.id in restored):
            return True
        if one.label in restoring:
            return True
        return one.label in expected or (backing_up and one.label.startswith(WRAPPING_PREFIX))

    def may_be_missing(told: Mapping[str, Any]) -> bool:
        return told["id"] in leaving and told["kind"] in {"private-key", "public-key"}

    return explains, may_be_missing


async def settle_owner(ctx: ExecutionContext, tenant: str | None) -> list[dict[str, Any]]:
    """`settle` every token of a tenant, or of the box (None), in which something was found; the same in a further run.

    Raises StillUnexplained, HsmError, and what a change of settings raises."""
    done = noted(ctx, SETTLED)
    if done is not None:
        return msgspec.json.decode(done, type=list[dict[str, Any]])
    room, settled = ctx.room, []
    for name, unexplained in room.ledger.tokens().items():
        begun = unexplained is not None or noted(ctx, _noted_of(name)) is not None
        if begun and owner_of(room.settings, name) == tenant:
            settled += [{"token": name, **one} for one in await settle(ctx, name)]
    return msgspec.json.decode(note(ctx, SETTLED, msgspec.json.encode(settled)), type=list[dict[str, Any]])


async def settle(ctx: ExecutionContext, name: str) -> list[dict[str, Any]]:
    """Officers let a token's owner go on: what was found is put right as far as it can be; what was done, in words.

    A new object is destroyed. A missing one is given up, and its key is destroyed in the ledger; a unit or seal key
    leaves use before that (`left_use` names it). A key of letters that was exchanged is both. Another changed object,
    and a key whose private half is another one, are refused: their keys are declared compromised and destroyed first.
    """
    room = ctx.room
    outcome = await look(room, name)
    exchanged = [one for one in outcome.differences if is_exchanged(room, name, one)]
    bad = [one for one in outcome.differences if one.what in {"changed", "key-differs"} and one not in exchanged]
    if bad:
        names = ", ".join(sorted({one.label for one in bad}))
        raise StillUnexplained(f"declare compromised, destroy and replace first: {names}")
    new = {bytes.fromhex(one.fingerprint) for one in outcome.differences if one.what == "new" or one in exchanged}
    missing = [one for one in outcome.differences if one.what == "missing"]
    if any((one.kind, one.label) == ("secret-key", WRAPPING_KEY_LABEL) for one in missing):
        # Without it nothing of the tenant's can be read or kept: a worker that starts would find its content closed.
        raise StillUnexplained("the key of the tenant's content is gone: bring its token back from a backup")
    gone = {one.id for one in (*missing, *exchanged) if one.kind == "private-key"}
    mine = [key for key in room.ledger.keys(every=True) if key.token == name and key.state != "destroyed"]
    lost = [key for key in mine if key.cka_id.hex() in gone]
    leaving = {key.cka_id.hex(): key.label for key in lost if is_served(room.settings, key)}
    told = [_told(one, leaving) for one in outcome.differences]
    # Noted before anything is done: a run after a crash finds less.
    first = msgspec.json.decode(note(ctx, _noted_of(name), msgspec.json.encode(told)), type=list[dict[str, Any]])
    known = {one["fingerprint"] for one in first}
    for key in lost:
        if not is_served(room.settings, key):
            continue
        if key.state in {"active", "suspended"}:
            await set_register(room, key, "deactivated", ctx.digest)
        await leave_use(room, key)  # a worker that starts looks for every key of the settings
    await give_up(room, name, [*missing, *exchanged])
    if new:
        await asyncio.to_thread(lambda: destroy_objects(room.user_token(name), new))
    with room.journal.transaction():
        room.ledger.drop(name, [bytes.fromhex(one.fingerprint) for one in missing])
        room.ledger.drop(name, objects_of(room.ledger.objects(name), exchanged))
        for key in lost:
            room.ledger.set_state(key, "destroyed")
        room.ledger.settled(name)
    return [*first, *(one for one in told if one["fingerprint"] not in known)]


def _told(one: Difference, leaving: Mapping[str, str]) -> dict[str, Any]:
    """What was found, as a step's facts have it."""
    told = dataclasses.asdict(one)
    if one.what == "missing" and one.kind == "private-key" and one.id in leaving:
        told["left_use"] = leaving[one.id]
    return told


def _noted_of(token: str) -> str:
    """Where a step notes what it found in a token."""
    return f"settled-{token}.json"


def _now_us() -> int:
    return time.time_ns() // 1000
