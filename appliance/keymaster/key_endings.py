"""Keys whose time is over: a rotation's overlap, or the cryptoperiod. They are deactivated by the clock, and on record.

That a key signs nothing after its cryptoperiod does not wait for this: recorder and workers hold it to that themselves.
"""

from __future__ import annotations

import hashlib
import time

import msgspec
import structlog

import hsm
from appliance.box.settings import BoxSettings, LogKeySettings
from appliance.ceremonies.records import CeremonyRecord
from appliance.errors import Conflict
from appliance.keymaster.actions.keys import forget_in_settings, set_register
from appliance.keymaster.context import Room
from appliance.keymaster.key_ledger import Activation, LedgerKey

log = structlog.get_logger("keymaster")


async def end_keys(room: Room) -> None:
    """Deactivate what is due. Safe to be cut off at any point: the ledger's state changes last."""
    now = time.time_ns() // 1000
    for key in room.ledger.keys(every=True):
        due = [at for at in (key.ends, key.until) if at is not None and at <= now]
        if due and key.state in {"active", "suspended"}:
            await _end(room, key, "rotated" if key.ends in due else "cryptoperiod over", now)


async def _end(room: Room, key: LedgerKey, why: str, now: int) -> None:
    if key.purpose == "log" and not may_leave_log(room, key):
        log.error("log-key-overdue", key=key.label, next="rotate it")
        return  # a log without a key would stop; the log is what shows that it is overdue
    await set_register(room, key, "deactivated", "")
    await leave_use(room, key)
    facts = {"key": key.label, "id": key.cka_id.hex(), "why": why, "state": "deactivated"}
    record = CeremonyRecord(event="key-ended", facts=facts, time=now)
    subject = hashlib.sha256(key.cka_id + key.public_key).hexdigest()
    moment = (key.ends if why == "rotated" else key.until) or now
    scope = "box" if key.tenant is None else f"tenant/{key.tenant}"
    with room.journal.transaction():
        room.recording.keep_in(room.recording.log_of(scope), subject, moment // 1000, f"key-ended/{moment}", record)
        room.ledger.set_state(key, "deactivated")
        room.ledger.set_ends(key, None)
    await room.recording.send(subject)
    log.info("key-ended", key=key.label, why=why)


def may_leave_log(room: Room, key: LedgerKey) -> bool:
    """Whether another key of the log goes on signing."""
    others = [one for one in room.ledger.keys(key.tenant) if one.purpose == "log" and one.number != key.number]
    return any(one.state == "active" for one in others)


async def leave_use(room: Room, key: LedgerKey) -> None:
    """Out of the settings; of a log key, from the head that is signed now on. Again changes nothing."""
    if key.purpose != "log":
        await forget_in_settings(room, key)
        return
    if not may_leave_log(room, key):
        raise Conflict("the log has no other key: rotate it first")
    log_settings = next(one for one in room.settings.logs if one.tenant == key.tenant)
    mine = next((one for one in log_settings.keys if is_entry_of(one, key)), None)
    if mine is None or mine.until_size is not None:
        return
    head = await room.connected().query("head", log_settings.origin)
    size = 0 if head is None else int(head[0])

    def change(settings: BoxSettings) -> BoxSettings:
        logs = [
            msgspec.structs.replace(
                one,
                keys=[
                    msgspec.structs.replace(entry, until_size=size)
                    if is_entry_of(entry, key) and entry.until_size is None
                    else entry
                    for entry in one.keys
                ],
            )
            if one.tenant == key.tenant
            else one
            for one in settings.logs
        ]
        return msgspec.structs.replace(settings, logs=logs)

    await room.change_settings(change)
    entry = {**key.activation.entry, "last_size": size}
    room.ledger.set_activation(key, Activation(entry=entry))


def is_entry_of(entry: LogKeySettings, key: LedgerKey) -> bool:
    """Whether an entry of a log's settings names the key, by id or by label."""
    uri = hsm.Pkcs11Uri.parse(entry.key_uri)
    return entry.token == key.token and ((uri.id is not None and uri.id == key.cka_id) or uri.object == key.label)
