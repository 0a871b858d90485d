"""What is kept of an anchor between two steps: each thing that is sent stands here before it is sent."""

from __future__ import annotations

import msgspec

from appliance.log.ledgers.fabric import FabricEndorsement


class Memory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one anchor. What a later step needs is empty until an earlier one made it."""

    tries: int = 0
    """Proposals that came to nothing before any transaction was signed."""
    nonce: bytes = b""
    time_us: int = 0
    certificate: bytes = b""
    """PEM; with the nonce it makes the transaction's id, so a renewed one waits for the next anchor."""
    transaction: str = ""
    """Its id, of nonce and creator: fixed before anything is sent."""
    proposal: bytes = b""
    """SignedProposal."""
    answer: bytes = b""
    """What peers signed."""
    endorsements: list[FabricEndorsement] = []
    envelope: bytes = b""
    """The signed transaction; from here on no other is ever made for this anchor."""
    status: bytes = b""
    """SignedCommitStatusRequest."""
    sent_us: int = 0
    """When it was sent last."""
    denials: int = 0
    """Gateways, one after the other, that said it is invalid."""
    block: int | None = None
    """Number of its block, as a Gateway says."""
    query: bytes = b""
    """SignedProposal that asks for the block."""
    query_transaction: str = ""


def read_memory(encoded: bytes) -> Memory:
    """Empty before the first step."""
    return msgspec.msgpack.decode(encoded, type=Memory) if encoded else Memory()


def write_memory(memory: Memory) -> bytes:
    return msgspec.msgpack.encode(memory)
