"""Renewing every log of a stopped box under another hash: `cinnabar log renew`.

Each log ends where its last signed head is, and another one begins whose first leaf commits to all of it. In this
order, for the box's own log first, since it commits to the others:

1. The ended log is held to what is known of it: the published, the exported and the recorded head are one, it is of all
   that was recorded, and the entries in the bundles give its root.
2. The tree over those entries under the new hash is made and kept beside the new log (appliance.log.predecessor).
3. The successor is written: that tree's root, and the last checkpoint with its witnesses' cosignatures.

Only then, in one step, do the settings name the new logs. Killed before, the box goes on with the old ones and the
command begins anew; killed after, it goes on with the new ones. Nothing of an ended log is changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance.box.settings import BoxSettings, EndedLogSettings, LogSettings
from appliance.errors import Conflict
from appliance.files import Owner, read_file, write_durably
from appliance.log.check import RecordSource
from appliance.log.checkpoint import Checkpoint, LogKey, merge_notes, open_checkpoint
from appliance.log.cosigned import COSIGNED_FILE
from appliance.log.eras import SUCCESSOR_FILE, EraSource, eras_of, first_entry, name_of
from appliance.log.errors import LogDamaged, MalformedNote, SignatureInvalid
from appliance.log.exports import read_export
from appliance.log.keys import log_keys
from appliance.log.note import MAXIMUM_NOTE_BYTES
from appliance.log.openings import Openings
from appliance.log.predecessor import write_predecessor
from appliance.log.reader import CHECKPOINT_FILE, log_directory
from appliance.log.successor import Successor
from appliance.log.witnesses import WitnessPolicy
from appliance.tree_hash import TreeHash, hash_of, renewed_origin

_AGAIN: Final = "start the box and stop it again"


class NotRenewable(Conflict):
    """A log is not where it can be renewed; nothing was changed."""

    code = "log-not-renewable"
    title = "The log cannot be renewed now"


@dataclass(frozen=True)
class LastHead:
    """The head that a log ends with."""

    log: LogSettings
    checkpoint: Checkpoint
    note: bytes
    keys: tuple[LogKey, ...]


@dataclass(frozen=True)
class Place:
    """Where a box's logs stand."""

    logs: Path
    exports: Path
    cosigned: Path
    owner: Owner | None = None
    """Who is to own what is written; None: whoever writes it."""


def last_head(place: Place, log: LogSettings, records: RecordSource) -> LastHead:
    """The head that a log would end with, held to all that is known of it. Raises NotRenewable, LogDamaged."""
    directory = log_directory(place.logs, log.origin)
    known = tuple(key for key in log_keys(directory, log) if key is not None)
    try:
        note = read_file(directory / CHECKPOINT_FILE, MAXIMUM_NOTE_BYTES)
    except FileNotFoundError:
        raise NotRenewable(f"{log.origin} has no signed head yet: {_AGAIN}") from None
    exported = read_export(place.exports, log.origin)
    try:
        head = open_checkpoint(note, log.origin, known)
        outside = None if exported is None else open_checkpoint(exported, log.origin, known)
    except (MalformedNote, SignatureInvalid) as error:
        raise LogDamaged(f"a checkpoint of {log.origin}: {error}") from None
    if outside is None or (outside.size, outside.root) != (head.size, head.root):
        raise NotRenewable(f"the published head of {log.origin} is not the exported one: cinnabar log check")
    if records.head(log.origin) != (head.size, head.root):
        raise NotRenewable(f"the published head of {log.origin} is not the recorded one: {_AGAIN}")
    era = eras_of(log)[-1]
    mine = EraSource(records, era, first_entry(place.logs, era))
    if mine.leaves(name_of(log), head.size, 1):
        raise NotRenewable(f"{log.origin} has records that are not under its last head: {_AGAIN}")
    if log.tenant is None and Openings(directory).settling:
        raise NotRenewable(f"a leaf of {log.origin} is on its way: {_AGAIN}")
    return LastHead(log, head, _with_cosignatures(place, log.origin, head, note, known), known)


def _with_cosignatures(place: Place, origin: str, head: Checkpoint, note: bytes, keys: Sequence[LogKey]) -> bytes:
    """The note, with the lines that witnesses have given for the same head already."""
    with contextlib.suppress(OSError, MalformedNote, SignatureInvalid):
        cosigned = read_file(log_directory(place.cosigned, origin) / COSIGNED_FILE, MAXIMUM_NOTE_BYTES)
        if open_checkpoint(cosigned, origin, keys) == head:
            return merge_notes([note, cosigned])
    return note


def lacking(head: LastHead, policy: WitnessPolicy) -> int:
    """How many cosignatures its last head lacks."""
    return max(0, policy.quorum - len(policy.cosigners(head.note)))


def prepare(place: Place, head: LastHead, hashing: TreeHash) -> LogSettings:
    """Steps 1 to 3 of one log, but for the switch; its settings as they will be. Raises NotRenewable, LogDamaged."""
    log, checkpoint = head.log, head.checkpoint
    origin = renewed_origin(log.origin, hashing)
    if hash_of(log.origin) == hashing or origin in {one.origin for one in log.ended}:
        raise NotRenewable(f"{log.origin} was under {hashing.name} before")
    ended, directory = log_directory(place.logs, log.origin), log_directory(place.logs, origin)
    if (directory / CHECKPOINT_FILE).exists() or read_export(place.exports, origin) is not None:
        # Also where this is a copy from before: another log under that name would be a second history (control FORK).
        raise NotRenewable(f"there is, or was, a log {origin} already")
    root, renewed = write_predecessor(ended, log.origin, checkpoint.size, directory, hashing, place.owner)
    if root != checkpoint.root:
        raise LogDamaged(f"the entries of {log.origin} do not give the root of its last head: cinnabar log check")
    successor = Successor(checkpoint=head.note.decode(), tree=renewed.hex())
    write_durably(directory / SUCCESSOR_FILE, successor.encode(), place.owner)
    return following(log, checkpoint.size, origin)


def following(log: LogSettings, size: int, origin: str) -> LogSettings:
    """The settings of the log `origin`, which goes on from `log`, ended at `size`."""
    last = [msgspec.structs.replace(key, until_size=_until(key.until_size, size)) for key in log.keys]
    ended = EndedLogSettings(origin=log.origin, keys=last, size=size, base=log.base)
    keys = [
        msgspec.structs.replace(key, name=origin, from_size=0)
        for key in log.keys
        if key.until_size is None or key.until_size > size
    ]
    if not keys:
        raise NotRenewable(f"no key of {log.origin} goes on signing")
    keys = [msgspec.structs.replace(key, until_size=None) for key in keys]
    return msgspec.structs.replace(log, origin=origin, keys=keys, base=log.base + size - 1, ended=[*log.ended, ended])


def _until(until: int | None, size: int) -> int:
    return size if until is None else min(until, size)


def renewed_settings(settings: BoxSettings, logs: Mapping[str, LogSettings]) -> BoxSettings:
    """The settings with each log replaced by the one that goes on from it; `logs` by the old origin."""
    return msgspec.structs.replace(settings, logs=[logs.get(log.origin, log) for log in settings.logs])
