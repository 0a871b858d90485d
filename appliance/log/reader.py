"""Reading a log's files: tiles by path, subtrees for proofs, the published checkpoint. Only files; writes nothing.

A proof is folded to the signed root before it is handed out: a damaged tile gives an error, never a false proof.
"""

from __future__ import annotations

import errno
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from appliance.errors import NotFound
from appliance.files import read_file
from appliance.log import tree
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import LogDamaged, MalformedNote, MalformedProof, NotYetIncluded, ProofInvalid
from appliance.log.note import MAXIMUM_NOTE_BYTES, parse_note
from appliance.log.proofs import TlogProof
from appliance.log.receipts import SignedRoot, make_receipt
from appliance.log.tiles import HEIGHT, LENGTH_BYTES, WIDTH, Tile, tile_width, tiles_of
from appliance.tree_hash import LARGEST_HASH, SHA256, TreeHash, hash_of

CHECKPOINT_FILE = "checkpoint"
SIGNED_ROOT_FILE = "signed-root"
FOLLOWER_LOCK = ".follower"
"""Beside the logs: locked by the one process that writes them."""
_TELL_AGAIN_SECONDS = 60.0
TILE_BYTES: Final = WIDTH * (LARGEST_HASH + LENGTH_BYTES)


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


class SubtreeSource(ABC):
    """Subtrees of the tree of one size, from its tiles, each read once. For one proof or signature, then it goes."""

    def __init__(self, size: int, hashing: TreeHash = SHA256) -> None:
        self.size = size
        self.hashing = hashing
        self._tiles: dict[tuple[int, int], bytes] = {}

    @abstractmethod
    def read(self, tile: Tile) -> bytes:
        """The hashes of a tile, as many as its width. Raises LogDamaged where they are not to be had."""

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile as this size has it. Raises what `read` does."""
        found = self._tiles.get((level, index))
        if found is None:
            found = self.read(Tile(level, index, tile_width(level, index, self.size)))
            self._tiles[level, index] = found
        return found

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree (see appliance.log.tree)."""
        tile_level, height = divmod(level, HEIGHT)
        first = index << height
        tile_index, at = divmod(first, WIDTH)
        hashes = self.tile(tile_level, tile_index)
        width = self.hashing.size
        return tree.fold(hashes[at * width : (at + (1 << height)) * width], self.hashing)

    def root(self) -> bytes:
        """Root of the tree of this size, from the rightmost tiles."""
        edges = tiles_of(self.size)
        partial = [b"" if tile.full else self.tile(int(tile.level), tile.index) for tile in edges]
        return root_from_edges(partial, self.hashing)


class TileReader(SubtreeSource):
    """Out of the files of a log's directory."""

    def __init__(self, directory: Path, size: int, hashing: TreeHash = SHA256) -> None:
        super().__init__(size, hashing)
        self._directory = directory

    def read(self, tile: Tile) -> bytes:
        return read_tile(self._directory, tile, self.hashing)


def root_from_edges(edges: list[bytes], hashing: TreeHash = SHA256) -> bytes:
    """Root from the partial tile of each level, lowest first; empty where the level's rightmost tile is full.

    What lies below a level is one ragged subtree at the right of that level's hashes.
    """
    result = b""
    for hashes in edges:
        if hashes or result:
            result = tree.fold(hashes + result, hashing)
    return result or hashing.empty_root


def read_tile(directory: Path, tile: Tile, hashing: TreeHash = SHA256) -> bytes:
    """A tile's or bundle's bytes: the file itself, else the front of a wider file of the same tile.

    A partial tile is the front of every wider one, so the narrower files may be dropped when the tile is full.
    Raises LogDamaged when there is no such file or it is too short.
    """
    unit = hashing.size + (LENGTH_BYTES if tile.level == "entries" else 0)
    path = directory / tile.path()
    try:
        data = read_file(path, TILE_BYTES)
    except FileNotFoundError:
        data = _wider(directory, tile)
    except OSError as error:
        raise LogDamaged(f"{path} cannot be read: {error.strerror}") from None
    if len(data) < tile.width * unit:
        raise LogDamaged(f"{path} is missing or shorter than {tile.width * unit} bytes")
    return data[: tile.width * unit]


def read_held(path: Path, most: int = MAXIMUM_NOTE_BYTES) -> bytes:
    """A file of a log as those who check it read it. Raises FileNotFoundError, PermissionError where this user may not
    read it, LogDamaged where it is no plain file of at most so many bytes."""
    try:
        return read_file(path, most)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.EACCES:
            raise
        raise LogDamaged(f"cannot be read: {error.strerror}") from None


