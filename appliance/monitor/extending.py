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
    if tiles.root() != new.root:
        raise TilesWrong(f"the tiles of {new.size} entries do not have the root of the signed head")
    if old.size == 0:
        return []
    path = [tree.range_root(span, tiles.subtree) for span in tree.consistency_ranges(old.size, new.size)]
    past = tree.range_root((0, old.size), tiles.subtree)
    try:
        tree.verify_consistency(old.size, past, new.size, new.root, path)
    except ProofInvalid as error:
        raise TilesWrong(f"the tiles of {new.size} entries do not fit together: {error}") from None
    if past != old.root:
        detail = f"the head of {new.size} entries has another past of {old.size} than was signed before"
        raise HistoryForked(detail, other_past(old.origin, smaller.note, larger.note, past, path))
    return path
