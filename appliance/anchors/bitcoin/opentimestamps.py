"""An anchor as an OpenTimestamps proof (`.ots`), which the public `ots` client reads.

The file that it stamps is the checkpoint's text, whose SHA-256 the commitment is. From there operations lead on: what
stands before and after the commitment in the transaction, two hashes to the transaction's id, and up the block's tree
to the root, which the attestation says to be that of the block at a height. No header is in the file: whoever verifies
asks a node of his own for it.
"""

from __future__ import annotations

from typing import Final

from appliance.anchors.bitcoin.encoding import sha256d
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.header import WorkRule
from appliance.anchors.bitcoin.merkle import climb
from appliance.anchors.bitcoin.proof import BitcoinProof, height_in
from appliance.anchors.bitcoin.scripts import commitment_script

LARGEST_MESSAGE: Final = 4_096
"""Bytes that an operation may take or give."""
_MAGIC: Final = b"\0OpenTimestamps\0\0Proof\0\xbf\x89\xe2\xe8\x84\xe8\x92\x94"
_VERSION: Final = b"\x01"
_SHA256: Final = b"\x08"
_APPEND: Final = b"\xf0"
_PREPEND: Final = b"\xf1"
_ATTESTATION: Final = b"\x00"
_TAGS: Final[dict[WorkRule, bytes]] = {
    "sha256d": bytes.fromhex("0588960d73d71901"),
    "scrypt": bytes.fromhex("06869a0d73d71b45"),
}
"""Of Bitcoin's and of Litecoin's block headers."""


def ots_file(proof: BitcoinProof, commitment: bytes, work: WorkRule) -> bytes:
    """The `.ots` file for the checkpoint's text. Raises MalformedBitcoin where the transaction does not hold the
    commitment, is too large for the format, or the block says no height (BIP 34)."""
    anchor, first = proof.anchor(), proof.first()
    height = height_in(first)
    if height is None:
        raise MalformedBitcoin("the block's first transaction says no height")
    encoded = anchor.stripped()
    before, script, after = encoded.partition(commitment_script(commitment))
    if not script:
        raise MalformedBitcoin("the transaction does not hold the commitment")
    if len(encoded) > LARGEST_MESSAGE:
        raise MalformedBitcoin("the transaction is too large for an OpenTimestamps proof")
    before += script.removesuffix(commitment)
    steps = [_PREPEND + _sized(before), _APPEND + _sized(after), _SHA256, _SHA256]
    node = anchor.txid
    for left, right in climb(node, proof.index, proof.count, [bytes.fromhex(one) for one in proof.branch]):
        steps.append(_APPEND + _sized(right) if left == node else _PREPEND + _sized(left))
        steps += [_SHA256, _SHA256]
        node = sha256d(left + right)
    attestation = _ATTESTATION + _TAGS[work] + _sized(_number(height))
    return b"".join((_MAGIC, _VERSION, _SHA256, commitment, *steps, attestation))


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    """Unsigned, seven bits a byte from the lowest, all bytes but the last with the high bit (LEB128)."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
