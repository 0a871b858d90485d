"""Which coins of the account an anchor spends, and what it pays."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from appliance.anchorer.bitcoin.node import Node
from appliance.anchors.bitcoin.anchor_transaction import MOST_COINS, Coin, anchor_size
from appliance.anchors.bitcoin.scripts import payment_script
from appliance.anchors.bitcoin.transaction import OutPoint
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings

RAISE: Final = 1.25
"""A replacement pays so many times the fee before it, at least."""
MOST_LOOKED_AT: Final = 200
"""Coins that the node is asked about for one anchor."""


class Purse:
    """The coins of one account, as far as they are known. They are searched for only where none that is known will do:
    on a large chain that takes minutes."""

    def __init__(self, node: Node, settings: BitcoinLedgerSettings, depth: int) -> None:
        self._node = node
        self._settings = settings
        self._depth = depth
        self._known: set[OutPoint] = set()

    def learn(self, coin: Coin) -> None:
        """A coin of the account that can be spent."""
        self._known.add(coin.at)

    async def pay(
        self, public_key: bytes, commitment: bytes, own: Iterable[Coin], taken: Collection[OutPoint], rate: int
    ) -> tuple[list[Coin], int] | None:
        """Coins for a new anchor and its fee; None where there are not enough.

        `own`: change of open anchors, which is spent before it is deep in the chain; of others' payments only what is.
        `taken`: what open anchors spend already. `rate`: of the fee, for 1,000 virtual bytes."""
        open_change = {coin.at for coin in own}
        for searched in (False, True):
            if searched:
                script = payment_script(public_key)
                self._known = {coin.at for coin, _ in await self._node.coins_of(script)}
            usable = await self._usable(public_key, (self._known | open_change).difference(taken), open_change)
            # Boxes that share an account begin with other coins each: they seldom meet.
            usable.sort(key=lambda coin: hashlib.sha256(commitment + coin.at.encode()).digest())
            chosen = self._choose(usable, rate)
            if chosen is not None:
                return chosen
        return None

    async def _usable(self, public_key: bytes, places: Collection[OutPoint], own: Collection[OutPoint]) -> list[Coin]:
        script = payment_script(public_key)
        found = []
        for at in sorted(places)[:MOST_LOOKED_AT]:
            told = await self._node.coin(at, waiting=True)
            if told is None:
                self._known.discard(at)
            elif told[1] == script and (at in own or told[2] >= self._depth):
                found.append(told[0])
        return found

    def _choose(self, usable: Sequence[Coin], rate: int) -> tuple[list[Coin], int] | None:
        """The first coin that is enough by itself; else the largest together."""
        least = self._settings.least_change
        for coin in usable:
            if coin.amount - self.fee(1, rate) >= least:
                return [coin], self.fee(1, rate)
        largest = sorted(usable, key=lambda coin: -coin.amount)[:MOST_COINS]
        for count in range(2, len(largest) + 1):
            fee = self.fee(count, rate)
            if sum(coin.amount for coin in largest[:count]) - fee >= least:
                return largest[:count], fee
        return None

    def fee(self, coins: int, rate: int) -> int:
        """What an anchor that spends so many coins pays, within what the settings allow."""
        return min(-(-max(rate, self._settings.fee_rate) * anchor_size(coins) // 1_000), self._settings.most_fee)

    def raised(self, fee: int, coins: Sequence[Coin], rate: int, more: int) -> int | None:
        """A fee that replaces one of `fee` (BIP 125); None where that would be more than the settings allow, or than
        the coins have. `more`: by how much, for 1,000 virtual bytes, a replacement must pay more."""
        least = fee + -(-more * anchor_size(len(coins)) // 1_000)
        wanted = max(least, int(fee * RAISE), self.fee(len(coins), rate))
        most = min(self._settings.most_fee, sum(coin.amount for coin in coins) - self._settings.least_change)
        return min(wanted, most) if least <= most else None
