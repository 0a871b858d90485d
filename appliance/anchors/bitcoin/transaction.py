"""Transactions of the Bitcoin family, with and without witnesses (BIP 144), read strictly and written back bit by bit.

Litecoin's extension blocks set another flag (0x08): such a transaction is refused, no anchor is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from appliance.anchors.bitcoin.encoding import Reader, compact_size, sha256d, shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin

LARGEST_TRANSACTION: Final = 400_000
"""Bytes: nodes relay none above 400,000 weight units (BIP 141)."""
NODE_BYTES: Final = 64
"""A transaction of this size could pass for two hashes of the merkle tree above it (CVE-2017-12842)."""
SMALLEST_INPUT: Final = 41
SMALLEST_OUTPUT: Final = 9
MOST_MONEY: Final = 2**63 - 1
"""Amounts are signed 64-bit numbers of the smallest unit; what a chain allows is less, and differs."""
_COINBASE_INDEX: Final = 0xFFFFFFFF


@dataclass(frozen=True, order=True)
class OutPoint:
    """An output, by the transaction that made it."""

    txid: bytes
    """32 bytes, in the order of the hash."""
    index: int

    def encode(self) -> bytes:
        return self.txid + self.index.to_bytes(4, "little")

    def __str__(self) -> str:
        return f"{shown(self.txid)}:{self.index}"


@dataclass(frozen=True)
class Input:
    spends: OutPoint
    script: bytes = b""
    """Empty where the witness unlocks."""
    sequence: int = 0xFFFFFFFF
    witness: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return self.spends.encode() + compact_size(len(self.script)) + self.script + self.sequence.to_bytes(4, "little")


@dataclass(frozen=True)
class Output:
    amount: int
    """In the chain's smallest unit."""
    script: bytes

    def encode(self) -> bytes:
        return self.amount.to_bytes(8, "little") + compact_size(len(self.script)) + self.script


@dataclass(frozen=True)
class Transaction:
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    version: int = 2
    lock_time: int = 0

    def stripped(self) -> bytes:
        """Without witnesses: what the transaction's id is the hash of."""
        return self._encode(witness=False)

    def encode(self) -> bytes:
        """As it is sent (BIP 144 where an input has a witness)."""
        return self._encode(witness=any(one.witness for one in self.inputs))

    def _encode(self, *, witness: bool) -> bytes:
        parts = [self.version.to_bytes(4, "little")]
        if witness:
            parts.append(b"\0\1")
        parts += [compact_size(len(self.inputs)), *(one.encode() for one in self.inputs)]
        parts += [compact_size(len(self.outputs)), *(one.encode() for one in self.outputs)]
        if witness:
            for one in self.inputs:
                parts.append(compact_size(len(one.witness)))
                parts += [compact_size(len(item)) + item for item in one.witness]
        return b"".join(parts) + self.lock_time.to_bytes(4, "little")

    @cached_property
    def txid(self) -> bytes:
        """32 bytes, in the order of the hash."""
        return sha256d(self.stripped())

    @property
    def is_coinbase(self) -> bool:
        return len(self.inputs) == 1 and self.inputs[0].spends == OutPoint(bytes(32), _COINBASE_INDEX)

    def with_witnesses(self, witnesses: tuple[tuple[bytes, ...], ...]) -> Transaction:
        """The same with one witness an input."""
        return replace(
            self, inputs=tuple(replace(one, witness=w) for one, w in zip(self.inputs, witnesses, strict=True))
        )


def parse_transaction(data: bytes) -> Transaction:
    """Read one transaction and nothing after it; `encode` gives the same bytes. Raises MalformedBitcoin."""
    if len(data) > LARGEST_TRANSACTION:
        raise MalformedBitcoin("the transaction is larger than any that nodes relay")
    reader = Reader(data)
    version = reader.number(4)
    count = reader.compact_size(reader.rest // SMALLEST_INPUT + 1)
    segregated = count == 0
    if segregated:
        if reader.number(1) != 1:
            raise MalformedBitcoin("the transaction has a flag that is not of BIP 144")
        count = reader.compact_size(reader.rest // SMALLEST_INPUT + 1)
    if count == 0:
        raise MalformedBitcoin("the transaction has no input")
    inputs = [_input(reader) for _ in range(count)]
    outputs = tuple(_output(reader) for _ in range(reader.compact_size(reader.rest // SMALLEST_OUTPUT + 1)))
    if not outputs:
        raise MalformedBitcoin("the transaction has no output")
    if segregated:
        inputs = [replace(one, witness=_witness(reader)) for one in inputs]
        if not any(one.witness for one in inputs):
            raise MalformedBitcoin("the transaction has witnesses, all of them empty")
    lock_time = reader.number(4)
    reader.end()
    return Transaction(tuple(inputs), outputs, version, lock_time)


def _input(reader: Reader) -> Input:
    spends = OutPoint(reader.take(32), reader.number(4))
    return Input(spends, reader.sized(reader.rest), reader.number(4))


def _output(reader: Reader) -> Output:
    amount = reader.number(8)
    if amount > MOST_MONEY:
        raise MalformedBitcoin("an output's amount is negative")
    return Output(amount, reader.sized(reader.rest))


def _witness(reader: Reader) -> tuple[bytes, ...]:
    return tuple(reader.sized(reader.rest) for _ in range(reader.compact_size(reader.rest)))
