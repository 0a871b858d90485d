"""`cinnabar log repair`: give a log the files again that its signed head says it has.

The entries are taken from the bundles and from the recorder's commitments; where the two differ, from whichever the
tiles agree with. Before anything is replaced, they must give the root of the signed head (controls APPEND, FORK): a
repair can bring back the signed history and no other. What lies beyond the head is the follower's.

The exported checkpoint and keys.json are never touched: they are what a log is held to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance.files import Owner, remove_file, write_durably
from appliance.log import tree
from appliance.log.check import RecordSource
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import LogDamaged, MalformedNote, MalformedProof, SignatureInvalid
from appliance.log.exports import read_export
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE, TILE_BYTES, read_held
from appliance.log.receipts import SignedRoot, verify_signed_root
from appliance.log.tiles import LENGTH_BYTES, WIDTH, Tile, decode_bundle, encode_bundle
from appliance.tree_hash import hash_of


class LogRepair:
    """The repair of one log. `log`: its name at the recorder; `alone`: no follower runs, the log's edge is ours too."""

    def __init__(
        self,
        origin: str,
        log: str,
        directory: Path,
        exports: Path,
        keys: list[LogKey],
        records: RecordSource | None,
        owner: Owner | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self._origin = origin
        self._hashing = hash_of(origin)
        self._log = log
        self._directory = directory
        self._keys = keys
        self._records = records
        self._owner = owner
        self._alone = alone
        self._exported = read_export(exports, origin)
        self.done: list[str] = []
        """What was done, in sentences."""

    def run(self) -> None:
        """Raises LogDamaged, with nothing changed, when neither bundles nor records give the signed root."""
        head = self._signed_head()
        chosen = self._sources(head)
        self._write(head, chosen)
        if self._alone:
            self._mend_head(head)

    def _signed_head(self) -> Checkpoint:
        """The newest head under the log's keys, exported or published."""
        heads = [self._opened(note) for note in (self._exported, self._content(CHECKPOINT_FILE))]
        found = [head for head in heads if head is not None]
        if not found:
            raise LogDamaged(f"there is no signed head of {self._origin} to hold a repair to")
        return max(found, key=lambda head: head.size)

    def _opened(self, note: bytes | None) -> Checkpoint | None:
        try:
            return None if note is None else open_checkpoint(note, self._origin, self._keys)
        except (MalformedNote, SignatureInvalid):
            return None

    def _content(self, path: str) -> bytes | None:
        try:
            return read_held(self._directory / path, TILE_BYTES)
        except FileNotFoundError:
            return None
        except LogDamaged:  # what stands in its place is replaced
            return b""

    # Entries

    def _sources(self, head: Checkpoint) -> bool:
        """Which choice of entries gives the signed root: the tiles' (True), or the records' alone (False)."""
        for by_tiles in (True, False):
            roots = [
                tree.root(self._leaves(entries), self._hashing)
                for entries in self._entries(head.size, by_tiles=by_tiles)
            ]
            if tree.fold(b"".join(roots), self._hashing) == head.root:
                return by_tiles
        raise LogDamaged(
            f"neither the bundles nor the records of {self._origin} give the root of its signed head of "
            f"{head.size} entries: nothing was changed. Restore a backup, see docs/backup.md"
        )

    def _entries(self, size: int, *, by_tiles: bool) -> Iterator[list[bytes]]:
        for index in range((size + WIDTH - 1) // WIDTH):
            width = min(WIDTH, size - index * WIDTH)
            bundle, recorded = self._bundle(index, width), self._recorded(index, width)
            if bundle is None or recorded is None or bundle == recorded or not by_tiles:
                chosen = recorded or bundle
            else:
                chosen = bundle if self._tiles_agree(index, bundle) else recorded
            # An entry that is nowhere leaves a wrong root, and that is told.
            yield chosen or []

    def _bundle(self, index: int, width: int) -> list[bytes] | None:
        for content in self._wide_enough(Tile("entries", index), width):
            try:
                entries = decode_bundle(content[: width * (LENGTH_BYTES + self._hashing.size)])
            except MalformedProof:
                continue
            if [len(entry) for entry in entries] == [self._hashing.size] * width:
                return entries
        return None

    def _recorded(self, index: int, width: int) -> list[bytes] | None:
        if self._records is None:
            return None
        packed = self._records.leaves(self._log, index * WIDTH, width)
        size = self._hashing.size
        entries = [packed[at : at + size] for at in range(0, len(packed), size)]
        return entries if len(entries) == width else None

    def _tiles_agree(self, index: int, entries: list[bytes]) -> bool:
        """Do the leaf tile or the tile above say the same as these entries?"""
        hashes = b"".join(self._leaves(entries))
        if any(content.startswith(hashes) for content in self._wide_enough(Tile(0, index), len(entries))):
            return True
        above, slot = divmod(index, WIDTH)
        size = self._hashing.size
        at = slot * size
        return len(entries) == WIDTH and any(
            content[at : at + size] == tree.fold(hashes, self._hashing)
            for content in self._wide_enough(Tile(1, above), slot + 1)
        )

    def _leaves(self, entries: list[bytes]) -> list[bytes]:
        return [tree.leaf_hash(entry, self._hashing) for entry in entries]

    def _wide_enough(self, full: Tile, width: int) -> Iterator[bytes]:
        for found in self._files(full):
            if found.width >= width and (content := self._content(found.path())) is not None:
                yield content

    def _files(self, full: Tile) -> list[Tile]:
        """The files of a tile that are there, full and partial."""
        path = self._directory / full.path()
        partials = path.with_name(f"{path.name}.p")
        names = [file.name for file in partials.iterdir()] if partials.is_dir() else []
        widths = [int(name) for name in names if name.isdecimal() and 0 < int(name) < WIDTH]
        return [Tile(full.level, full.index, width) for width in (*widths, *([WIDTH] if path.exists() else []))]

    # Files

    def _write(self, head: Checkpoint, by_tiles: bool) -> None:
        hashes: list[bytes] = []
        for index, entries in enumerate(self._entries(head.size, by_tiles=by_tiles)):
            self._put(Tile("entries", index, len(entries)), encode_bundle(entries))
            leaves = b"".join(self._leaves(entries))
            self._put(Tile(0, index, len(entries)), leaves)
            if len(entries) == WIDTH:
                hashes.append(tree.fold(leaves, self._hashing))
        level = 1
        while hashes:
            tiles = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
            for index, tile in enumerate(tiles):
                self._put(Tile(level, index, len(tile)), b"".join(tile))
            hashes = [tree.fold(b"".join(tile), self._hashing) for tile in tiles if len(tile) == WIDTH]
            level += 1

    def _put(self, tile: Tile, content: bytes) -> None:
        """Hold the files of a tile to its content under the head; replace or remove what differs."""
        unit = len(content) // tile.width
        present = False
        for found in self._files(Tile(tile.level, tile.index)):
            length = min(found.width, tile.width) * unit
            there = self._content(found.path()) or b""
            if there[:length] == content[:length] and len(there) == found.width * unit:
                present = present or found.width >= tile.width
            elif found.width != tile.width and self._ours(tile, found):
                remove_file(self._directory / found.path())
                self.done.append(f"removed {self._directory / found.path()}: another file has what it held")
        if not present and self._ours(tile, tile):
            write_durably(self._directory / tile.path(), content, self._owner)
            self.done.append(f"derived {self._directory / tile.path()} again")

    def _ours(self, tile: Tile, file: Tile) -> bool:
        if tile.full or self._alone:
            return True
        self.done.append(f"left {self._directory / file.path()}: the follower writes it; stop the box and repair again")
        return False

    def _mend_head(self, head: Checkpoint) -> None:
        """The published head from the exported one; a damaged signed root goes, and is signed again."""
        checkpoint = self._directory / CHECKPOINT_FILE
        published = self._content(CHECKPOINT_FILE)
        if self._opened(published) is None and self._exported is not None and self._opened(self._exported) == head:
            write_durably(checkpoint, self._exported, self._owner)
            self.done.append(f"replaced {checkpoint} by the exported checkpoint")
        signed_root = self._content(SIGNED_ROOT_FILE)
        if signed_root is not None and not self._is_over(signed_root, head):
            path = self._directory / SIGNED_ROOT_FILE
            remove_file(path)
            self.done.append(f"removed {path}: the follower signs it again at its next start")

    def _is_over(self, content: bytes, head: Checkpoint) -> bool:
        try:
            signed = SignedRoot.decode(content)
            verify_signed_root(signed, self._keys, self._hashing)
        except (MalformedProof, SignatureInvalid):
            return False
        return (signed.size, signed.root) == (head.size, head.root)


def next_steps(findings: Iterable[str], exports: Path, home: Path) -> list[str]:
    """What to do about files that differ."""
    files = [Path(file) for file in findings]
    exported = [file for file in files if file.parent == exports]
    opened = [file for file in files if file.parent.parent.name == "openings"]
    records = [file for file in files if file.name == "records.sqlite"]
    steps = [f"cinnabar restore: {file} cannot be derived from the logs" for file in dict.fromkeys(records)]
    steps += [f"put back a good copy of {file}: it is what the log is held to" for file in exported]
    steps += [f"put back a good copy of {file}: its salts stand nowhere else" for file in opened]
    if len(exported) + len(opened) + len(records) < len(files):
        steps.insert(0, f"cinnabar log repair --home {home}")
    return steps
