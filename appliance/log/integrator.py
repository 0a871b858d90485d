"""Writing a log's tiles: entries in, files out. The hot path of integration; the plain tree is in appliance.log.tree.

`append` gathers, and writes the tiles that become full; `flush` makes everything so far durable, partial tiles too.
A checkpoint may be signed for the flushed size only. Files are written beside their name, synced and then renamed, so
a reader sees a whole tile or none after any crash; what a signed head covers is never overwritten (control APPEND).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from appliance.files import sync_directory
from appliance.log import tree
from appliance.log.errors import LogDamaged
from appliance.log.reader import TileReader, read_tile, root_from_edges
from appliance.log.tiles import HEIGHT, WIDTH, Tile, encode_bundle, tiles_of
from appliance.tree_hash import SHA256, TreeHash

_OPEN_FILES = 256


class Integrator:
    """The one writer of a log's tiles. `size` counts the entries integrated; `flush` makes them durable."""

    def __init__(
        self, directory: Path, size: int = 0, signed_size: int | None = None, hashing: TreeHash = SHA256
    ) -> None:
        """Continue a log whose tiles of `size` are on disk. Raises LogDamaged when they are not.

        `signed_size` is that of the last signed head, `size` where not given; with size 0 the tiles are derived anew.
        """
        self.directory = directory
        self.size = size
        self.signed_size = size if signed_size is None else signed_size
        self.hashing = hashing
        reader = TileReader(directory, size, hashing)
        self._levels = [
            bytearray() if tile.full else bytearray(reader.tile(int(tile.level), tile.index)) for tile in tiles_of(size)
        ]
        self._bundle = bytearray()
        if width := size % WIDTH:
            self._bundle += read_tile(directory, Tile("entries", size // WIDTH, width), hashing)
        self._written: list[tuple[int, str]] = []
        self._directories: set[str] = set()
        self._known_directories: set[str] = set()
        self._obsolete: list[str] = []

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries, each of the bytes of a hash, in order. Raises LogDamaged where a signed tile says otherwise."""
        at = 0
        while at < len(entries):
            chunk = entries[at : at + WIDTH - self.size % WIDTH]
            self._append_chunk(chunk)
            at += len(chunk)

    def _append_chunk(self, entries: Sequence[bytes]) -> None:
        """Add entries that end at or before the end of the rightmost tile."""
        new, width = self.hashing.new, self.hashing.size
        if not all(len(entry) == width for entry in entries):
            raise ValueError(f"an entry of the log has {width} bytes")
        self._bundle += encode_bundle(entries)
        self._push(0, b"".join([new(b"\x00" + entry).digest() for entry in entries]))
        self.size += len(entries)
        if self.size % WIDTH == 0:
            self._write(Tile("entries", self.size // WIDTH - 1), bytes(self._bundle))
            self._bundle.clear()
            self._complete()

    def _push(self, level: int, hashes: bytes) -> None:
        if level == len(self._levels):
            self._levels.append(bytearray())
        self._levels[level] += hashes

    def _complete(self) -> None:
        """Write every tile that has become full, and push its root to the level above."""
        level, full = 0, WIDTH * self.hashing.size
        while level < len(self._levels) and len(self._levels[level]) == full:
            hashes = bytes(self._levels[level])
            self._write(Tile(level, (self.size >> (HEIGHT * (level + 1))) - 1), hashes)
            self._levels[level].clear()
            self._push(level + 1, tree.fold(hashes, self.hashing))
            level += 1

    def root(self) -> bytes:
        """Root of the tree of `size`."""
        return root_from_edges([bytes(hashes) for hashes in self._levels], self.hashing)

    def flush(self) -> None:
        """Make the tree of `size` durable: every full tile so far and the partial ones, contents before names."""
        for tile in tiles_of(self.size):
            if not tile.full:
                self._write(tile, bytes(self._levels[int(tile.level)]))
        if self._bundle:
            self._write(Tile("entries", self.size // WIDTH, self.size % WIDTH), bytes(self._bundle))
        self._name_written()
        while self._directories:
            sync_directory(self._directories.pop())
        for path in self._obsolete:
            _remove_partials(Path(path))
        self._obsolete.clear()

    def _write(self, tile: Tile, content: bytes) -> None:
        path = f"{self.directory}/{tile.path()}"
        parent = path.rpartition("/")[0]
        if parent not in self._known_directories:
            self._make_directory(parent)
        self._directories.add(parent)
        if tile.full:
            self._obsolete.append(f"{path}.p")
        if self._present(tile, path, content):
            return
        self._written.append((_write_beside(path, content), path))
        if len(self._written) >= _OPEN_FILES:
            self._name_written()

    def _present(self, tile: Tile, path: str, content: bytes) -> bool:
        """Is the tile there already? Only what no signed head covers may be there with other bytes: it is replaced."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                present = file.read()
        except FileNotFoundError:
            return False
        if present == content:
            return True
        level = 0 if tile.level == "entries" else tile.level
        if tile.index * WIDTH + tile.width <= self.signed_size >> (HEIGHT * level):
            raise LogDamaged(f"{path} holds other bytes than the records give, under a signed head")
        return False

    def _name_written(self) -> None:
        """Make written contents durable, then give them their names."""
        for descriptor, path in self._written:
            os.fsync(descriptor)
            os.close(descriptor)
            os.rename(f"{path}.new", path)  # noqa: PTH104
        self._written.clear()

    def _make_directory(self, path: str) -> None:
        made = Path(path)
        while not made.is_dir():
            self._directories.add(str(made.parent))
            made = made.parent
        Path(path).mkdir(parents=True, exist_ok=True)
        self._known_directories.add(path)

    def close(self) -> None:
        """Let go of open files; what was not flushed is found again from the records."""
        for descriptor, _ in self._written:
            os.close(descriptor)
        self._written.clear()


def _write_beside(path: str, content: bytes) -> int:
    """Write PATH.new; returns the open file, not yet durable."""
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_partials(directory: Path) -> None:
    """Drop the partial files of a tile that is full and durable."""
    try:
        partials = list(directory.iterdir())
    except FileNotFoundError:
        return
    for file in partials:
        file.unlink()
    directory.rmdir()
