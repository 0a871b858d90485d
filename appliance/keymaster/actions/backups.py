"""Backing keys up and restoring them: a wrapping key that no person and no disk ever has, split among custodians.

A backup that dies before its file is written has made nothing: the wrapping key was in memory alone, its shares open
nothing, and what stands of it in a token is taken away at the next start. Run again, it makes a new set of shares.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
from contextlib import suppress
from typing import Any

import hsm
from appliance.box.pins import pin_path
from appliance.box.settings import BoxSettings
from appliance.ceremonies import DocumentRefused, Proposal, encode, instant_text
from appliance.ceremonies.actions import BackUpKeys, RestoreKeys
from appliance.ceremonies.constitution import Person
from appliance.errors import Conflict
from appliance.files import write_file
from appliance.keymaster.context import ExecutionContext, Room, token_settings
from appliance.keymaster.keys import envelopes
from appliance.keymaster.keys.backups import (
    BackedUpKey,
    Custodian,
    KeyBackup,
    directory,
    find_key_backup,
    read_key_backup,
)
from appliance.keymaster.keys.custody import KeyRow, find_key, note_restored
from appliance.keymaster.keys.ownership import is_boxs, owner_of, tokens_of_letters
from appliance.keymaster.keys.shares import Share, ShareRefused, make_shares, read_share, recover
from appliance.keymaster.keys.wrapping import (
    WRAPPING_PREFIX,
    BackupFailed,
    BackupKey,
    Wrap,
    Wrapped,
    attributes_of,
    run_job,
    throwaway_module,
    trial,
)
from appliance.keymaster.registry import StepResult, executor
from hsm.backup import restore_key
from hsm.keys import destroy_key_pair, list_keys
from hsm.public_keys import public_key_der

CONFIRMED_WORDS = 4
"""Words of a share that its custodian types back."""
COMMON_WORDS = 4
"""Words that every share of a set begins with: the first 42 of their 44 bits are version, set id and threshold."""
ATTEMPTS = 5
WRAPPING_ATTEMPTS = 3
WRAPPABLE = ("ecdsa-", "rsa-")
_WORDS_A_LINE = 6


# Backing up


async def may_back_up(room: Room, _proposal: Proposal, action: BackUpKeys) -> None:
    """Keys made for backup, of this scope; custodians whom the constitution knows. Raises Conflict, DocumentRefused."""
    if len(set(action.keys)) != len(action.keys) or not action.keys:
        raise DocumentRefused("each key is backed up once")
    if len(set(action.custodians)) != len(action.custodians) or action.threshold > len(action.custodians):
        raise DocumentRefused("each custodian gets one share, and there are at least as many as are needed")
    law = room.constitutions.in_force()
    for name in action.custodians:
        person = law.person(name)
        if person is None:
            raise DocumentRefused(f"{name} is no person of the constitution")
        if person.card_decryption:
            envelopes.recipient_key(base64.b64decode(person.card_decryption))
    for name in action.keys:
        key = find_key(room, action.tenant, name)
        if not key.for_backup:
            raise Conflict(f"{name} was not made for backup: rotate it to a key that is")
        if not key.scheme.startswith(WRAPPABLE):
            raise Conflict(f"{name} is of a kind that tokens do not wrap: rotate it by a ceremony that both keys sign")
        if key.state == "destroyed":
            raise Conflict(f"{name} is destroyed")
    throwaway_module(_modules(room.settings))


@executor(BackUpKeys, check=may_back_up)
async def back_up(ctx: ExecutionContext, action: BackUpKeys) -> StepResult:
    """Wrap, prove by a trial restore, hand the shares out, and only then write the file."""
    path = directory(ctx.home) / f"{ctx.digest[:16]}-{ctx.step}.json"
    if path.exists():
        text = path.read_bytes()
        backup = read_key_backup(text)
        if backup.proposal == ctx.digest:
            return StepResult(_facts(backup, text))
    keys = [find_key(ctx.room, action.tenant, name) for name in action.keys]
    shares, wrapped = await _wrapped_and_proven(ctx, action, keys)
    custodians = [
        await _hand_out(ctx, _person(ctx, name), share) for name, share in zip(action.custodians, shares, strict=True)
    ]
    backup = KeyBackup(
        box=ctx.settings.box_id,
        rehearsal=ctx.settings.rehearsal,
        scope=action.scope_of(),
        proposal=ctx.digest,
        made=instant_text(ctx.judged),
        share_set=shares[0].set_id.hex(),
        threshold=action.threshold,
        custodians=custodians,
        keys=wrapped,
    )
    text = encode(backup)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await asyncio.to_thread(write_file, path, text, 0o600)
    return StepResult(_facts(backup, text))


async def _wrapped_and_proven(
    ctx: ExecutionContext, action: BackUpKeys, keys: list[KeyRow]
) -> tuple[list[Share], list[BackedUpKey]]:
    """Shares of a wrapping key, proven, and the keys under it. A wrapping key is tried once: one that a token did not
    take as it should never wraps anything."""
    pins = {name: await so_pin(ctx, name) for name in dict.fromkeys(key.token for key in keys)}
    for attempt in range(WRAPPING_ATTEMPTS):
        value = os.urandom(32)
        shares = make_shares(value, action.threshold, len(action.custodians))
        try:
            wrapped = await _wrap(ctx, keys, value, pins)
        except BackupFailed:
            if attempt + 1 == WRAPPING_ATTEMPTS:
                raise
            continue
        module, texts = throwaway_module(_modules(ctx.settings)), [share.words() for share in shares]
        await trial(ctx.scratch, module, texts, [_wrapped_key(key) for key in wrapped])
        return shares, wrapped
    raise BackupFailed("no wrapping key was taken")


async def _wrap(ctx: ExecutionContext, keys: list[KeyRow], value: bytes, pins: dict[str, str]) -> list[BackedUpKey]:
    made: dict[str, BackedUpKey] = {}
    for name in dict.fromkeys(key.token for key in keys):
        token = token_settings(ctx.settings, name)
        mine = [key for key in keys if key.token == name]
        job = Wrap(
            uri=token.uri,
            pin_file=str(pin_path(ctx.home, token)),
            so_pin=pins[name],
            label=f"{WRAPPING_PREFIX}{secrets.token_hex(4)}",
            value=value,
            keys=[BackupKey(key.label, key.cka_id, key.scheme, key.public_key) for key in mine],
        )
        outcome = await run_job(job)
        if not isinstance(outcome, Wrapped):
            raise BackupFailed("the token wrapped nothing")
        for key, blob, attributes in zip(mine, outcome.wrapped, outcome.attributes, strict=True):
            made[key.label] = BackedUpKey(
                name=key.label,
                token=name,
                id=key.cka_id.hex(),
                scheme=key.scheme,
                purpose=key.purpose,
                public_key=base64.b64encode(key.public_key).decode(),
                attributes=attributes,
                wrapped=base64.b64encode(blob).decode(),
            )
    return [made[key.label] for key in keys]


async def _hand_out(ctx: ExecutionContext, person: Person, share: Share) -> Custodian:
    """Give one custodian her share: in an envelope for her card, or as words on the console that she takes down."""
    words = share.words()
    if person.card_decryption:
        envelope = envelopes.seal(words.encode(), base64.b64decode(person.card_decryption))
        return _custodian(person, share, "card", base64.b64encode(envelope).decode())
    who = f"{person.name} ({person.id})"
    lines = [" ".join(group) for group in _grouped(words.split())]
    text = "\n".join([f"Share {share.index}, set {share.set_id.hex()}, {share.threshold} shares needed", "", *lines])
    for _ in range(ATTEMPTS):
        await ctx.show(f"The share of {who}, for nobody else's eyes", text)
        if await _confirmed(ctx, who, words.split()):
            return _custodian(person, share, "console", "")
    raise ShareRefused(f"{person.id} did not type the words of the share back")


async def _confirmed(ctx: ExecutionContext, who: str, words: list[str]) -> bool:
    places = sorted(secrets.SystemRandom().sample(range(COMMON_WORDS, len(words)), CONFIRMED_WORDS))
    numbers = ", ".join(str(place + 1) for place in places)
    typed = (await ctx.ask(f"{who}: words {numbers} of your share")).lower().split()
    wanted = [words[place] for place in places]
    return [word[:4] for word in typed] == [word[:4] for word in wanted]


def _grouped(words: list[str]) -> list[list[str]]:
    return [
        [f"{first + number + 1:>2} {word:<9}" for number, word in enumerate(words[first : first + _WORDS_A_LINE])]
        for first in range(0, len(words), _WORDS_A_LINE)
    ]


def _custodian(person: Person, share: Share, how: Any, envelope: str) -> Custodian:
    return Custodian(
        person=person.id,
        name=person.name,
        index=share.index,
        share=share.mark,
        handed_out=how,
        envelope=envelope,
    )


def _person(ctx: ExecutionContext, name: str) -> Person:
    person = ctx.law.person(name)
    if person is None:
        raise DocumentRefused(f"{name} is no person of the constitution")
    return person


def _facts(backup: KeyBackup, text: bytes) -> dict[str, Any]:
    return {
        "backup": hashlib.sha256(text).hexdigest(),
        "share_set": backup.share_set,
        "threshold": backup.threshold,
        "custodians": [
            {"person": one.person, "index": one.index, "handed_out": one.handed_out} for one in backup.custodians
        ],
        "keys": [{"name": key.name, "token": key.token, "attributes": key.attributes} for key in backup.keys],
        "proven": "restored in a throwaway token from the shares as handed out",
    }


async def so_pin(ctx: ExecutionContext, token: str) -> str:
    """The security officer's PIN: from HOME/secrets where it is kept and ours to read, else typed on the console."""
    with suppress(hsm.PinUnavailable):
        return hsm.PinFile(ctx.home.secrets / f"{token}.so-pin")()
    return (await ctx.ask(f"The security officer's PIN of token {token}")).strip()


