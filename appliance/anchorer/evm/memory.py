"""What an anchor on a chain has to remember between two steps: the transactions that were signed for it."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final

import msgspec

from appliance.anchorer.evm.errors import MemoryDamaged
from appliance.anchorer.evm.fees import Fees
from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.transactions import LegacyTransaction, SignedTransaction, read_transaction

MOST_ATTEMPTS: Final = 64
"""Transactions of one nonce. Each offers an eighth more than the one before: with so many, a thousand times as much."""


class Attempt(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """A transaction that was signed. It may have been sent, whatever is known of that."""

    raw: bytes
    signed_s: float
    """When, in seconds since the epoch."""
    sent_s: float = 0.0
    """When it was first sent; 0: it was not, as far as is known."""
    sent_at: int = 0
    """The number of the newest block at that moment."""

    @cached_property
    def read(self) -> SignedTransaction:
        """What it says."""
        return read_transaction(self.raw)

    def check(self) -> None:
        """Raises MemoryDamaged where it is no transaction."""
        try:
            _ = self.read
        except MalformedChainData as error:
            raise MemoryDamaged(f"a transaction that was signed cannot be read: {error}") from None

    @property
    def hash(self) -> bytes:
        return self.read.hash

    @property
    def nonce(self) -> int:
        return self.read.transaction.nonce

    @property
    def sender(self) -> bytes:
        return self.read.sender

    @property
    def fees(self) -> Fees:
        transaction = self.read.transaction
        if isinstance(transaction, LegacyTransaction):
            return Fees(transaction.gas_price, 0)
        return Fees(transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """All that is remembered of one anchor."""

    step: int = 0
    """Which of the calls that an anchor takes is under way, from 0."""
    attempts: Annotated[tuple[Attempt, ...], msgspec.Meta(max_length=MOST_ATTEMPTS)] = ()
    """Transactions for that call, of one nonce, each after the first with a higher fee than the one before."""
    earlier: tuple[Attempt, ...] = ()
    """The transactions of the calls before it, as they were mined."""
    taken_at: int = 0
    """The number of the block at which it was first seen that another transaction has the nonce; 0: none has."""

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Memory).decode


def read_memory(encoded: bytes) -> Memory:
    """What a step before left. Raises MemoryDamaged."""
    if not encoded:
        return Memory()
    try:
        memory = _decode(encoded)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise MemoryDamaged(f"what is remembered of an anchor cannot be read: {error}") from None
    for attempt in (*memory.attempts, *memory.earlier):
        attempt.check()
    return memory


def write_memory(memory: Memory) -> bytes:
    """What the next step finds."""
    return _encode(memory)
