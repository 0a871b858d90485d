"""Which nonce the next transaction of an account gets. Pure.

A nonce that is skipped holds up all later ones, one that is used twice costs one of the two. Others may use the same
account, so that what the chain says counts more than what is remembered here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

MOST_WAITING: Final = 64
"""Transactions of one account that wait at once: nodes keep no more, and one that tells of more is mistaken."""


def next_nonce(mined: int, waiting: int, reserved: Collection[int]) -> int:
    """The lowest nonce that nobody is known to use.

    `mined`: how many transactions of the account the chain has; `waiting`: the same with those that follow them without
    a gap in the node's pool; `reserved`: nonces of transactions that were signed here and are not mined. Where one of
    another box was lost, its nonce is the lowest: so the next anchor fills the gap.
    """
    nonce = min(max(mined, waiting), mined + MOST_WAITING)
    while nonce in reserved:
        nonce += 1
    return nonce
