"""Keccak-256 as Ethereum has it: the padding of the Keccak submission, not that of FIPS 202 (SHA3-256)."""

from __future__ import annotations

from Crypto.Hash import keccak

EMPTY_DIGEST = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""Keccak-256 of nothing."""


def keccak256(data: bytes) -> bytes:
    """32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()
