"""What is signed of a transaction that spends pay-to-witness-public-key-hash outputs (BIP 143), and what the signature
becomes.

The digest of an input commits to the amount of the output that this input spends, and of no other: who lies about the
amount of a single coin gets a transaction that no node takes. Of several coins the amounts have to be shown otherwise
(appliance.log.ledgers.bitcoin).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.anchors.bitcoin.encoding import sha256d
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import witness_program
from appliance.anchors.bitcoin.transaction import Transaction

SIGHASH_ALL: Final = 1
"""The signature is over all inputs and outputs."""
HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half the order of secp256k1: the largest s that nodes relay (BIP 146)."""


def signature_digest(transaction: Transaction, index: int, public_key: bytes, amount: int) -> bytes:
    """The 32 bytes that the key of input `index` signs; `amount` is that of the output which it spends."""
    one = transaction.inputs[index]
    script_code = b"\x19\x76\xa9\x14" + witness_program(public_key) + b"\x88\xac"
    return sha256d(
        b"".join(
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
    )


def signed(transaction: Transaction, public_key: bytes, signatures: Sequence[bytes]) -> Transaction:
    """The transaction with one signature an input, each r and s in 64 bytes, big-endian, s in the lower half of the
    order. Raises MalformedBitcoin."""
    return transaction.with_witnesses(tuple((_der(one) + bytes([SIGHASH_ALL]), public_key) for one in signatures))


def _der(signature: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279, section 2.2.3), the strict form of BIP 66."""
    if len(signature) != 64 or int.from_bytes(signature[32:]) > HALF_ORDER:
        raise MalformedBitcoin("a signature is r and s of 32 bytes each, s in the lower half of the order")
    halves = b""
    for half in (signature[:32], signature[32:]):
        number = half.lstrip(b"\0")
        if not number:
            raise MalformedBitcoin("r and s are not zero")
        number = (b"\0" if number[0] & 0x80 else b"") + number
        halves += b"\x02" + bytes([len(number)]) + number
    return b"\x30" + bytes([len(halves)]) + halves
