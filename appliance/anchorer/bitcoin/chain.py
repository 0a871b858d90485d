"""A node's best chain, followed block by block and believed only as far as it shows its work.

Each header must follow the one before it, have the work of the profile's rule at none but the chain's targets, and be
the root of the transactions that the node lists. What is kept of a block is its header and the places of transactions
that are watched, from the height on at which the oldest open anchor can stand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from appliance.anchorer.bitcoin.node import Node
from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchors.bitcoin.encoding import from_shown, shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.header import Header, target_of
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.merkle import root_of

BLOCKS_A_STEP: Final = 200
"""Blocks that one step takes in; after a long outage it takes several."""


class OtherChain(LedgerUnavailable):
    """The node follows another chain than the profile's, or than it did."""

    code = "ledger-other-chain"
    title = "The ledger's node follows another chain"


class ChainPoint(NamedTuple):
    """A block, as an anchor remembers it."""

    height: int
    hash: bytes


@dataclass(frozen=True)
class Block:
    header: Header
    places: Mapping[bytes, int]
    """Of the watched transactions that it has, by their ids."""


class Chain:
    """What is known of the node's chain. One at a time may follow it."""

    def __init__(self, node: Node, rules: Rules) -> None:
        self._node = node
        self._rules = rules
        self._easiest = target_of(int(rules.easiest_bits, 16))
        self._blocks: dict[int, Block] = {}
        self.height = -1
        """Of the last block that was taken in."""
        self.node_height = -1
        """Of the node's tip."""

    @property
    def complete(self) -> bool:
        """Whether all that the node has was taken in."""
        return self.height >= self.node_height

    async def look(self) -> None:
        """Learn the node's tip, after it has shown that it is on the right chain. Raises OtherChain,
        LedgerUnavailable."""
        if await self._node.block_at(0) != from_shown(self._rules.genesis):
            raise OtherChain("the node's chain has another first block than the profile's")
        for trusted in self._rules.trusted_headers[-1:]:
            if await self._node.height_of(from_shown(trusted)) is None:
                raise OtherChain(f"the node's chain lacks the block {trusted}, which the profile trusts")
        height = await self._node.height_of(await self._node.tip())
        if height is None:
            raise LedgerUnavailable("the chain moved on while it was looked at")
        self.node_height = height

    async def has(self, point: ChainPoint) -> bool:
        """Whether a block is in the node's chain, or a later one that the profile trusts by hand says that it need not
        be."""
        if await self._node.block_at(point.height) == point.hash:
            return True
        for trusted in self._rules.trusted_headers[-1:]:
            height = await self._node.height_of(from_shown(trusted))
            return height is not None and height >= point.height
        return False

    async def point(self, height: int) -> ChainPoint | None:
        """The block at this height; None below the first and above the tip."""
        block = await self._node.block_at(height) if height >= 0 else None
        return None if block is None else ChainPoint(height, block)

    async def follow(self, since: int, watched: Collection[bytes]) -> None:
        """Take in blocks from height `since` on; after BLOCKS_A_STEP of them the next call goes on. Raises
        LedgerUnavailable."""
        if self._blocks and min(self._blocks) > since:
            self._blocks.clear()
        for height in [height for height in self._blocks if height < since]:
            del self._blocks[height]
        while (
            self._blocks and await self._node.block_at(max(self._blocks)) != self._blocks[max(self._blocks)].header.hash
        ):
            del self._blocks[max(self._blocks)]
        self.height = max(self._blocks, default=since - 1)
        last = min(self.node_height, self.height + BLOCKS_A_STEP)
        while self.height < last:
            self._blocks[self.height + 1] = await self._take(self.height + 1, watched)
            self.height += 1

    async def _take(self, height: int, watched: Collection[bytes]) -> Block:
        named = await self._node.block_at(height)
        if named is None:
            raise LedgerUnavailable("the chain moved on while it was followed")
        try:
            header = Header.parse(await self._node.header(named))
            sound = header.hash == named and header.target <= self._easiest and header.has_work(self._rules.work)
        except MalformedBitcoin as error:
            raise LedgerUnavailable(f"the node's header of block {height}: {error}") from None
        if not sound:
            raise OtherChain(f"the node's header of block {height} is another's, or lacks its work")
        before = self._blocks.get(height - 1)
        if before is not None and header.parent != before.header.hash:
            raise LedgerUnavailable("the chain moved on while it was followed")
        listed = await self._node.transactions(named)
        if root_of(listed) != header.root:
            raise OtherChain(f"the node lists other transactions than those of block {height}")
        return Block(header, {txid: at for at, txid in enumerate(listed) if txid in watched})

    def find(self, txid: bytes) -> int | None:
        """The height of the block that has a watched transaction."""
        return next((height for height, block in self._blocks.items() if txid in block.places), None)

    def block(self, height: int) -> Block:
        return self._blocks[height]

    def headers(self, height: int, most: int) -> list[Header]:
        """From this height up, at most so many."""
        return [self._blocks[at].header for at in range(height, min(self.height + 1, height + most))]

    def place(self, height: int) -> str:
        """A block, for people."""
        return f"block {height} ({shown(self._blocks[height].header.hash)})"
