"""Fetching a whole log. What is fetched is checked against the checkpoint's root before the checkpoint is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from appliance.client.errors import NotUnderstood
from appliance.log import Checkpoint, Tile, TileReader, parse_note
from appliance.log.tiles import WIDTH
from appliance.tree_hash import hash_of


def mirror_log(fetch: Callable[[str], bytes], directory: Path, progress: Callable[[int, int], None]) -> int:
    """Fetch the checkpoint and the tiles and bundles of its size; returns the size.

    Files that stand there already are not fetched again: tiles never change. Raises NotUnderstood when the tiles do not
    have the checkpoint's root. The checkpoint's signature is for `cinnabar verify` and the log's own tools to check.
    """
    note = fetch("checkpoint")
    checkpoint = Checkpoint.parse(parse_note(note).text)
    wanted = list(_tiles(checkpoint.size))
    for number, tile in enumerate(wanted):
        progress(number, len(wanted))
        path = directory / tile.path()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fetch(tile.path()))
    if checkpoint.size and TileReader(directory, checkpoint.size, hash_of(checkpoint.origin)).root() != checkpoint.root:
        raise NotUnderstood("the tiles do not have the root that the checkpoint says")
    (directory / "checkpoint").write_bytes(note)
    progress(len(wanted), len(wanted))
    return checkpoint.size


def _tiles(size: int) -> Iterator[Tile]:
    """Every tile of every level of a tree, and every bundle of its entries."""
    level, width = 0, size
    while width:
        full, rest = divmod(width, WIDTH)
        kinds: tuple[int | Literal["entries"], ...] = (level, "entries") if level == 0 else (level,)
        for kind in kinds:
            yield from (Tile(kind, index) for index in range(full))
            if rest:
                yield Tile(kind, full, rest)
        level, width = level + 1, full
