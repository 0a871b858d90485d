"""What one anchor keeps between steps: the transactions that were signed for it, and where it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from appliance.anchorer.bitcoin.chain import ChainPoint
from appliance.anchorer.ledger import Work
from appliance.anchors.bitcoin.anchor_transaction import CHANGE_INDEX, Coin
from appliance.anchors.bitcoin.transaction import OutPoint, Transaction, parse_transaction


class _Attempt(msgspec.Struct, array_like=True, frozen=True):
    raw: bytes
    amounts: list[int]
    made: float


class _Missing(msgspec.Struct, array_like=True, frozen=True):
    txid: bytes
    index: int
    height: int


class _Memory(msgspec.Struct, array_like=True, frozen=True):
    version: int
    since: int
    attempts: list[_Attempt]
    seen: tuple[int, bytes] | None
    mined: tuple[int, bytes] | None
    missing: list[_Missing]


@dataclass(frozen=True)
class Attempt:
    """A signed transaction for one anchor."""

    transaction: Transaction
    coins: tuple[Coin, ...]
    made: float
    """Seconds since the epoch."""

    @property
    def txid(self) -> bytes:
        return self.transaction.txid

    @property
    def change(self) -> Coin:
        """What it gives back to the account."""
        return Coin(OutPoint(self.txid, CHANGE_INDEX), self.transaction.outputs[CHANGE_INDEX].amount)

    @property
    def fee(self) -> int:
        return sum(coin.amount for coin in self.coins) - self.change.amount


@dataclass
class OpenAnchor:
    """An open anchor in the course of a step. All attempts that can still come about spend its first coin, so that no
    two of them ever stand in one chain."""

    work: Work
    attempts: list[Attempt] = field(default_factory=list)
    """The newest last."""
    since: int = 0
    """Height of the first block that can have one of them."""
    seen: ChainPoint | None = None
    """A block, as deep as finality, that the node's chain had."""
    mined: ChainPoint | None = None
    """The block that had one of them when it was last looked at."""
    missing: dict[OutPoint, int] = field(default_factory=dict)
    """Coins that the chain no longer has, though none of the attempts is in it: since which height of the tip."""

    @classmethod
    def of(cls, work: Work) -> OpenAnchor:
        """Raises msgspec.MsgspecError, MalformedBitcoin for a memory that no step gave."""
        if not work.memory:
            return cls(work)
        kept = msgspec.msgpack.decode(work.memory, type=_Memory)
        attempts = []
        for one in kept.attempts:
            transaction = parse_transaction(one.raw)
            coins = (Coin(each.spends, amount) for each, amount in zip(transaction.inputs, one.amounts, strict=True))
            attempts.append(Attempt(transaction, tuple(coins), one.made))
        return cls(
            work,
            attempts,
            kept.since,
            None if kept.seen is None else ChainPoint(*kept.seen),
            None if kept.mined is None else ChainPoint(*kept.mined),
            {OutPoint(one.txid, one.index): one.height for one in kept.missing},
        )

    def encode(self) -> bytes:
        attempts = [
            _Attempt(one.transaction.encode(), [coin.amount for coin in one.coins], one.made) for one in self.attempts
        ]
        missing = [_Missing(at.txid, at.index, height) for at, height in self.missing.items()]
        return msgspec.msgpack.encode(_Memory(1, self.since, attempts, self.seen, self.mined, missing))

    def spends(self, at: OutPoint) -> bool:
        """Whether one of the attempts spends this coin."""
        return any(coin.at == at for attempt in self.attempts for coin in attempt.coins)
