"""The transactions of an open anchor: the first one, its sending, and what replaces it."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.anchorer.bitcoin.chain import Chain
from appliance.anchorer.bitcoin.memory import Attempt, OpenAnchor
from appliance.anchorer.bitcoin.node import Node, NodeRefused
from appliance.anchorer.bitcoin.purse import Purse
from appliance.anchorer.ledger import Desk, LedgerUnavailable
from appliance.anchors.bitcoin.address import address_of
from appliance.anchors.bitcoin.anchor_transaction import Coin, anchor_transaction
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import witness_program
from appliance.anchors.bitcoin.transaction import parse_transaction
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.errors import Conflict
from appliance.log.ledgers.bitcoin import BitcoinCoin, BitcoinRequest
from appliance.quoting import escape


class CoinsNotShown(Conflict):
    """Coins that are too small alone cannot be spent together: what made one of them cannot be shown to the desk. One
    coin that is enough by itself needs no showing."""

    code = "ledger-coins-not-shown"
    title = "The account's coins are too small one by one, and cannot be put together"


class Attempts:
    """Makes, sends and replaces the transactions of one ledger's anchors."""

    def __init__(self, node: Node, chain: Chain, settings: BitcoinLedgerSettings, depth: int, desk: Desk) -> None:
        self._node = node
        self._chain = chain
        self._settings = settings
        self._depth = depth
        self._desk = desk
        self._purse = Purse(node, settings, depth)
        self._sent: set[bytes] = set()

    def learn(self, attempt: Attempt) -> None:
        """An attempt is final: its change can be spent."""
        self._purse.learn(attempt.change)

    def unsent(self, one: OpenAnchor) -> bool:
        """Whether the newest attempt was not given to the node since this process began."""
        return bool(one.attempts) and one.attempts[-1].txid not in self._sent

    async def begin(self, one: OpenAnchor, anchors: Sequence[OpenAnchor], now: float) -> str:
        """Have a first transaction signed, or a further one where no earlier one can come about any more. Returns why
        the anchor stands as it does. `now`: seconds since the epoch."""
        public_key = await self._desk.account(self._settings.name)
        taken = {coin.at for other in anchors for attempt in other.attempts for coin in attempt.coins}
        # Not of an anchor whose replacement is about to be sent: that takes the change away that the chain still shows.
        own = [attempt.change for other in anchors if not self.unsent(other) for attempt in other.attempts]
        rate, _ = await self._node.fee_rates()
        paid = await self._purse.pay(public_key, one.work.commitment, own, taken, rate)
        if paid is None:
            address = address_of(self._settings.address_prefix, witness_program(public_key))
            return f"{address}, the account, has no coins that are enough and as deep in the chain as finality"
        one.since = max(1, self._chain.node_height + 1 - self._depth)
        await self._sign(one, public_key, *paid, now)
        return "signed; it is sent at the next step"

    async def _sign(self, one: OpenAnchor, public_key: bytes, coins: Sequence[Coin], fee: int, now: float) -> None:
        """One more attempt. Raises RequestRefused, Unavailable."""
        asked = [
            BitcoinCoin(txid=shown(coin.at.txid), index=coin.at.index, amount=coin.amount, made_by=made_by)
            for coin, made_by in zip(coins, await self._makers(coins), strict=True)
        ]
        request = BitcoinRequest(ledger=self._settings.name, checkpoint=one.work.checkpoint, coins=asked, fee=fee)
        raw = await self._desk.sign(request)
        try:
            made = parse_transaction(raw)
            meant = anchor_transaction(coins, one.work.commitment, public_key, fee)
        except MalformedBitcoin as error:
            raise LedgerUnavailable(f"the signed transaction: {error}") from None
        if made.txid != meant.txid:
            raise LedgerUnavailable("the desk signed another transaction than was asked for")
        one.attempts.append(Attempt(made, tuple(coins), now))

    async def _makers(self, coins: Sequence[Coin]) -> list[bytes]:
        """What the desk wants to see of several coins: the transactions that made them. Raises CoinsNotShown."""
        if len(coins) == 1:
            return [b""]
        try:
            return [parse_transaction(await self._node.maker(coin.at)).stripped() for coin in coins]
        except NodeRefused as error:
            raise CoinsNotShown(f"the node no longer has what made them: {escape(error.text)}") from None
        except MalformedBitcoin as error:
            raise CoinsNotShown(str(error)) from None

    async def tend(self, one: OpenAnchor, anchors: Sequence[OpenAnchor], now: float) -> str:
        """None of the attempts is in a block: see that one waits for it, or that another one can. Returns why it
        stands as it does."""
        refusal = ""
        for attempt in reversed(one.attempts):
            if await self._node.waits(attempt.txid):
                self._sent.add(one.attempts[-1].txid)
                one.missing = {}
                return await self._waits(one, attempt, anchors, now)
        for attempt in reversed(one.attempts):
            taken = await self._send(attempt)
            if taken is None:
                one.missing = {}
                return f"{shown(attempt.txid)} was sent"
            refusal = refusal or taken
        return await self._refused(one, anchors, refusal, now)

    async def _send(self, attempt: Attempt) -> str | None:
        """Why the node does not take it; None: it did."""
        self._sent.add(attempt.txid)
        try:
            await self._node.send(attempt.transaction.encode())
        except NodeRefused as error:
            return escape(error.text)
        return None

    async def _waits(self, one: OpenAnchor, attempt: Attempt, anchors: Sequence[OpenAnchor], now: float) -> str:
        """An attempt waits for its block. Whatever replaces it takes its change away, so none does while a later anchor
        spends that."""
        newest = one.attempts[-1]
        waits = f"{shown(attempt.txid)} waits to be taken into a block"
        if any(other.spends(attempt.change.at) for other in anchors):
            return f"{waits}; a later anchor spends its change"
        if attempt is not newest:
            refusal = await self._send(newest)
            if refusal is None:
                return f"{shown(newest.txid)} was sent and replaces {shown(attempt.txid)}"
            return f"{waits}; the node does not take its replacement: {refusal}"
        if abs(now - newest.made) < self._settings.raise_after_s:  # also by a clock that was set back
            return waits
        rate, more = await self._node.fee_rates()
        fee = self._purse.raised(newest.fee, newest.coins, rate, more)
        if fee is None:
            return f"{waits}; its fee of {newest.fee} cannot be raised within the settings"
        await self._sign(one, await self._desk.account(self._settings.name), newest.coins, fee, now)
        return f"signed again with a fee of {fee} instead of {newest.fee}; it is sent at the next step"

    async def _refused(self, one: OpenAnchor, anchors: Sequence[OpenAnchor], refusal: str, now: float) -> str:
        """The node takes no attempt. What its coins have become decides."""
        under_way = {attempt.txid for other in anchors for attempt in other.attempts}
        for at in {coin.at for attempt in one.attempts for coin in attempt.coins}:
            if at.txid in under_way or await self._node.coin(at, waiting=False) is not None:
                one.missing.pop(at, None)
            else:
                one.missing.setdefault(at, self._chain.node_height)
        gone = {at for at, height in one.missing.items() if self._chain.node_height - height >= self._depth}
        one.attempts = [attempt for attempt in one.attempts if gone.isdisjoint(coin.at for coin in attempt.coins)]
        if not one.attempts:
            one.missing = {}
            return f"its coins were spent by others; {await self.begin(one, anchors, now)}"
        if one.missing:
            return f"a coin of it was spent by another transaction, which is not final yet ({refusal})"
        newest = one.attempts[-1]
        true = [await self._node.coin(coin.at, waiting=True) for coin in newest.coins]
        if any(coin is None for coin in true):
            return f"a coin of it is not there, or another transaction that waits spends it ({refusal})"
        coins = [coin[0] for coin in true if coin is not None]
        rate, more = await self._node.fee_rates()
        fee = self._purse.raised(newest.fee, coins, rate, more)
        if coins == list(newest.coins) and (fee is None or "fee" not in refusal):
            return f"the node does not take it: {refusal}"
        await self._sign(one, await self._desk.account(self._settings.name), coins, fee or newest.fee, now)
        return f"signed again, as the node did not take it: {refusal}"
