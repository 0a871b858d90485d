"""What can go wrong with a node."""

from __future__ import annotations

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.errors import CinnabarError, Conflict


class NodeFailed(LedgerUnavailable):
    """A node gave no answer that can be used: none at all, too large a one, or one that is not of its form."""

    code = "evm-node-failed"
    title = "A node of the chain does not answer as it should"


class WrongChain(NodeFailed):
    """A node is of another chain than the profile names."""

    code = "evm-wrong-chain"
    title = "The node is of another chain"


class NodeRefused(Conflict):
    """A node answered a call with an error."""

    code = "evm-node-refused"
    title = "The node refused a call"

    def __init__(self, number: int, message: str) -> None:
        """`number`: the error's code (JSON-RPC 2.0, section 5.1); `message`: as the node has it."""
        super().__init__(f"the node answers {number}: {message}")
        self.number = number
        self.message = message


class MemoryDamaged(CinnabarError):
    """What the outbox holds of an anchor is not what a step left there."""

    code = "evm-memory-damaged"
    title = "What is remembered of an anchor cannot be read"


class SettingsContradict(Conflict):
    """box.json and the ledger's profile are about two chains, or two contracts."""

    code = "evm-settings-contradict"
    title = "The settings of a chain contradict its profile"
