"""Opening a locked box again: the last exported checkpoint of each log must lie on this box's history (control FORK).

Rules, none of which looks at what the restored box itself exported or published:

1. A checkpoint is given for every log that has ever been signed, verified under that log's keys.
2. Its size is at most the number of recorded entries; a larger one shows a history that this box has lost.
3. The recorded entries give its root; another root is another history.
4. A head that the database itself records is likewise given by its entries.
5. Where witnesses are configured, `quorum` of them must have cosigned the largest head given of each log.

If any fails the box stays locked and a ceremony decides. What was given becomes the exported checkpoint, so that the
follower, at every start, refuses to sign anything that does not extend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.log import tree
from appliance.log.check import RecordSource
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import LogForked, LogLocked, MalformedNote, SignatureInvalid
from appliance.log.note import parse_note
from appliance.log.renewed_since import went_on
from appliance.log.tiles import WIDTH
from appliance.log.witnesses import WitnessPolicy
from appliance.tree_hash import SHA256, TreeHash, hash_of

_READ_AT_ONCE = 256 * WIDTH


@dataclass(frozen=True)
class KnownLog:
    """A log of the box, as its settings and published keys have it."""

    origin: str
    log: str
    """Its name at the recorder."""
    keys: tuple[LogKey, ...]
    witnesses: WitnessPolicy = field(default_factory=WitnessPolicy)
    later: Sequence[str] = ()
    """Origins of logs that may go on from it, none of which this box has."""


class Given(NamedTuple):
    """A checkpoint, and what to call it where it is wrong: its file."""

    name: str
    note: bytes


@dataclass(frozen=True)
class Resumed:
    """What is to be exported: per origin the largest given checkpoint."""

    checkpoints: dict[str, bytes]


def check_resume(logs: Sequence[KnownLog], given: Iterable[Given], records: RecordSource) -> Resumed:
    """Hold the given checkpoints to the records. Raises LogLocked or LogForked; then the box stays locked.

    MalformedNote and SignatureInvalid say what is wrong with a checkpoint; every message names the file.
    """
    by_origin: dict[str, list[tuple[Checkpoint, Given]]] = {log.origin: [] for log in logs}
    known = {log.origin: log for log in logs}
    for file in given:
        head = _read(file, known)
        by_origin[head.origin].append((head, file))
    largest: dict[str, bytes] = {}
    for log in logs:
        heads = sorted(by_origin[log.origin], key=lambda head: head[0].size)
        recorded = records.head(log.origin)
        if not heads:
            if recorded is not None:
                raise LogLocked(f"the last exported checkpoint of {log.origin} is needed")
            continue
        _check_witnesses(log, heads[-1][0], [file for head, file in heads if head.size == heads[-1][0].size])
        roots = [(head.size, head.root, f"checkpoint in {file.name}") for head, file in heads]
        if recorded is not None:
            roots.append((*recorded, "recorded checkpoint"))
        _hold(log, sorted(roots), records)
        largest[log.origin] = heads[-1][1].note
    return Resumed(largest)


def _read(file: Given, known: Mapping[str, KnownLog]) -> Checkpoint:
    try:
        origin = Checkpoint.parse(parse_note(file.note).text).origin
        ended = next((log.origin for log in known.values() if origin in log.later), None)
        if ended is not None:
            raise went_on(ended, origin)
        if origin not in known:
            raise LogLocked(f"{file.name}: {origin!r} is no log of this box")
        return open_checkpoint(file.note, origin, known[origin].keys)
    except (MalformedNote, SignatureInvalid) as error:
        raise type(error)(f"{file.name}: {error}") from None


def _check_witnesses(log: KnownLog, largest: Checkpoint, files: Sequence[Given]) -> None:
    """The largest head has its quorum, in one file or over several; that the files agree is seen when they are held."""
    found: set[str] = set()
    for file in files:
        try:
            found |= log.witnesses.cosigners(file.note)
        except SignatureInvalid as error:
            raise SignatureInvalid(f"{file.name}: {error}") from None
    if len(found) < log.witnesses.quorum:
        raise LogLocked(
            f"{files[0].name}: the head of {log.origin} with {largest.size} entries has {len(found)} of the "
            f"{log.witnesses.quorum} cosignatures that it needs"
        )


def _hold(log: KnownLog, heads: Sequence[tuple[int, bytes, str]], records: RecordSource) -> None:
    """Each head, by rising size, must be the root of the recorded entries up to its size."""
    root_at = roots(lambda first, limit: records.leaves(log.log, first, limit), hash_of(log.origin))
    for size, expected, name in heads:
        found, root = root_at(size)
        if found < size:
            raise LogForked(
                f"the {name} of {log.origin} has {size} entries and this box has {found}: "
                "it has lost history; the box stays locked and a ceremony decides"
            )
        if root != expected:
            raise LogForked(
                f"the {name} of {log.origin}, of {size} entries, shows another history than this box has: "
                "the box stays locked and a ceremony decides"
            )


def roots(read: Callable[[int, int], bytes], hashing: TreeHash = SHA256) -> Callable[[int], tuple[int, bytes]]:
    """Gives (entries found, root) at rising sizes, reading every entry once. `read` takes index and limit."""
    stack: list[tuple[int, bytes]] = []  # complete subtrees from the left: (width, hash)
    count = 0

    def push(entry: bytes) -> None:
        width, right = 1, tree.leaf_hash(entry, hashing)
        while stack and stack[-1][0] == width:
            right = tree.node_hash(stack.pop()[1], right, hashing)
            width *= 2
        stack.append((width, right))

    def root_at(size: int) -> tuple[int, bytes]:
        nonlocal count
        while count < size:
            packed = read(count, min(_READ_AT_ONCE, size - count))
            if not packed:
                break
            for at in range(0, len(packed), hashing.size):
                push(packed[at : at + hashing.size])
            count += len(packed) // hashing.size
        root = b""
        for _, left in reversed(stack):
            root = tree.node_hash(left, root, hashing) if root else left
        return count, root or hashing.empty_root

    return root_at
