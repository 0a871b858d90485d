"""The two scripts of an anchor: an OP_RETURN that carries the commitment, and a pay-to-witness-public-key-hash output
(BIP 141) that gives the change back to the box's own key."""

from __future__ import annotations

import hashlib
from typing import Final

from Crypto.Hash import RIPEMD160

from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.transaction import Transaction

COMMITMENT_BYTES: Final = 32
OP_RETURN: Final = b"\x6a"
_PUSH_32: Final = b"\x20"


def commitment_script(commitment: bytes) -> bytes:
    """OP_RETURN and one push of 32 bytes: no text, no mark of whose it is."""
    if len(commitment) != COMMITMENT_BYTES:
        raise MalformedBitcoin("a commitment is 32 bytes")
    return OP_RETURN + _PUSH_32 + commitment


def commitments_of(transaction: Transaction) -> tuple[bytes, ...]:
    """What the transaction commits to in that form, in the order of its outputs."""
    return tuple(
        output.script[2:]
        for output in transaction.outputs
        if len(output.script) == 2 + COMMITMENT_BYTES and output.script[:2] == OP_RETURN + _PUSH_32
    )


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: 20 bytes."""
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()


def witness_program(public_key: bytes) -> bytes:
    """The program of a compressed secp256k1 public key (33 bytes): 20 bytes."""
    if len(public_key) != 33 or public_key[0] not in (2, 3):
        raise MalformedBitcoin("a public key is 33 bytes in its compressed form")
    return hash160(public_key)


def payment_script(public_key: bytes) -> bytes:
    """The script that pays to this key."""
    return b"\0\x14" + witness_program(public_key)
