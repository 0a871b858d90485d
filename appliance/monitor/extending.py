"""Whether a signed head of a log extends another one: a pure function of both and of the tiles that the log publishes.

Tiles are believed in nothing: what they give must lead to the larger head's signed root. Then what they say of the
smaller size is the log's own word, and where it is another root than the log signed for that size, the log has forked.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.log import tree
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import ProofInvalid
from appliance.log.forks import other_past, same_size
from appliance.log.reader import SubtreeSource
from appliance.monitor.errors import HistoryForked, TilesWrong


@dataclass(frozen=True)
class SignedHead:
    """A checkpoint whose signature was verified."""

    checkpoint: Checkpoint
    note: bytes
    """As it was signed."""


@dataclass(frozen=True)
class Past:
    """What a signed head's tree was at a smaller size."""

    root: bytes
    path: list[bytes]
    """Consistency proof (RFC 6962, section 2.1.2) from that size to the head's."""


def past_of(head: Checkpoint, size: int, tiles: SubtreeSource) -> Past:
    """The root that a signed head's tree had at `size`, at most its own. `tiles`: of that head.

    Raises TilesWrong where the tiles do not lead to the signed root; and what reading tiles does.
    """
    if tiles.root() != head.root:
        raise TilesWrong(f"the tiles of {head.size} entries do not have the root of the signed head")
    if size == 0:
        return Past(tiles.hashing.empty_root, [])
    hashing = tiles.hashing
    path = [tree.range_root(span, tiles.subtree, hashing) for span in tree.consistency_ranges(size, head.size)]
    root = tree.range_root((0, size), tiles.subtree, hashing)
    try:
        tree.verify_consistency(size, root, head.size, head.root, path, hashing)
    except ProofInvalid as error:
        raise TilesWrong(f"the tiles of {head.size} entries do not fit together: {error}") from None
    return Past(root, path)


def extension_proof(smaller: SignedHead, larger: SignedHead, tiles: SubtreeSource) -> list[bytes]:
    """The consistency proof (RFC 6962, section 2.1.2) from one head of a log to another, as large or larger.

    `tiles`: of the larger one. Raises HistoryForked, with evidence; TilesWrong; and what reading tiles does.
    """
    old, new = smaller.checkpoint, larger.checkpoint
    if old.size == new.size:
        if old.root != new.root:
            detail = f"two heads of {old.size} entries have different roots"
            raise HistoryForked(detail, same_size(old.origin, smaller.note, larger.note))
        return []
    past = past_of(new, old.size, tiles)
    if past.root != old.root:
        detail = f"the head of {new.size} entries has another past of {old.size} than was signed before"
        raise HistoryForked(detail, other_past(old.origin, smaller.note, larger.note, past.root, past.path))
    return past.path
