"""Block headers of the Bitcoin family: 80 bytes, the hash that names them, the work that they show.

Litecoin names a block by double SHA-256, as Bitcoin does, and holds the *scrypt* of the header (RFC 7914, N=1024, r=1,
p=1, the header being password and salt) against the target.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from appliance.anchors.bitcoin.encoding import Reader, sha256d
from appliance.anchors.bitcoin.errors import MalformedBitcoin

HEADER_BYTES: Final = 80

WorkRule = Literal["sha256d", "scrypt"]


@dataclass(frozen=True)
class Header:
    encoded: bytes
    """80 bytes."""
    version: int
    parent: bytes
    """The hash of the block before it."""
    root: bytes
    """Of the merkle tree over the block's transactions."""
    time: int
    """Seconds since the epoch, as the miner says."""
    bits: int
    """The target, compact."""

    @classmethod
    def parse(cls, encoded: bytes) -> Header:
        """Raises MalformedBitcoin."""
        if len(encoded) != HEADER_BYTES:
            raise MalformedBitcoin("a header has 80 bytes")
        reader = Reader(encoded)
        version, parent, root = reader.number(4), reader.take(32), reader.take(32)
        return cls(encoded, version, parent, root, reader.number(4), reader.number(4))

    @cached_property
    def hash(self) -> bytes:
        return sha256d(self.encoded)

    @cached_property
    def target(self) -> int:
        return target_of(self.bits)

    @property
    def expected_work(self) -> int:
        """How many hashes it takes to find such a header, on average."""
        return (1 << 256) // (self.target + 1)

    def has_work(self, rule: WorkRule) -> bool:
        """Whether the header's work hash is below its own target. Costs 0.5 ms where the rule is scrypt."""
        return int.from_bytes(work_hash(self.encoded, rule), "little") <= self.target


def work_hash(encoded: bytes, rule: WorkRule) -> bytes:
    """The hash that is held against the target: 32 bytes."""
    if rule == "scrypt":
        return hashlib.scrypt(encoded, salt=encoded, n=1024, r=1, p=1, dklen=32)
    return sha256d(encoded)


def target_of(bits: int) -> int:
    """The target out of its compact form. Raises MalformedBitcoin where it is zero, negative or above 256 bits."""
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa >> 8 * (3 - size) if size <= 3 else mantissa << 8 * (size - 3)
    if bits & 0x800000 or target == 0 or target >> 256:
        raise MalformedBitcoin("a target that no block can have")
    return target
