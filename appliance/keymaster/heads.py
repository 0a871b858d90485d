"""What a requester had seen of a log, against the log: the log must be its continuation (control FORK)."""

from __future__ import annotations

from pathlib import Path

from appliance.ceremonies.proposal import AuditHead
from appliance.errors import CinnabarError
from appliance.keymaster.errors import HistoryDiffers
from appliance.log import LogDamaged, LogReader, ProofInvalid, TileReader, log_directory, verify_consistency
from appliance.tree_hash import hash_of


def check_head(logs: Path, seen: AuditHead, origin: str, size: int, root: bytes) -> None:
    """Whether the signed head (`size`, `root`) of the log `origin` continues what was `seen`. Reads the log's tiles.

    Raises HistoryDiffers, and LogDamaged where the tiles do not lead to the signed head."""
    if seen.origin != origin:
        raise HistoryDiffers(f"the proposal names the log {seen.origin}, its scope has {origin}")
    if seen.size > size:
        raise HistoryDiffers(f"the proposal has seen {seen.size} entries, the log has {size}")
    old, hashing = bytes.fromhex(seen.root), hash_of(origin)
    if seen.size == 0:
        if old != hashing.empty_root:
            raise HistoryDiffers("the empty log has another root")
        return
    directory = log_directory(logs, origin)
    try:
        if TileReader(directory, seen.size, hashing).root() != old:
            raise HistoryDiffers(f"the log had another root when it had {seen.size} entries")
        proof = LogReader(directory, hashing).consistency_proof(seen.size, size)
        verify_consistency(seen.size, old, size, root, proof, hashing)
    except ProofInvalid as error:
        raise HistoryDiffers(str(error)) from error
    except LogDamaged:
        raise
    except OSError as error:
        raise CinnabarError(f"the log's files cannot be read: {error.strerror}") from error


def empty_head(origin: str) -> AuditHead:
    return AuditHead(origin=origin, size=0, root=hash_of(origin).empty_root.hex())
