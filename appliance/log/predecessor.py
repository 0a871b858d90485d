"""The tree over an ended log's entries under the hash of the log that succeeds it, from the ended log's own bundles.

Its leaf hashes are derived from the bundles whenever they are asked for; the tiles above, a 256th of them, are kept in
the new log's directory below `predecessor/`, so that a path out of 10^7 entries takes a few files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.files import Owner, write_durably
from appliance.log import tree
from appliance.log.errors import LogDamaged, MalformedProof
from appliance.log.reader import SubtreeSource, read_tile, root_from_edges
from appliance.log.tiles import WIDTH, Tile, decode_bundle, tile_width
from appliance.tree_hash import TreeHash, hash_of

PREDECESSOR: Final = "predecessor"
"""Directory, within that of a log that succeeds another one, of that one's tree under the new hash."""


def entries_of(directory: Path, size: int, index: int, hashing: TreeHash) -> list[bytes]:
    """The entries of one bundle of a log of `size`. Raises LogDamaged."""
    tile = Tile("entries", index, tile_width(0, index, size))
    try:
        entries = decode_bundle(read_tile(directory, tile, hashing))
    except MalformedProof:
        entries = []
    if len(entries) != tile.width or any(len(entry) != hashing.size for entry in entries):
        raise LogDamaged(f"{directory / tile.path()} is no bundle of {tile.width} entries")
    return entries


class PredecessorTiles(SubtreeSource):
    """Subtrees of that tree."""

    def __init__(self, ended: Path, origin: str, size: int, successor: Path, hashing: TreeHash) -> None:
        """`ended`, `origin`, `size`: of the ended log; `successor`, `hashing`: directory and hash of the new one."""
        super().__init__(size, hashing)
        self._ended = ended
        self._own = hash_of(origin)
        self._above = successor / PREDECESSOR

    def read(self, tile: Tile) -> bytes:
        if tile.level != 0:
            return read_tile(self._above, tile, self.hashing)
        entries = entries_of(self._ended, self.size, tile.index, self._own)
        return b"".join([tree.leaf_hash(entry, self.hashing) for entry in entries])


def write_predecessor(
    ended: Path, origin: str, size: int, successor: Path, hashing: TreeHash, owner: Owner | None = None
) -> tuple[bytes, bytes]:
    """Write the tiles above the leaves, durably; the roots of the ended log under its own hash and under the new one.

    `size` is above 0. Raises LogDamaged where a bundle cannot be read. Again writes the same.
    """
    own = _Above(hash_of(origin), None, owner)
    new = _Above(hashing, successor / PREDECESSOR, owner)
    for index in range((size + WIDTH - 1) // WIDTH):
        entries = entries_of(ended, size, index, own.hashing)
        own.add(entries)
        new.add(entries)
    return own.finish(), new.finish()


def derived_roots(ended: Path, origin: str, size: int, hashing: TreeHash) -> tuple[bytes, bytes]:
    """As `write_predecessor`, of any size of the log, with nothing written."""
    own, new = _Above(hash_of(origin), None, None), _Above(hashing, None, None)
    for index in range((size + WIDTH - 1) // WIDTH):
        entries = entries_of(ended, size, index, own.hashing)
        own.add(entries)
        new.add(entries)
    return own.finish(), new.finish()


class _Above:
    """Folds full leaf tiles upwards, and writes the tiles above them where a directory is given."""

    def __init__(self, hashing: TreeHash, directory: Path | None, owner: Owner | None) -> None:
        self.hashing = hashing
        self._directory = directory
        self._owner = owner
        self._levels: list[bytearray] = [bytearray()]
        self._written: list[int] = [0]

    def add(self, entries: list[bytes]) -> None:
        """The entries of the next bundle; all but the last are full."""
        hashes = b"".join([tree.leaf_hash(entry, self.hashing) for entry in entries])
        self._levels[0] += hashes
        level, full = 0, WIDTH * self.hashing.size
        while len(self._levels[level]) == full:
            tile = bytes(self._levels[level])
            self._write(level, tile)
            self._levels[level].clear()
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
                self._written.append(0)
            level += 1
            self._levels[level] += tree.fold(tile, self.hashing)

    def finish(self) -> bytes:
        """Write what is not full; the root."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._write(level, bytes(hashes))
        return root_from_edges([bytes(hashes) for hashes in self._levels], self.hashing)

    def _write(self, level: int, hashes: bytes) -> None:
        index = self._written[level]
        self._written[level] += 1
        if self._directory is not None and level > 0:
            tile = Tile(level, index, len(hashes) // self.hashing.size)
            write_durably(self._directory / tile.path(), hashes, self._owner)