def _wrapped_key(key: BackedUpKey) -> BackupKey:
    return BackupKey(
        key.name,
        bytes.fromhex(key.id),
        key.scheme,
        base64.b64decode(key.public_key),
        base64.b64decode(key.wrapped),
    )


def _modules(settings: BoxSettings) -> list[str]:
    return [module for token in settings.tokens if (module := hsm.Pkcs11Uri.parse(token.uri).module_path) is not None]


# Restoring


async def may_restore(room: Room, _proposal: Proposal, action: RestoreKeys) -> None:
    """A backup of this scope that is here, with these keys. Raises NotFound, Conflict, DocumentRefused."""
    backup = find_key_backup(room.home, action.backup)
    if backup.scope != action.scope_of():
        raise Conflict("the backup is another scope's")
    if backup.rehearsal is not room.settings.rehearsal:
        raise Conflict("rehearsal and production never mix")
    if not action.keys or len(set(action.keys)) != len(action.keys):
        raise DocumentRefused("each key is restored once")
    missing = set(action.keys) - {key.name for key in backup.keys}
    if missing:
        raise Conflict(f"the backup has no key {', '.join(sorted(missing))}")
    token_settings(room.settings, action.token)
    _check_owner(room, action)


@executor(RestoreKeys, check=may_restore)
async def restore(ctx: ExecutionContext, action: RestoreKeys) -> StepResult:
    """Bring the shares together on the console, and unwrap each key once; a run after a crash does what is left."""
    backup = find_key_backup(ctx.home, action.backup)
    wanted = [_wrapped_key(key) for key in backup.keys if key.name in action.keys]
    token = await asyncio.to_thread(ctx.room.user_token, action.token)
    waiting = [key for key in wanted if not await asyncio.to_thread(_stands, token, key)]
    people: list[str] = []
    if waiting:
        shares = await _collect(ctx, backup)
        people = [custodian.person for custodian, _ in shares]
        value = recover([share for _, share in shares])
        for key in waiting:
            await asyncio.to_thread(_restore_one, token, key, value)
        del value
    shown = {key.object: await asyncio.to_thread(attributes_of, token, key) for key in wanted}
    by_name = {key.name: key for key in backup.keys}
    for name in action.keys:
        note_restored(ctx.room, action.tenant, action.token, by_name[name], base64.b64decode(by_name[name].public_key))
    return StepResult(
        {
            "backup": action.backup,
            "from_box": backup.box,
            "token": action.token,
            "custodians": people,
            "keys": [{"name": name, "attributes": shown[name]} for name in action.keys],
        }
    )


