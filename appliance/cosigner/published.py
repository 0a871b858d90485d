"""A log of this box as the cosigner reads it: the newest head, and proofs that it has only grown.

Nothing is sent to a witness that was not checked here: the head is signed by a key of the log, extends the last head
that had its quorum, and every proof leads to it. Else a damaged tile would look like a fork to whoever is asked.
"""

from __future__ import annotations

from pathlib import Path

from appliance.log import tree
from appliance.log.checkpoint import Checkpoint, open_checkpoint
from appliance.log.errors import LogDamaged, MalformedNote, ProofInvalid, SignatureInvalid
from appliance.log.keys import read_log_keys
from appliance.log.note import Note, parse_note
from appliance.log.reader import CHECKPOINT_FILE, TileReader
from appliance.tree_hash import hash_of


class PublishedLog:
    """The files that the log follower writes."""

    def __init__(self, directory: Path, origin: str) -> None:
        self._directory = directory
        self._origin = origin
        self._seen: tuple[int, int] | None = None
        self._newest: tuple[Checkpoint, Note] | None = None

    def newest(self) -> tuple[Checkpoint, Note] | None:
        """The newest head; None before the first. Raises LogDamaged where it is none of this log's."""
        file = self._directory / CHECKPOINT_FILE
        try:
            status = file.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen != self._seen:
                note = file.read_bytes()
                head = open_checkpoint(note, self._origin, read_log_keys(self._directory))
                self._newest, self._seen = (head, parse_note(note)), seen
        except FileNotFoundError:
            return None
        except (MalformedNote, SignatureInvalid) as error:
            raise LogDamaged(f"{file}: {error}") from None
        return self._newest

    def proof(self, old: int, head: Checkpoint, old_root: bytes | None = None) -> tuple[bytes, ...]:
        """The consistency proof from the tree of `old` entries, whose root is `old_root` if given, to this head.

        Raises LogDamaged where the tiles do not give one that holds.
        """
        hashing = hash_of(self._origin)
        tiles = TileReader(self._directory, head.size, hashing)
        try:
            known = TileReader(self._directory, old, hashing).root() if old_root is None else old_root
            path = tree.consistency_proof(old, head.size, tiles.subtree, hashing)
            tree.verify_consistency(old, known, head.size, head.root, path, hashing)
        except ProofInvalid as error:
            raise LogDamaged(f"{self._directory}, from {old} to {head.size} entries: {error}") from None
        return tuple(path)
