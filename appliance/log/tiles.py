"""Tiles and entry bundles of C2SP tlog-tiles: names and contents, without storage."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from appliance.log.errors import MalformedProof

HEIGHT = 8
WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""
LENGTH_BYTES = 2
"""Of an entry's length, before it in a bundle."""
_NUMBER = r"(?:x[0-9]{3}/)*[0-9]{3}"
_PATH = re.compile(rf"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/({_NUMBER})(?:\.p/([1-9][0-9]{{0,2}}))?")
_MAXIMUM_PATH = 120


@dataclass(frozen=True)
class Tile:
    """A tile, or with level "entries" an entry bundle. `width` is 1..256."""

    level: int | Literal["entries"]
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """For example tile/0/x001/x234/067.p/112, below the log's prefix."""
        groups = f"{self.index:03d}"
        groups = groups.zfill((len(groups) + 2) // 3 * 3)
        parts = [groups[at : at + 3] for at in range(0, len(groups), 3)]
        number = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{number}{partial}"

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Read a path below a log's prefix. Raises MalformedProof for any but the one right spelling."""
        match = _PATH.fullmatch(path) if len(path) <= _MAXIMUM_PATH and path.isascii() else None
        if match is None:
            raise MalformedProof("not a tile path")
        level, number, width = match.groups()
        tile = cls(
            level="entries" if level == "entries" else int(level),
            index=int(number.replace("x", "").replace("/", "")),
            width=int(width) if width else WIDTH,
        )
        if tile.path() != path:
            raise MalformedProof("not a tile path")
        return tile

    @property
    def full(self) -> bool:
        return self.width == WIDTH


def tiles_of(size: int) -> list[Tile]:
    """The rightmost tile of each level in a tree of `size`, lowest level first; full where the level ends so."""
    tiles = []
    level, width = 0, size
    while width:
        index, rest = divmod(width, WIDTH)
        tiles.append(Tile(level, index, rest) if rest else Tile(level, index - 1))
        level, width = level + 1, index
    return tiles


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes tile `index` of a level has in a tree of `size`: 0..256."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - index * WIDTH))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each after its length in two bytes, big-endian."""
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def decode_bundle(data: bytes) -> list[bytes]:
    """Read an entry bundle. Raises MalformedProof when it is cut or has more than 256 entries."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data) or len(entries) == WIDTH:
            raise MalformedProof("not an entry bundle")
        entries.append(data[at + 2 : end])
        at = end
    return entries
