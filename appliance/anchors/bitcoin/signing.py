"""What is signed of a transaction that spends pay-to-witness-public-key-hash outputs (BIP 143), and what the signature
becomes.

The digest commits to the amount of every output that is spent: a node that lied about an amount gets a transaction that
no node takes, never one that pays more in fees than was meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from appliance.anchors.bitcoin.encoding import sha256d
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import witness_program
from appliance.anchors.bitcoin.transaction import Transaction

SIGHASH_ALL: Final = 1
"""The signature is over all inputs and outputs."""
SIGNATURE_BYTES: Final = 72
"""The largest DER signature with a low s; in a witness one byte more."""


def digest_preimage(transaction: Transaction, index: int, public_key: bytes, amount: int) -> bytes:
    """The 32 bytes whose SHA-256 is signed for one input: the SHA-256 of the message of BIP 143. A signer that hashes
    what it is given with SHA-256, as ECDSA with SHA-256 does, signs just the digest."""
    return hashlib.sha256(_message(transaction, index, public_key, amount)).digest()


def _message(transaction: Transaction, index: int, public_key: bytes, amount: int) -> bytes:
    one = transaction.inputs[index]
    script_code = b"\x19\x76\xa9\x14" + witness_program(public_key) + b"\x88\xac"
    return b"".join(
        (
            transaction.version.to_bytes(4, "little"),
            sha256d(b"".join(each.spends.encode() for each in transaction.inputs)),
            sha256d(b"".join(each.sequence.to_bytes(4, "little") for each in transaction.inputs)),
            one.spends.encode(),
            script_code,
            amount.to_bytes(8, "little"),
            one.sequence.to_bytes(4, "little"),
            sha256d(b"".join(each.encode() for each in transaction.outputs)),
            transaction.lock_time.to_bytes(4, "little"),
            SIGHASH_ALL.to_bytes(4, "little"),
        )
    )


def signed(transaction: Transaction, public_key: bytes, signatures: Sequence[bytes]) -> Transaction:
    """The transaction with one signature an input, each DER with a low s (BIP 146). Raises MalformedBitcoin."""
    if any(len(one) > SIGNATURE_BYTES for one in signatures):
        raise MalformedBitcoin("a signature is larger than one with a low s")
    return transaction.with_witnesses(tuple((one + bytes([SIGHASH_ALL]), public_key) for one in signatures))
