"""The proof in a receipt of an EVM anchor: the transaction, what became of it, its block, and the blocks on top."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.anchors import canonical
from appliance.anchors.canonical import Hex, Hex32, Number
from appliance.anchors.evm.receipts import MAXIMUM_RECEIPT_BYTES
from appliance.anchors.evm.rules import ContractRules
from appliance.anchors.evm.transactions import MAXIMUM_TRANSACTION_BYTES
from appliance.anchors.evm.trie import MAXIMUM_PROOF_NODES
from appliance.anchors.judgement import AnchorRefused, Reason

PROOF_BYTES: Final = 4 * 1024 * 1024
MAXIMUM_HEADERS: Final = 512
"""On top of the anchor's block. Each costs a hash and, under Clique, a recovery of its signer: 80 us."""

Nodes = Annotated[tuple[Hex, ...], msgspec.Meta(max_length=MAXIMUM_PROOF_NODES)]


class StatedBlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block as a node tells of it, where its header is not of Ethereum's form."""

    hash: Hex32
    number: Number
    timestamp: Number
    """Seconds since the epoch."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Canonical JSON (RFC 8785); bytes in lower-case hexadecimal."""

    block: Hex | StatedBlock
    """The header of the anchor's block as RLP; or what the node states, and then without headers and proofs."""
    contract: ContractRules
    """Where the commitment went, for readers. The judge goes by the profile's, which must be the same."""
    genesis: Hex32
    """What the node called the hash of block 0: its word alone."""
    headers: Annotated[tuple[Hex, ...], msgspec.Meta(max_length=MAXIMUM_HEADERS)]
    """The blocks on top, each the child of the one before, as RLP."""
    index: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    """The transaction's, in its block."""
    receipt: Annotated[Hex, msgspec.Meta(max_length=2 * MAXIMUM_RECEIPT_BYTES)]
    """As it stands in the trie of receipts."""
    receipt_proof: Nodes
    """From the header's receiptsRoot to it."""
    transaction: Annotated[Hex, msgspec.Meta(max_length=2 * MAXIMUM_TRANSACTION_BYTES)]
    """Raw, as it was sent."""
    transaction_proof: Nodes
    """From the header's transactionsRoot to it."""


def read_proof(encoded: bytes) -> Proof:
    """A proof; nothing in it is believed yet. Raises AnchorRefused (MALFORMED)."""
    try:
        return canonical.decode(encoded, Proof, PROOF_BYTES)
    except canonical.NotCanonical as error:
        raise AnchorRefused(Reason.MALFORMED, f"no proof of an EVM chain: {error}") from None


def write_proof(proof: Proof) -> bytes:
    """A proof's canonical bytes. Raises AnchorRefused for one that could not be read again."""
    encoded = canonical.encode(proof)
    read_proof(encoded)
    return encoded
