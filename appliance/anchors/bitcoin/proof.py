"""The proof of an anchor in a chain of the Bitcoin family, as a receipt holds it: the transaction, its way to the root
of its block, that block's header, and headers on top.

The block's first transaction comes with its own branch. A tree's depth is the same for all of its transactions, so a
branch that passes a transaction off as a node of the tree, or a node as a transaction, no longer fits; and the first
transaction says the block's height (BIP 34).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.anchors.bitcoin.encoding import Reader, shown, unhex
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.header import HEADER_BYTES, Header
from appliance.anchors.bitcoin.merkle import MOST_TRANSACTIONS
from appliance.anchors.bitcoin.transaction import Transaction, parse_transaction
from appliance.anchors.canonical import Hex32

PROOF_BYTES: Final = 4 * 1024 * 1024
"""Largest proof."""
MOST_HEADERS: Final = 10_000
"""Headers, the anchor's block with those on top of it."""
LARGEST_TRANSACTION: Final = 100_000
"""Bytes: nodes relay none above 100,000 without its witness, and an anchor's has little."""
DEEPEST_BRANCH: Final = 17
_HEIGHT_BYTES: Final = 4

_Branch = Annotated[list[Hex32], msgspec.Meta(max_length=DEEPEST_BRANCH)]
_Transaction = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]*\Z", max_length=2 * LARGEST_TRANSACTION)]


class BitcoinProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes are lower-case hexadecimal in the order in which they are hashed, but for `genesis`, which is as it is
    shown."""

    branch: _Branch
    """Siblings of the transaction, from below."""
    coinbase: _Transaction
    """The block's first transaction, without witness."""
    coinbase_branch: _Branch
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_TRANSACTIONS)]
    """Transactions in the block, as far as the branches show it: blocks of several sizes may have the same."""
    genesis: Hex32
    """The chain's first block, as the node that gave the proof names it."""
    headers: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]*\Z", max_length=2 * HEADER_BYTES * MOST_HEADERS)]
    """The block's header, then those on top of it, 80 bytes each."""
    index: Annotated[int, msgspec.Meta(ge=0, lt=MOST_TRANSACTIONS)]
    """The transaction's place in the block, from 0."""
    transaction: _Transaction
    """As it was sent."""

    def chain(self) -> list[Header]:
        """The headers, from the anchor's block on. Raises MalformedBitcoin where there is none, or part of one."""
        data = unhex(self.headers)
        if not data or len(data) % HEADER_BYTES:
            raise MalformedBitcoin("the headers are cut short")
        return [Header.parse(data[at : at + HEADER_BYTES]) for at in range(0, len(data), HEADER_BYTES)]

    def anchor(self) -> Transaction:
        """The transaction. Raises MalformedBitcoin."""
        return parse_transaction(unhex(self.transaction))

    def first(self) -> Transaction:
        """The block's first transaction. Raises MalformedBitcoin."""
        return parse_transaction(unhex(self.coinbase))


def height_in(coinbase: Transaction) -> int | None:
    """The block's height as its first transaction says it (BIP 34); None where it says none."""
    script = coinbase.inputs[0].script
    if script and 0x51 <= script[0] <= 0x60:
        return script[0] - 0x50
    reader = Reader(script)
    try:
        height = reader.take(reader.compact_size(_HEIGHT_BYTES))
    except MalformedBitcoin:
        return None
    if not height or (height[-1] == 0 and height[-2:-1] < b"\x80") or height[-1] & 0x80:
        return None
    return int.from_bytes(height, "little")


def place_of(header: Header, coinbase: Transaction) -> str:
    """Where the anchor stands, for people."""
    height = height_in(coinbase)
    return f"block {shown(header.hash)}" if height is None else f"block {height} ({shown(header.hash)})"
