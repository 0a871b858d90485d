"""Reads of content leave a record too: who was shown what of a tenant's records, as the next leaf of that tenant's log.

The audit process makes such a record before it shows anything, and submits it like a worker does. It holds no content,
so its body is in clear like that of other administrative records. `person` is what the management service says: the
recorder knows only the user that asked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from appliance.errors import BadRequest, NotFound
from appliance.record import SALT_BYTES, commitment, new_record_id
from appliance.recorder import errors
from appliance.recorder.messages import Answer, Committed, Entry, Reading
from appliance.tree_hash import SHA256, TreeHash

if TYPE_CHECKING:
    from appliance.recorder.transaction import Run, Transaction

Text = Annotated[str, msgspec.Meta(max_length=4_000)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class ReadingRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a read of content leaves in a log, as canonical JSON: members in sorted order."""

    action: Literal["content-read", "export-begun", "export-made"]
    count: Amount
    """Records that were opened; of an export that begins, the leaves that will be looked at."""
    digest: str | msgspec.UnsetType = msgspec.UNSET
    """Of an export that was made: SHA-256, hexadecimal, of what docs/audit.md says for its format."""
    end: Amount
    export: str | msgspec.UnsetType = msgspec.UNSET
    """Name of the export."""
    filter: Text
    """What was asked for: the filter as JSON."""
    first: Amount
    """Leaves [first, end) were looked at."""
    format: Literal["cinnabar-reading/1"] = "cinnabar-reading/1"
    person: Annotated[str, msgspec.Meta(max_length=200)]
    """Who asked, as the management service says; empty for the command line."""
    tenant: str
    """The log: a tenant's name, or @box."""
    time: Amount
    """Microseconds since 1970-01-01T00:00:00Z."""
    user: int
    """Numeric user id of the process that asked, as the audit process saw it."""

    def canonical(self) -> bytes:
        return msgspec.json.encode(self)


def reading_entry(record: ReadingRecord, hashing: TreeHash = SHA256) -> tuple[Entry, bytes]:
    """The log entry of a reading, in a log of this hash, and its salt."""
    canonical, salt = record.canonical(), os.urandom(SALT_BYTES)
    body = msgspec.msgpack.encode([salt, canonical, b""])
    made = Entry(
        new_record_id(record.time), "administration", "", record.time, commitment(salt, canonical, hashing), body
    )
    return made, salt


def reading(transaction: Transaction, _run: Run, command: Reading) -> Answer:
    """The next leaf of the log, once. Raises NotFound, BadRequest, ReadOnly: then nothing may be shown."""
    tenant = transaction.ground.callers.tenants.get(command.log)
    if tenant is None:
        raise NotFound("there is no such log")
    _check(command, transaction.ground.logs.hashing(command.log))
    if transaction.careful:
        found = transaction.already(tenant.number, [command.entry])
        if found is not None:
            return Committed(command.ticket, found)
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    transaction.check_id(command.entry.record_id)
    if command.entry.record_id <= transaction.ground.sealed_last_id and not transaction.careful:
        raise errors.NeedsCare
    return Committed(command.ticket, transaction.add(tenant.number, 0, [command.entry]))


def _check(command: Reading, hashing: TreeHash) -> None:
    """Nothing but a reading of this very log comes in this way."""
    made = command.entry
    try:
        salt, canonical, artifact = msgspec.msgpack.decode(made.body, type=tuple[bytes, bytes, bytes])
        record = msgspec.json.decode(canonical, type=ReadingRecord)
    except msgspec.MsgspecError:
        raise BadRequest("the entry is not the record of a reading") from None
    whole = record.canonical() == canonical and record.tenant == command.log and not artifact
    bound = len(salt) == SALT_BYTES and commitment(salt, canonical, hashing) == made.commitment
    if not whole or not bound or (made.kind, made.key, made.time) != ("administration", "", record.time):
        raise BadRequest("the entry is not the record of a reading of this log")
    if len(made.record_id) != 22:
        raise BadRequest("a record id has 22 bytes")
