"""Keccak-256 as Ethereum has it: the padding of the Keccak submission, not that of FIPS 202 (SHA3-256)."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()
