"""The transaction that anchors: it spends outputs of the box's key, carries the commitment, and gives the change back.

It is built from fields alone, so whoever signs it knows all that it does. Every input says that it can be replaced
(BIP 125): a transaction that stays behind is sent again with a higher fee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import commitment_script, payment_script
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction

REPLACEABLE: Final = 0xFFFFFFFD
MOST_COINS: Final = 20
"""Outputs that one anchor spends; so it stays below what an OpenTimestamps proof may hold (4,096 bytes)."""
CHANGE_INDEX: Final = 1
"""Which output is the change: the one after the commitment."""
_INPUT_WEIGHT: Final = 4 * 41 + 1 + 1 + 73 + 1 + 33
_OUTSIDE_WEIGHT: Final = 4 * (4 + 1 + 1 + 43 + 31 + 4) + 2


@dataclass(frozen=True)
class Coin:
    """An output that pays to the box's key."""

    at: OutPoint
    amount: int
    """In the chain's smallest unit."""


def anchor_size(coins: int) -> int:
    """The virtual size of an anchor that spends so many coins, in bytes of which a witness's count a quarter (BIP 141);
    up to a byte or two less where signatures are short."""
    return (_OUTSIDE_WEIGHT + coins * _INPUT_WEIGHT + 3) // 4


def anchor_transaction(coins: Sequence[Coin], commitment: bytes, public_key: bytes, fee: int) -> Transaction:
    """The anchor without its signatures. Raises MalformedBitcoin where the coins do not pay the fee, or one stands
    twice."""
    if not 0 < len(coins) <= MOST_COINS or len({coin.at for coin in coins}) != len(coins):
        raise MalformedBitcoin(f"an anchor spends one to {MOST_COINS} coins, each once")
    change = sum(coin.amount for coin in coins) - fee
    if fee < 0 or change <= 0:
        raise MalformedBitcoin("the coins do not pay the fee")
    return Transaction(
        inputs=tuple(Input(coin.at, sequence=REPLACEABLE) for coin in coins),
        outputs=(Output(0, commitment_script(commitment)), Output(change, payment_script(public_key))),
    )
