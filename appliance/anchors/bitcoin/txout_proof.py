"""An anchor's way to its block as the node's own proof: what `gettxoutproof` gives and `verifytxoutproof` takes, the
header and a partial merkle tree (BIP 37)."""

from __future__ import annotations

from appliance.anchors.bitcoin.encoding import compact_size
from appliance.anchors.bitcoin.proof import BitcoinProof


def txout_proof(proof: BitcoinProof) -> bytes:
    """The proof that the block has the transaction. Nothing is checked: the node does that."""
    hashes: list[bytes] = []
    flags: list[bool] = []
    siblings = [bytes.fromhex(one) for one in proof.branch]
    height = (proof.count - 1).bit_length()
    by_level: dict[int, bytes] = {}
    for level in range(height):
        if (proof.index >> level) ^ 1 < _width(proof.count, level):
            by_level[level] = siblings.pop(0)

    def descend(level: int) -> None:
        flags.append(True)
        if level == 0:
            hashes.append(proof.anchor().txid)
            return
        below, on_right = level - 1, bool(proof.index >> (level - 1) & 1)
        if on_right:
            flags.append(False)
            hashes.append(by_level[below])
        descend(below)
        if not on_right and below in by_level:
            flags.append(False)
            hashes.append(by_level[below])

    descend(height)
    packed = bytearray((len(flags) + 7) // 8)
    for at, flag in enumerate(flags):
        packed[at // 8] |= flag << at % 8
    header = proof.chain()[0].encoded
    return b"".join(
        (
            header,
            proof.count.to_bytes(4, "little"),
            compact_size(len(hashes)),
            *hashes,
            compact_size(len(packed)),
            bytes(packed),
        )
    )


def _width(count: int, level: int) -> int:
    """Nodes of a level of the tree, 0 being the transactions."""
    return (count + (1 << level) - 1) >> level
