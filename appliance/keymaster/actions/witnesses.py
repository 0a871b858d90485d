"""The witnesses of a log: its quorum says who they are and how many must cosign; the trust bundle tells verifiers.

First the box asks the new ones, then verifiers count them: up to the size that the log has then, what stood before is
enough as well, so that no proof that passed stops passing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from typing import Any

import msgspec

from appliance.box.settings import BoxSettings, LogSettings, WitnessSettings
from appliance.box.witnesses import WitnessesRefused, read_witness, read_witnesses
from appliance.ceremonies import DocumentRefused, Proposal, instant_text
from appliance.ceremonies.actions import SetWitnesses
from appliance.evidence.directory import read_directory
from appliance.keymaster.certificates.trust_bundles import read_last
from appliance.keymaster.certificates.trust_changes import trust_published
from appliance.keymaster.certificates.witness_policies import LogWitnesses, read_policies, write_policies
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.log_keys import log_of
from appliance.keymaster.keys.ownership import note
from appliance.keymaster.registry import StepResult, executor
from appliance.log.errors import MalformedNote
from appliance.log.note import VerifierKey


async def sensible(room: Room, _proposal: Proposal, action: SetWitnesses) -> None:
    """The witnesses can be, beside those of other logs, and so can their policy."""
    changed(room.settings, action)
    await asyncio.to_thread(_check_keys, room, action)
    _check_revoked(room, action)


def changed(settings: BoxSettings, action: SetWitnesses) -> BoxSettings:
    """The settings with the log's witnesses. Raises DocumentRefused, NotFound."""
    log = log_of(settings, action.tenant)
    given = [_entry(text, action) for text in action.witnesses]
    names = {read_witness(entry).name: entry for entry in given}
    others = {name for one in settings.logs if one.origin != log.origin for name in one.witnesses}
    known = {read_witness(entry).name: entry for entry in settings.witnesses}
    for name, entry in names.items():
        if name in others and known.get(name) not in (None, entry):
            raise DocumentRefused(f"another log has the witness {name}, with another key, address or CA")
    kept = [entry for name, entry in known.items() if name in others and name not in names]
    placed = msgspec.structs.replace(log, witnesses=list(names), witness_quorum=action.needed)

    def fitted(one: LogSettings) -> LogSettings:
        return placed if one.origin == log.origin else one

    following = msgspec.structs.replace(
        settings, witnesses=[*kept, *given], logs=[fitted(one) for one in settings.logs]
    )
    try:
        read_witnesses(following)
    except WitnessesRefused as error:
        raise DocumentRefused(str(error)) from None
    return following


def _entry(text: str, action: SetWitnesses) -> WitnessSettings:
    key, _, url = text.partition("=")
    try:
        pem = [ssl.DER_cert_to_PEM_cert(base64.b64decode(one, validate=True)) for one in action.witness_authorities]
        entry = WitnessSettings(key=key, url=url, ca="".join(pem) or None)
        read_witness(entry)
    except (WitnessesRefused, binascii.Error) as error:
        raise DocumentRefused(f"{text}: {error}") from None
    return entry


def _check_keys(room: Room, action: SetWitnesses) -> None:
    """A key that verifiers know is no other witness's, nor revoked: the next bundle could not be made. Blocks."""
    known = read_last(read_directory(room.home.trust)).document.witnesses
    for text in action.witnesses:
        key = VerifierKey.parse(text.partition("=")[0])
        for entry in known:
            before = VerifierKey.parse(entry.key)
            if before.public == key.public and (before.name != key.name or entry.revoked is not msgspec.UNSET):
                raise DocumentRefused(f"the key of {key.name} is another witness's, or was revoked")


def _check_revoked(room: Room, action: SetWitnesses) -> None:
    """A tenant takes nothing from another's log: only keys of its own log's witnesses, past or present."""
    origin = log_of(room.settings, action.tenant).origin
    decided = read_policies(room.home.witness_policies).logs
    others = {VerifierKey.parse(key).name for name, log in decided.items() if name != origin for key in log.witnesses}
    others |= {name for log in room.settings.logs if log.origin != origin for name in log.witnesses}
    for text in action.revoked:
        try:
            name = VerifierKey.parse(text).name
        except MalformedNote as error:
            raise DocumentRefused(f"{text}: {error}") from None
        if action.tenant is not None and name in others:
            raise DocumentRefused(f"{name} is another log's witness, too: the box's officers revoke its key")
        if any(witness.partition("=")[0] == text for witness in action.witnesses):
            raise DocumentRefused(f"{name} cannot go on under a key that is revoked")


@executor(SetWitnesses, check=sensible)
async def set_witnesses(ctx: ExecutionContext, action: SetWitnesses) -> StepResult:
    await sensible(ctx.room, ctx.proposal, action)
    await ctx.room.change_settings(lambda settings: changed(settings, action))
    origin = log_of(ctx.settings, action.tenant).origin
    # Heads that were settled under the witnesses of before are not larger than the log is now.
    head = await ctx.room.connected().query("head", origin)
    size = int(note(ctx, "log-size", str(0 if head is None else int(head[0])).encode()))
    keys = [text.partition("=")[0] for text in action.witnesses]
    path = ctx.home.witness_policies
    policies = read_policies(path)
    decided = LogWitnesses(witnesses=keys, quorum=action.needed, size=size)
    since = instant_text(ctx.judged)
    revoked = dict.fromkeys(action.revoked, since) | policies.revoked
    write_policies(path, msgspec.structs.replace(policies, logs=policies.logs | {origin: decided}, revoked=revoked))
    facts: dict[str, Any] = {
        "log": origin,
        "witnesses": keys,
        "needed": action.needed,
        "revoked": list(action.revoked),
        "from_size": size,
        "trust_bundle": await trust_published(ctx.room),
    }
    return StepResult(facts)