async def _collect(ctx: ExecutionContext, backup: KeyBackup) -> list[tuple[Custodian, Share]]:
    """As many good shares as are needed. A slip is told to the one who typed it, and asked for again."""
    found: dict[int, tuple[Custodian, Share]] = {}
    refused, note = 0, ""
    while len(found) < backup.threshold:
        waiting = ", ".join(one.person for one in backup.custodians if one.index not in found)
        prompt = f"{note}Share {len(found) + 1} of {backup.threshold} of set {backup.share_set}, from one of {waiting}"
        typed = await ctx.ask(prompt)
        try:
            share = read_share(typed)
            custodian = backup.custodian_of(share)
        except ShareRefused as error:
            refused += 1
            if refused > ATTEMPTS * backup.threshold:
                raise
            note = f"Refused: {error}. "
            continue
        note = f"{custodian.person} had her turn already. " if share.index in found else ""
        found[share.index] = (custodian, share)
    return list(found.values())


def _stands(token: hsm.Token, key: BackupKey) -> bool:
    """Whether exactly this key is in the token. Half of one, left by a crash, is taken away. Raises KeyExists."""
    names = {(uri.object, uri.id) for uri in list_keys(token)}
    if (key.object, key.id) not in names:
        return False
    try:
        standing = token.signing_key(key.uri, key.scheme)
    except (hsm.KeyNotFound, hsm.WeakKey, hsm.KeyMismatch):
        destroy_key_pair(token, key.uri)
        return False
    if public_key_der(standing.public_key) != key.public_key:
        raise hsm.KeyExists(f"another key called {key.object} is in the token")
    return True


def _restore_one(token: hsm.Token, key: BackupKey, value: bytes) -> None:
    restore_key(token, key.wrapped, value, key.uri, key.scheme, key.public)


def _check_owner(room: Room, action: RestoreKeys) -> None:
    """A tenant's keys go into its own token, one that stands by for it, or one that is nobody's yet; the box's never
    into a tenant's."""
    settings = room.settings
    owner, boxs = owner_of(settings, action.token), is_boxs(settings, action.token)
    if action.token in tokens_of_letters(settings):
        raise Conflict("the token has keys of letters and nothing else")
    if (owner is not None and owner == action.tenant) or (boxs and action.tenant is None):
        return
    kept = [key for key in room.ledger.keys(every=True) if key.token == action.token and key.state != "destroyed"]
    if owner is not None or boxs or any(key.tenant != action.tenant for key in kept):
        raise Conflict("the token is another's")
