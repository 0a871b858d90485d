"""Keys of logs: who verifies with what, and the note by which one key hands over to the next.

A log key cannot be backed up where the token wraps no Ed25519, so it is followed by another one while it still lives:
both sign a note (C2SP signed-note) that says so, and both sign every checkpoint until the overlap is over.
"""

from __future__ import annotations

import asyncio

import hsm
from appliance.box.settings import BoxSettings, LogSettings
from appliance.errors import Conflict, NotFound
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger import LedgerKey
from appliance.keymaster.keys.log_entries import verifier_named
from appliance.keymaster.keys.ownership import note, noted
from appliance.log import VerifierKey
from appliance.log.note import Note as SignedNote
from appliance.log.note import NoteSignature, parse_note, verified_by

ROTATION_NOTE = "rotation.note"
_TITLE = "cinnabar log key rotation v1"


def log_of(settings: BoxSettings, tenant: str | None) -> LogSettings:
    """The log of a tenant, or the box's own. Raises NotFound."""
    found = next((log for log in settings.logs if log.tenant == tenant), None)
    if found is None:
        raise NotFound("there is no such log")
    return found


def verifier_of(key: LedgerKey, log: LogSettings) -> VerifierKey:
    """The key as whoever verifies the log knows it. Raises Conflict for one that is not Ed25519."""
    return verifier_named(key, log.origin)


async def rotation_note(ctx: ExecutionContext, key: LedgerKey, successor: LedgerKey) -> bytes:
    """The note that both keys sign; each signature is a durable row first (control RECORD)."""
    log = log_of(ctx.settings, key.tenant)
    old, new = verifier_of(key, log), verifier_of(successor, log)
    done = noted(ctx, ROTATION_NOTE)
    if done is None:
        text = f"{_TITLE}\n{log.origin}\nfrom {old}\nto {new}\nproposal {ctx.digest}\n".encode()
        lines = []
        for one, verifier in ((key, old), (successor, new)):
            signature = await asyncio.to_thread(_sign, ctx.room, one, text)
            line = NoteSignature(verifier.name, verifier.key_id, signature)
            await ctx.room.record_signature(
                "certificate", one.label, f"rotation of {log.origin}", SignedNote(text, (line,)).encode()
            )
            lines.append(line)
        done = note(ctx, ROTATION_NOTE, SignedNote(text, tuple(lines)).encode())
    if len(verified_by(parse_note(done), [old, new])) != 2:
        raise Conflict("the rotation is not signed by both keys")
    return done


def _sign(room: Room, key: LedgerKey, text: bytes) -> bytes:
    return room.user_token(key.token).signing_key(hsm.Pkcs11Uri.parse(key.uri), key.scheme).sign(text)