def _wider(directory: Path, tile: Tile) -> bytes:
    full = directory / Tile(tile.level, tile.index).path()
    try:
        return read_file(full, TILE_BYTES)
    except OSError:
        pass
    try:
        partials = full.with_name(f"{full.name}.p")
        widths = sorted(int(file.name) for file in partials.iterdir() if file.name.isdecimal())
        return next(read_file(partials / str(width), TILE_BYTES) for width in widths if width > tile.width)
    except (OSError, StopIteration):
        return b""


class LogReader:
    """A published log: what the API serves of it."""

    def __init__(self, directory: Path, hashing: TreeHash = SHA256) -> None:
        self.directory = directory
        self.hashing = hashing
        self._told = float("-inf")

    @classmethod
    def of(cls, logs: Path, origin: str) -> LogReader:
        """The log of this origin below the directory of a box's logs."""
        return cls(log_directory(logs, origin), hash_of(origin))

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
            content = read_tile(self.directory, Tile.parse(path), self.hashing)
        except (MalformedProof, LogDamaged):
            raise NotFound("the log has nothing at this path") from None
        return Resource(content, "application/octet-stream", immutable=True)

    def tlog_proof(
        self, index: int, extra: bytes | None = None, *, entry: bytes | None = None, note: bytes | None = None
    ) -> bytes:
        """The .tlog-proof of the entry at `index` under a checkpoint; it holds, or is not handed out.

        `entry` is the entry as the caller has it; without one, it is taken as the tiles have it. `note`: a
        checkpoint of this log that was signed, the latest if left out. Raises NotYetIncluded, or LogDamaged when the
        tiles do not lead from the entry to the checkpoint's root.
        """
        note = self.checkpoint() if note is None else note
        try:
            head = Checkpoint.parse(parse_note(note).text)
        except MalformedNote as error:
            self.damaged(f"{self.directory / CHECKPOINT_FILE}: {error}")
        return TlogProof(index, tuple(self.audit_path(index, head.size, head.root, entry)), note, extra).encode()

    def receipt(self, index: int, *, entry: bytes | None = None) -> bytes:
        """The COSE receipt of the entry at `index` under the latest signed root; otherwise as `tlog_proof`."""
        published = self._published(SIGNED_ROOT_FILE)
        try:
            signed = SignedRoot.decode(published)
        except MalformedProof as error:
            self.damaged(f"{self.directory / SIGNED_ROOT_FILE}: {error}")
        return make_receipt(signed, index, self.audit_path(index, signed.size, signed.root, entry))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Consistency proof between two sizes that were signed. Raises ProofInvalid or LogDamaged.

        Held to the roots that the rightmost tiles of both sizes give.
        """
        ranges = tree.consistency_ranges(old, new)
        tiles, hashing = TileReader(self.directory, new, self.hashing), self.hashing
        try:
            path = [tree.range_root(span, tiles.subtree, hashing) for span in ranges]
            before = TileReader(self.directory, old, hashing).root()
            tree.verify_consistency(old, before, new, tiles.root(), path, hashing)
        except (LogDamaged, ProofInvalid) as error:
            self.damaged(f"{self.directory}, from {old} to {new} entries: {error}")
        return path

    def audit_path(self, index: int, size: int, root: bytes, entry: bytes | None = None) -> Sequence[bytes]:
        """The audit path of an entry to a signed root, folded to it. Raises NotYetIncluded or LogDamaged."""
        if index >= size:
            raise NotYetIncluded(f"entry {index} is not under the latest checkpoint, of {size}")
        tiles, hashing = TileReader(self.directory, size, self.hashing), self.hashing
        try:
            path = tree.inclusion_proof(index, size, tiles.subtree, hashing)
            leaf = tiles.subtree(0, index) if entry is None else tree.leaf_hash(entry, hashing)
            tree.verify_inclusion(index, size, leaf, path, root, hashing)
        except (LogDamaged, ProofInvalid) as error:
            self.damaged(f"{self.directory}, entry {index}: {error}")
        return path

    def damaged(self, problem: str) -> NoReturn:
        """Tell the operator which file it is, at most once a minute, and the caller that it is not to be had."""
        if time.monotonic() > self._told + _TELL_AGAIN_SECONDS:
            self._told = time.monotonic()
            # Only a box has a journal; a client and a verifier install without it.
            import structlog  # noqa: PLC0415

            structlog.get_logger("log").error(
                "log-damaged", control=LogDamaged.control, problem=problem, next="cinnabar log check"
            )
        raise LogDamaged("The log's files do not give a proof that holds. The box's operator has been told.") from None

    def _published(self, name: str) -> bytes:
        try:
            return read_file(self.directory / name, MAXIMUM_NOTE_BYTES)
        except FileNotFoundError:
            raise NotYetIncluded("the log has no checkpoint yet") from None
        except OSError as error:
            self.damaged(f"{self.directory / name}: {error.strerror}")
