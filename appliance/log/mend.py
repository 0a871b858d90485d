"""Full tiles and bundles that a log's directory lacks: found by their names, derived from the entry bundles.

What is derived is folded to the signed root before it gets its name: nothing is mended into another history.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from appliance.files import write_durably
from appliance.log import tree
from appliance.log.errors import LogDamaged, MalformedProof
from appliance.log.integrator import Integrator
from appliance.log.reader import TileReader, read_tile
from appliance.log.tiles import HEIGHT, LENGTH_BYTES, WIDTH, Tile, decode_bundle, encode_bundle
from appliance.tree_hash import SHA256, TreeHash

_AT_ONCE = 4_096
"""Files derived in memory; where more are missing, the whole log is derived again from the records."""
_READ_AT_ONCE = 64 * WIDTH

Leaves = Callable[[int, int], Awaitable[bytes]]
"""(first, limit) -> that many recorded entries or fewer, packed."""


def missing_tiles(directory: Path, size: int, hashing: TreeHash = SHA256) -> list[Tile]:
    """The full tiles and bundles of the tree of `size` that have no file of their length; contents are not read."""
    found = []
    for index in range(size // WIDTH):
        if not _stands(directory, Tile("entries", index), WIDTH * (LENGTH_BYTES + hashing.size)):
            found.append(Tile("entries", index))
    level = 0
    while full := size >> (HEIGHT * (level + 1)):
        tiles = (Tile(level, index) for index in range(full))
        found += [tile for tile in tiles if not _stands(directory, tile, WIDTH * hashing.size)]
        level += 1
    return found


def _stands(directory: Path, tile: Tile, length: int) -> bool:
    try:
        return (directory / tile.path()).stat().st_size == length
    except FileNotFoundError:
        return False


def derive_tiles(
    directory: Path,
    size: int,
    root: bytes,
    missing: Iterable[Tile],
    bundles: Mapping[int, bytes],
    hashing: TreeHash = SHA256,
) -> dict[Tile, bytes]:
    """The contents of missing full tiles, each held to the root of the tree of `size`.

    `bundles` has the missing entry bundles. Raises LogDamaged when what is there does not give that root.
    """
    reader = _Deriving(directory, size, frozenset(missing), bundles, hashing)
    contents = {}
    for tile in reader.missing:
        leaf = tile.level == "entries"
        reader.hold(0 if leaf else int(tile.level), tile.index, root)
        contents[tile] = bundles[tile.index] if leaf else reader.tile(int(tile.level), tile.index)
    return contents


class _Deriving(TileReader):
    """Reads tiles, and derives those that are missing from what stands below them."""

    def __init__(
        self, directory: Path, size: int, missing: frozenset[Tile], bundles: Mapping[int, bytes], hashing: TreeHash
    ) -> None:
        super().__init__(directory, size, hashing)
        self.missing = missing
        self._bundles = bundles

    def tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles and Tile(level, index) in self.missing:
            self._tiles[level, index] = self._derive(level, index)
        return super().tile(level, index)

    def _derive(self, level: int, index: int) -> bytes:
        if level:
            below = range(index * WIDTH, (index + 1) * WIDTH)
            return b"".join([tree.fold(self.tile(level - 1, child)) for child in below])
        bundle = self._bundles.get(index)
        return b"".join(map(tree.leaf_hash, self._entries(index) if bundle is None else decode_bundle(bundle)))

    def _entries(self, index: int) -> list[bytes]:
        tile = Tile("entries", index)
        try:
            entries = decode_bundle(read_tile(self._directory, tile))
        except MalformedProof:
            entries = []
        if [len(entry) for entry in entries] != [self.hashing.size] * WIDTH:
            raise LogDamaged(f"{self._directory / tile.path()} is no bundle of {WIDTH} entries")
        return entries

    def hold(self, level: int, index: int, root: bytes) -> None:
        """The full tile leads to the root. Its bundle, where that is missing too, is the tile's entries."""
        hashes = self.tile(level, index)
        if level == 0 and index in self._bundles:
            entries = decode_bundle(self._bundles[index])
            given = b"".join([tree.leaf_hash(entry, self.hashing) for entry in entries])
            if given != hashes:
                raise LogDamaged(f"the records do not give {self._directory / Tile(0, index).path()}")
        height = HEIGHT * (level + 1)
        first = index << height
        result = tree.fold(hashes, self.hashing)
        # A full tile is a complete subtree: the steps below its root are all within it.
        for span in tree.inclusion_ranges(first, self.size)[height:]:
            step = tree.range_root(span, self.subtree, self.hashing)
            left, right = (result, step) if span[0] > first else (step, result)
            result = tree.node_hash(left, right, self.hashing)
        if result != root:
            path = self._directory / Tile(level, index).path()
            raise LogDamaged(f"what {path} is derived from does not give the signed root")


async def mend_missing(
    directory: Path, size: int, root: bytes, leaves: Leaves, hashing: TreeHash = SHA256
) -> list[Tile]:
    """Write the full tiles that are missing under the signed head; returns which. Raises LogDamaged.

    For the log's one writer at its start. A missing bundle is taken from the records.
    """
    missing = missing_tiles(directory, size, hashing)
    if len(missing) > _AT_ONCE:
        await _derive_anew(directory, size, root, leaves, hashing)
        return missing
    bundles = {}
    for tile in missing:
        if tile.level == "entries":
            packed = await leaves(tile.index * WIDTH, WIDTH)
            if len(packed) != WIDTH * hashing.size:
                raise LogDamaged(f"the records lack entries of {directory / tile.path()}")
            bundles[tile.index] = encode_bundle(_cut(packed, hashing))
    for tile, content in derive_tiles(directory, size, root, missing, bundles, hashing).items():
        write_durably(directory / tile.path(), content)
    return missing


async def _derive_anew(directory: Path, size: int, root: bytes, leaves: Leaves, hashing: TreeHash) -> None:
    """Everything again from the records; a file that is there and differs is not replaced, but named."""
    integrator = Integrator(directory, 0, signed_size=size, hashing=hashing)
    try:
        while integrator.size < size:
            packed = await leaves(integrator.size, min(_READ_AT_ONCE, size - integrator.size))
            if not packed:
                break
            integrator.append(_cut(packed, hashing))
        if integrator.size != size or integrator.root() != root:
            raise LogDamaged(f"the records do not give the signed root of {directory}")
        integrator.flush()
    finally:
        integrator.close()


def _cut(packed: bytes, hashing: TreeHash) -> list[bytes]:
    return [packed[at : at + hashing.size] for at in range(0, len(packed), hashing.size)]
