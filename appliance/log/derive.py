"""Deriving a log's tiles again from its entry bundles, and finding the file that differs.

The entries give a tree; the signed root says whether it is the right one. If it is, every tile that differs is damaged.
If it is not, a bundle is: it is the one whose leaf tile differs from it and yet fits the tile above.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.files import closing_descriptor, open_directory
from appliance.log import tree
from appliance.log.errors import LogDamaged, MalformedProof
from appliance.log.reader import TILE_BYTES, read_held, root_from_edges
from appliance.log.tiles import HEIGHT, LENGTH_BYTES, WIDTH, Tile, decode_bundle
from appliance.tree_hash import SHA256, TreeHash


@dataclass(frozen=True)
class Finding:
    """Something that is not as it must be."""

    file: str
    problem: str


@dataclass(frozen=True)
class _Difference:
    """A tile's file that differs from what the entries give. `slots`: which of the level's hashes do."""

    path: Path
    slots: frozenset[int]


@dataclass
class Derivation:
    """The tree that the bundles of a directory give."""

    directory: Path
    hashing: TreeHash = SHA256
    entries: int = 0
    """Entries found."""
    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    _found: dict[tuple[object, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    _levels: list[list[bytes]] = field(default_factory=lambda: [[]])
    _differences: dict[int, list[_Difference]] = field(default_factory=lambda: defaultdict(list))

    def run(self, size: int, recorded: Iterator[bytes] | None, progress: Callable[[int], None] | None) -> bytes:
        """Derive everything that is there; returns the root of the first `size` entries.

        `recorded` gives each bundle's entries, packed, as the records have them. `progress` is told of entries.
        """
        self._scan()
        root = self.hashing.empty_root if size == 0 else b""
        index = 0
        while ("entries", index) in self._found or (0, index) in self._found:
            first = index * WIDTH
            hashes = self._leaf_hashes(index, None if recorded is None else next(recorded, b""))
            self.entries += len(hashes)
            if first < size <= first + len(hashes):
                root = self._root(hashes[: size - first])
            self._levels[0] = hashes
            self._carry(index)
            if progress is not None:
                progress(self.entries)
            if len(hashes) < WIDTH:
                break
            index += 1
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._hold(level, (self.entries >> (HEIGHT * level)) // WIDTH, hashes)
        for place in list(self._found):
            for path in self._paths(*place):
                self._find(path, f"belongs to no log of {self.entries} entries")
        if self.entries < size:
            path = self.directory / Tile("entries", self.entries // WIDTH).path()
            self._find(path, f"is missing or short: the head has {size} entries")
        return root

    def judge(self, entries_are_right: bool) -> None:
        """Turn differences into findings. `entries_are_right`: the derived root is the signed one."""
        blamed: set[int] = set()
        if not entries_are_right:
            for difference in self._differences[0]:
                for slot in difference.slots:
                    if slot // WIDTH not in blamed and self._fits_above(difference, slot // WIDTH):
                        blamed.add(slot // WIDTH)
                        bundle = self._bundle_path(slot // WIDTH)
                        self._find(bundle, f"entry {slot} differs from its leaf hash in {difference.path}")
        for level, differences in sorted(self._differences.items()):
            explained = {index >> (HEIGHT * (level - 1)) if level else index for index in blamed}
            for difference in differences:
                own = {slot for slot in difference.slots if (slot if level else slot // WIDTH) not in explained}
                if own:
                    self._find(difference.path, f"hash {min(own) % WIDTH} differs from what the entries give")

    def _find(self, path: Path, problem: str) -> None:
        self.findings.append(Finding(str(path), problem))

    def _scan(self) -> None:
        try:
            found = sorted(_files_below(self.directory / "tile"))
        except LogDamaged as error:
            self._find(self.directory / "tile", str(error))
            return
        for path, plain in found:
            if path.suffix == ".new":
                continue
            try:
                tile = Tile.parse(path.relative_to(self.directory).as_posix())
            except MalformedProof:
                self._find(path, "is no tile")
            else:
                if plain:
                    self._found[tile.level, tile.index].append(tile.width)
                else:
                    self._find(path, "is no plain file")

    def _paths(self, level: object, index: int) -> dict[Path, int]:
        """The files of one tile, widest first; each is given out once."""
        widths = sorted(self._found.pop((level, index), []), reverse=True)
        return {self.directory / Tile(level, index, width).path(): width for width in widths}  # type: ignore[arg-type]

    def _contents(self, level: object, index: int) -> Iterator[tuple[Path, int, bytes]]:
        """The files of one tile. A running follower may have replaced a narrow one by the full one meanwhile."""
        paths = self._paths(level, index)
        for path, width in paths.items():
            try:
                content = self._content(path)
            except FileNotFoundError:
                full = Tile(level, index)  # type: ignore[arg-type]
                try:
                    content = self._content(self.directory / full.path())
                except FileNotFoundError:
                    self._find(path, "has gone while the log was checked")
                    continue
                content = content[: width * (self.hashing.size + (LENGTH_BYTES if level == "entries" else 0))]
            self.files += 1
            yield path, width, content

    def _content(self, path: Path) -> bytes:
        """Of a file of a tile, none where no plain one stands there any more. Raises FileNotFoundError,
        PermissionError."""
        try:
            return read_held(path, TILE_BYTES)
        except LogDamaged as error:
            self._find(path, str(error))
            return b""

    def _bundle_path(self, index: int) -> Path:
        full = self.directory / Tile("entries", index).path()
        return full if full.exists() else max((full.parent / f"{full.name}.p").iterdir(), key=lambda p: int(p.name))

    def _leaf_hashes(self, index: int, recorded: bytes | None) -> list[bytes]:
        """Leaf hashes of one bundle; of its tile where the bundle cannot be read, so that the rest is still checked."""
        widest: list[bytes] = []
        for path, width, content in self._contents("entries", index):
            try:
                entries = decode_bundle(content)
            except MalformedProof:
                entries = []
            if len(entries) != width or any(len(entry) != self.hashing.size for entry in entries):
                self._find(path, f"is not a bundle of {width} entries of {self.hashing.size} bytes")
            elif not widest:
                widest = entries
                self._compare(path, index, entries, recorded)
            elif entries != widest[:width] and self._tile_itself(index)[:width] != self._leaves(entries):
                self._find(path, "differs from the wider bundle of the same entries")
        if widest:
            return self._leaves(widest)
        self._find(self.directory / Tile("entries", index).path(), "cannot be read; its tile is taken instead")
        return self._tile_itself(index)

    def _leaves(self, entries: list[bytes]) -> list[bytes]:
        return [tree.leaf_hash(entry, self.hashing) for entry in entries]

    def _tile_itself(self, index: int) -> list[bytes]:
        widths = self._found.get((0, index), [])
        if not widths:
            return []
        content = self._content(self.directory / Tile(0, index, max(widths)).path())
        return self._cut(content)

    def _cut(self, packed: bytes) -> list[bytes]:
        """Packed hashes, or entries, which have as many bytes."""
        width = self.hashing.size
        return [packed[at : at + width] for at in range(0, len(packed), width)]

    def _compare(self, path: Path, index: int, entries: list[bytes], recorded: bytes | None) -> None:
        packed = b"".join(entries)
        if recorded is None or recorded[: len(packed)] == packed:
            return
        there = self._cut(recorded)
        place = next((n for n, (a, b) in enumerate(zip(entries, there, strict=False)) if a != b), len(there))
        self._find(path, f"entry {index * WIDTH + place} differs from the records")

    def _carry(self, index: int) -> None:
        """Push the roots of full tiles up, and hold each full tile to its files."""
        level, at = 0, index
        while len(self._levels[level]) == WIDTH:
            hashes = self._levels[level]
            self._hold(level, at, hashes)
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level] = []
            self._levels[level + 1].append(tree.fold(b"".join(hashes), self.hashing))
            level, at = level + 1, at // WIDTH

    def _hold(self, level: int, index: int, hashes: list[bytes]) -> None:
        """Compare a derived tile with its files, each the front of it (or, in a log that grows, of what follows)."""
        derived = b"".join(hashes)
        covered = 0
        for path, width, content in self._contents(level, index):
            covered = max(covered, width)
            length = width * self.hashing.size
            if len(content) != length:
                self._find(path, f"has {len(content)} bytes, not {length}")
            elif (shared := min(length, len(derived))) and content[:shared] != derived[:shared]:
                pairs = zip(self._cut(content[:shared]), self._cut(derived[:shared]), strict=True)
                wrong = [slot for slot, (there, right) in enumerate(pairs) if there != right]
                self._differences[level].append(_Difference(path, frozenset(index * WIDTH + slot for slot in wrong)))
        if covered == 0:
            self._find(self.directory / Tile(level, index, len(hashes)).path(), "is missing")

    def _root(self, last: list[bytes]) -> bytes:
        """Root where the rightmost leaf tile is `last` and the levels above are as carried so far."""
        above = [list(level) for level in self._levels[1:]]
        edges = [list(last)]
        if len(last) == WIDTH:
            edges, carried = [[]], tree.fold(b"".join(last), self.hashing)
            for level in above:
                level.append(carried)
                if len(level) < WIDTH:
                    break
                carried = tree.fold(b"".join(level), self.hashing)
                level.clear()
            else:
                above.append([carried])
        return root_from_edges([b"".join(level) for level in (*edges, *above)], self.hashing)

    def _fits_above(self, difference: _Difference, index: int) -> bool:
        """Does the leaf tile, as its file has it, fit the tile above? At the right edge there is none to ask."""
        content = self._content(difference.path)
        size = self.hashing.size
        if len(content) != WIDTH * size:
            return True
        above, slot = divmod(index, WIDTH)
        full = self.directory / Tile(1, above).path()
        candidates = [full]
        with contextlib.suppress(LogDamaged):
            candidates += [path for path, plain in _files_below(full.parent / f"{full.name}.p") if plain]
        fold = tree.fold(content, self.hashing)
        return any(self._present(path)[slot * size : (slot + 1) * size] == fold for path in candidates)

    def _present(self, path: Path) -> bytes:
        try:
            return self._content(path)
        except FileNotFoundError:
            return b""


def _files_below(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Everything below a directory that is none itself, and whether it is a plain file; no link is followed. Raises
    LogDamaged where the directory is none, PermissionError where this user may not read it."""
    try:
        top = open_directory(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.EACCES:
            raise
        raise LogDamaged(f"cannot be read: {error.strerror}") from None
    with closing_descriptor(top):
        for within, directories, names, here in os.fwalk(dir_fd=top):
            for name in (*directories, *names):
                with contextlib.suppress(FileNotFoundError):  # a running follower drops partial files
                    mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
                    if not stat.S_ISDIR(mode):
                        yield directory / within / name, stat.S_ISREG(mode)
