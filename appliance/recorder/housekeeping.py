"""Housekeeping inside a transaction: rows for the box's own signatures, heads compared and swapped, box leaves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from appliance.errors import BadRequest
from appliance.recorder import errors, rules
from appliance.recorder.messages import BOX_LOG, LOG_KEY, Answer, Committed, Entry, Housekeeping
from appliance.store import rows
from appliance.tree_hash import hash_of

if TYPE_CHECKING:
    from appliance.recorder.transaction import Run, Transaction


def housekeeping(transaction: Transaction, run: Run, command: Housekeeping) -> Answer:
    """Write the row; a checkpoint only if it continues its log's head; none of a key that was stopped.

    Raises Fork, BadRequest, KeyStopped."""
    if command.kind == "box-leaf":
        return box_leaf(transaction, command)
    content = (command.kind, command.key, command.time, command.subject, command.body, run.run)
    if transaction.careful and rows.find_housekeeping(transaction.connection, *content) is not None:
        return Committed(command.ticket, -1)
    check_not_stopped(transaction, command)
    head = None
    if command.kind == "checkpoint":
        head = check_head(transaction, command)
    number = rows.add_housekeeping(transaction.connection, *content)
    if head is not None:
        rows.write_head(transaction.connection, head.origin, head.size, head.root, head.time, number)
    transaction.row_counts[run.run] = transaction.row_counts.get(run.run, 0) + 1
    return Committed(command.ticket, -1)


def check_not_stopped(transaction: Transaction, command: Housekeeping) -> None:
    """Whether the key that signed may still do so: what ceremonies and officers say of keys of the box's own.

    A stopped authority goes on with its CRLs, which take power away. Raises KeyStopped."""
    if command.kind in {"checkpoint", "receipt"}:
        name = f"{LOG_KEY}{command.key.rpartition('+')[2]}"
    elif command.kind in {"certificate", "ocsp"}:
        name = command.key
    else:
        return
    box = transaction.ground.callers.tenants[BOX_LOG].number
    said = transaction.ground.limits.keys.get((box, name))
    if said is not None and said.state != "active":
        raise errors.KeyStopped(f"the key {command.key} is {said.state}")


def check_head(transaction: Transaction, command: Housekeeping) -> rules.Head:
    """The head that a checkpoint states. Raises Fork, BadRequest."""
    offered = rules.read_checkpoint(command.body, command.time)
    tenant = transaction.ground.logs.get(offered.origin)
    if tenant is None or offered.origin != command.subject:
        raise BadRequest(f"{offered.origin} is not the origin of a log of this box")
    number = transaction.ground.callers.tenants[tenant].number if tenant in transaction.ground.callers.tenants else -1
    recorded = rows.read_head(transaction.connection, offered.origin)
    # Leaves of this very transaction do not count: a head covers what was on disk before it was signed.
    rules.check_checkpoint(
        None if recorded is None else rules.Head(offered.origin, *recorded[:3]),
        offered,
        transaction.ground.sizes.get(number, 0) - transaction.ground.logs.base(offered.origin),
    )
    return offered


def box_leaf(transaction: Transaction, command: Housekeeping) -> Answer:
    """The next leaf of the box's own log, once."""
    body = command.body
    hashing = hash_of(command.subject)
    commitment = body if len(body) == hashing.size else hashing.digest(body)
    # The id is made from the content, so that a leaf submitted again after a lost connection is found.
    identity = hashlib.sha256(command.subject.encode() + b"\n" + body).digest()[:16]
    entry = Entry(
        (command.time // 1000 % (1 << 48)).to_bytes(6, "big") + identity,
        command.kind,
        command.key,
        command.time,
        commitment,
        body,
    )
    box = transaction.ground.callers.tenants[BOX_LOG].number
    if transaction.careful:
        found = transaction.already(box, [entry])
        if found is not None:
            return Committed(command.ticket, found)
    if entry.record_id >= transaction.highest_id:
        raise BadRequest("the leaf's time is ahead of the box's clock")
    if entry.record_id <= transaction.ground.sealed_last_id and not transaction.careful:
        raise errors.NeedsCare
    return Committed(command.ticket, transaction.add(box, 0, [entry]))
