"""Reading a log's files: tiles by path, subtrees for proofs, the published checkpoint. Only files; writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import NotFound
from appliance.log import tree
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import LogDamaged, MalformedProof, NotYetIncluded
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof
from appliance.log.receipts import SignedRoot, make_receipt
from appliance.log.tiles import BUNDLED_ENTRY_BYTES, HEIGHT, WIDTH, Tile, tile_width, tiles_of

CHECKPOINT_FILE = "checkpoint"
SIGNED_ROOT_FILE = "signed-root"


def log_directory(logs: Path, origin: str) -> Path:
    """Where a log's files stand: named by the SHA-256 of its origin."""
    return logs / hashlib.sha256(origin.encode()).hexdigest()


@dataclass(frozen=True)
class Resource:
    """Something to serve below a log's prefix."""

    content: bytes
    content_type: str
    immutable: bool
    """Tiles and bundles never change and may be cached for ever; a checkpoint for seconds."""


class TileReader:
    """Reads subtrees of the tree of one size, each tile file once. Serves one proof or one signature, then goes."""

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile as this size has it. Raises LogDamaged when no file holds them."""
        found = self._tiles.get((level, index))
        if found is None:
            width = tile_width(level, index, self._size)
            found = read_tile(self._directory, Tile(level, index, width))
            self._tiles[level, index] = found
        return found

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree (see appliance.log.tree)."""
        tile_level, height = divmod(level, HEIGHT)
        first = index << height
        tile_index, at = divmod(first, WIDTH)
        hashes = self.tile(tile_level, tile_index)
        return tree.fold(hashes[at * 32 : (at + (1 << height)) * 32])

    def root(self) -> bytes:
        """Root of the tree of this size, from the rightmost tiles."""
        return root_from_edges([b"" if tile.full else self.tile(int(tile.level), tile.index) for tile in self._edges()])

    def _edges(self) -> list[Tile]:
        return tiles_of(self._size)


def root_from_edges(edges: list[bytes]) -> bytes:
    """Root from the partial tile of each level, lowest first; empty where the level's rightmost tile is full.

    What lies below a level is one ragged subtree at the right of that level's hashes.
    """
    result = b""
    for hashes in edges:
        if hashes or result:
            result = tree.fold(hashes + result)
    return result or tree.EMPTY_ROOT


def read_tile(directory: Path, tile: Tile) -> bytes:
    """A tile's or bundle's bytes: the file itself, else the front of a wider file of the same tile.

    A partial tile is the front of every wider one, so the narrower files may be dropped when the tile is full.
    Raises LogDamaged when there is no such file or it is too short.
    """
    unit = BUNDLED_ENTRY_BYTES if tile.level == "entries" else tree.HASH_BYTES
    path = directory / tile.path()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = _wider(directory, tile)
    if len(data) < tile.width * unit:
        raise LogDamaged(f"{path} is missing or shorter than {tile.width * unit} bytes")
    return data[: tile.width * unit]


def _wider(directory: Path, tile: Tile) -> bytes:
    full = directory / Tile(tile.level, tile.index).path()
    try:
        return full.read_bytes()
    except FileNotFoundError:
        pass
    try:
        partials = full.with_name(f"{full.name}.p")
        widths = sorted(int(file.name) for file in partials.iterdir() if file.name.isdecimal())
        return next((partials / str(width)).read_bytes() for width in widths if width > tile.width)
    except (FileNotFoundError, StopIteration):
        return b""


class LogReader:
    """A published log: what the API serves of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def checkpoint(self) -> bytes:
        """The latest published checkpoint, a signed note. Raises NotYetIncluded before the first."""
        return self._published(CHECKPOINT_FILE)

    def resource(self, path: str) -> Resource:
        """What stands at `path` below the log's prefix: checkpoint, tile/L/N, tile/entries/N, each with .p/W.

        Raises NotFound for any other path and for tiles that the log does not have.
        """
        if path == CHECKPOINT_FILE:
            return Resource(self.checkpoint(), "text/plain; charset=utf-8", immutable=False)
        try:
            return Resource(read_tile(self.directory, Tile.parse(path)), "application/octet-stream", immutable=True)
        except (MalformedProof, LogDamaged):
            raise NotFound("the log has nothing at this path") from None

    def tlog_proof(self, index: int, extra: bytes | None = None) -> bytes:
        """The .tlog-proof of the entry at `index` under the latest checkpoint. Raises NotYetIncluded."""
        note = self.checkpoint()
        size = Checkpoint.parse(parse_note(note).text).size
        return TlogProof(index, tuple(self._path(index, size)), note, extra).encode()

    def receipt(self, index: int) -> bytes:
        """The COSE receipt of the entry at `index` under the latest signed root. Raises NotYetIncluded."""
        signed = SignedRoot.decode(self._published(SIGNED_ROOT_FILE))
        return make_receipt(signed, index, self._path(index, signed.size))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Consistency proof between two sizes that were signed. Raises ProofInvalid or LogDamaged."""
        return tree.consistency_proof(old, new, self._reader(new))

    def _path(self, index: int, size: int) -> list[bytes]:
        if index >= size:
            raise NotYetIncluded(f"entry {index} is not under the latest checkpoint, of {size}")
        return tree.inclusion_proof(index, size, self._reader(size))

    def _reader(self, size: int) -> Callable[[int, int], bytes]:
        return TileReader(self.directory, size).subtree

    def _published(self, name: str) -> bytes:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            raise NotYetIncluded("the log has no checkpoint yet") from None
