"""Keys whose time is over: a rotation's overlap, or the cryptoperiod. They are deactivated by the clock, and on record.

That a key signs nothing after its cryptoperiod does not wait for this: recorder and workers hold it to that themselves.
"""

from __future__ import annotations

import hashlib
import time

import structlog

from appliance.ceremonies.records import CeremonyRecord
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.use import leave_use, may_leave_log, set_register

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
    if key.purpose != "release":  # what was veiled to it stays openable
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
