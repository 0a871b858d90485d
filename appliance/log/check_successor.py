"""Checking that a log goes on from the one before it: the first leaf against that log's own entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.errors import CinnabarError
from appliance.log.checkpoint import LogKey
from appliance.log.derive import Finding
from appliance.log.eras import SUCCESSOR_FILE, Era, read_successor
from appliance.log.errors import LogDamaged
from appliance.log.predecessor import PREDECESSOR, PredecessorTiles, derived_roots
from appliance.log.reader import log_directory
from appliance.log.successor import verify_successor
from appliance.tree_hash import TreeHash


def check_successor(logs: Path, before: Era, keys: Sequence[LogKey], era: Era) -> Iterator[Finding]:
    """`before`: the ended log, whose keys are given; `era`: the one that succeeds it."""
    ended, directory = log_directory(logs, before.origin), log_directory(logs, era.origin)
    file = directory / SUCCESSOR_FILE

    def roots(size: int, hashing: TreeHash) -> tuple[bytes, bytes]:
        return derived_roots(ended, before.origin, size, hashing)

    try:
        successor, _ = read_successor(directory, era.hashing)
        head = verify_successor(successor, before.origin, keys, era.hashing, roots)
    except CinnabarError as error:
        yield Finding(str(file), str(error))
        return
    if head.size != before.size:
        yield Finding(str(file), f"is of {head.size} entries, and the log ended at {before.size}")
    tiles = PredecessorTiles(ended, before.origin, head.size, directory, era.hashing)
    try:
        sound = tiles.root() == successor.root(era.hashing)
    except LogDamaged as error:
        yield Finding(str(directory / PREDECESSOR), str(error))
        return
    if not sound:
        yield Finding(str(directory / PREDECESSOR), "does not lead to the root that the successor states")
