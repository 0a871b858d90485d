"""What can go wrong with a node. All of it passes, or another node is asked: an anchor goes on where it stood."""

from __future__ import annotations

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.errors import Conflict


class NodeFailed(LedgerUnavailable):
    """A node gave no answer that can be used: none at all, too large a one, or one that is not of its form."""


class OtherChain(NodeFailed):
    """A node is of another chain than the profile names."""

    code = "ledger-other-chain"
    title = "The node is of another chain"


class NodeRefused(LedgerUnavailable):
    """A node answered a call with an error."""

    def __init__(self, number: int, message: str) -> None:
        """`number`: the error's code (JSON-RPC 2.0, section 5.1); `message`: as the node has it."""
        super().__init__(f"the node answers {number}: {message}")
        self.number = number
        self.message = message


class MemoryDamaged(Conflict):
    """What the outbox holds of an anchor is not what a step left there."""

    code = "ledger-misbehaves"
    title = "What is remembered of an anchor cannot be read"
